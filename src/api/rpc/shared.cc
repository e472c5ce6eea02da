#include "api/rpc/shared.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "api/rpc/connection.h"

namespace clew::api::rpc {

namespace asio = boost::asio;

void Shared::deliver(Lane& lane, Delivery delivery) {
  if (lane.closed.load()) return;
  if (lane.io.get_executor().running_in_this_thread()) return run(delivery);
  const MutexLock lock(lane.mutex);
  if (lane.closed.load()) return;  // it stays open while the lock is held
  lane.inbox.push_back(std::move(delivery));
  if (lane.inbox.size() > 1) return;  // somebody has woken the loop
  asio::post(lane.io, [self = shared_from_this(), &lane] {
    std::vector<Delivery> batch;
    {
      const MutexLock taking(lane.mutex);
      batch.swap(lane.inbox);
    }
    lane.flush_posted = true;  // it comes at the end
    for (Delivery& one : batch) run(one);
    self->flush(lane);
  });
}

void Shared::run(Delivery& delivery) {
  if (delivery.call->open()) delivery.call->accept(delivery.task);
}

void Shared::flush_soon(Lane& lane) {
  if (std::exchange(lane.flush_posted, true)) return;
  asio::post(lane.io, [self = shared_from_this(), &lane] { self->flush(lane); });
}

void Shared::flush(Lane& lane) {
  lane.flush_posted = false;
  for (const auto& one : std::exchange(lane.dirty, {})) {
    if (const auto connection = one.lock()) connection->flush();
  }
}

void Shared::arm(Lane& lane, Lane::Clock::time_point when) {
  if (when >= lane.armed) return;
  lane.armed = when;
  auto timer = std::make_shared<ServerTimer>(lane.io, when);
  timer->async_wait([self = shared_from_this(), timer, &lane, when](boost::system::error_code error) {
    // One that was armed for an earlier time has done this one's work.
    if (!error && lane.armed == when) self->on_timer(lane);
  });
}

void Shared::on_timer(Lane& lane) {
  constexpr auto kSweep = std::chrono::seconds(1);
  const auto now = Lane::Clock::now();
  lane.armed = Lane::Clock::time_point::max();
  while (!lane.deadlines.empty() && lane.deadlines.begin()->first <= now) {
    const auto call = lane.deadlines.begin()->second->shared_from_this();
    lane.deadlines.erase(lane.deadlines.begin());
    call->expire();
  }
  if (now >= lane.next_sweep) {
    lane.next_sweep = now + kSweep;
    const std::vector<Connection*> all(lane.connections.begin(), lane.connections.end());
    for (Connection* connection : all) {
      // Sweeping one may close it, which takes it out of the set; it never touches another.
      connection->shared_from_this()->sweep(now);
    }
  }
  if (lane.connections.empty()) return;
  arm(lane, lane.deadlines.empty() ? lane.next_sweep : std::min(lane.next_sweep, lane.deadlines.begin()->first));
}

}  // namespace clew::api::rpc
