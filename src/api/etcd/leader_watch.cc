#include "api/etcd/leader_watch.h"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>
#include <variant>

namespace clew::api::etcd {
namespace {

using Timer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>;
constexpr auto kInterval = std::chrono::milliseconds(500);
constexpr int kPatience = 3;  // a change of leader takes less

}  // namespace

void LeaderWatch::start() { ask(); }

void LeaderWatch::stop() {
  const MutexLock lock(mutex_);
  stopped_ = true;
  calls_.clear();
}

void LeaderWatch::add(const std::shared_ptr<rpc::Call>& call) {
  {
    const MutexLock lock(mutex_);
    calls_.push_back(call);
  }
  ask();
}

void LeaderWatch::ask() {
  {
    const MutexLock lock(mutex_);
    if (stopped_ || std::exchange(polling_, true)) return;
  }
  control::CallOptions options;
  options.forward = false;  // what this member knows by itself
  context_->service().status(options, [self = shared_from_this()](auto result) {
    if (const auto* status = std::get_if<control::GroupStatus>(&result)) self->answered(*status);
    self->ask_later();
  });
}

void LeaderWatch::answered(const control::GroupStatus& status) {
  context_->learn(status);
  std::vector<std::weak_ptr<rpc::Call>> ended;
  {
    const MutexLock lock(mutex_);
    without_leader_ = status.consensus.leader == consensus::kNobody ? without_leader_ + 1 : 0;
    if (without_leader_ < kPatience) return;
    ended.swap(calls_);
  }
  for (const auto& one : ended) {
    if (const auto call = one.lock()) call->run([](rpc::Call& open) { open.finish(errors::no_leader()); });
  }
}

void LeaderWatch::ask_later() {
  const MutexLock lock(mutex_);  // while it is held, the server, and so the loop, is there
  std::erase_if(calls_, [](const std::weak_ptr<rpc::Call>& call) { return call.expired(); });
  if (stopped_ || (calls_.empty() && context_->identified())) {
    polling_ = false;
    return;
  }
  // Until the timer has run the polling goes on: patience is counted in answers, which come once an interval.
  boost::asio::post(loop_, [self = shared_from_this()] {
    auto timer = std::make_shared<Timer>(self->loop_, kInterval);
    timer->async_wait([self, timer](boost::system::error_code error) {
      if (error) return;
      {
        const MutexLock inner(self->mutex_);
        self->polling_ = false;
      }
      self->ask();
    });
  });
}

}  // namespace clew::api::etcd
