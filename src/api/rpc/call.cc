#include "api/rpc/call.h"

#include <algorithm>

#include "api/rpc/connection.h"
#include "api/rpc/shared.h"

namespace clew::api::rpc {

std::string_view CallHead::find(std::string_view name) const {
  for (const auto& [key, value] : metadata) {
    if (key == name) return value;
  }
  return {};
}

int64_t CallHead::remaining_ns(int64_t most) const {
  if (deadline == Clock::time_point::max()) return most;
  const int64_t left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
  return std::clamp<int64_t>(left, 1, most);
}

Call::Call(std::shared_ptr<Shared> shared, Lane& lane, Connection& connection, int32_t stream)
    : shared_(std::move(shared)), lane_(lane), connection_(&connection), stream_(stream) {}

Call::~Call() = default;

Budget& Call::budget() const { return shared_->counters.budgets[static_cast<size_t>(caller_)]; }

void Call::hold(size_t bytes) {
  held_ += bytes;
  budget().bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void Call::release(size_t bytes) {
  held_ -= bytes;
  budget().bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

void Call::send(std::string message) {
  if (!open()) return;
  const size_t size = message.size() - kMessagePrefix;
  message[0] = 0;
  for (int i = 0; i < 4; ++i) message[1 + i] = static_cast<char>(size >> (8 * (3 - i)));
  hold(message.size());
  unsent_ += message.size();
  out_.push_back(std::move(message));
  connection_->send_ready(*this);
}

void Call::add_trailer(std::string name, std::string value) {
  trailers_.emplace_back(std::move(name), std::move(value));
}

void Call::finish(const Status& status) {
  if (!open()) return;
  finished_ = true;
  if (!status.ok()) end_ = status.error();
  connection_->finish(*this);
}

bool Call::overloaded() const {
  return budget().bytes.load(std::memory_order_relaxed) > share_of(caller_, shared_->options.max_pending_bytes);
}

void Call::accept(UniqueFunction<void(Call&)>& task) { connection_->run(*this, task); }

void Call::expire() {
  if (open()) connection_->expire(*this);
}

void Call::run(UniqueFunction<void(Call&)> task) { shared_->deliver(lane_, {shared_from_this(), std::move(task)}); }

}  // namespace clew::api::rpc
