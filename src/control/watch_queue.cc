#include "control/watch_queue.h"

#include <utility>

#include "control/messages.h"

namespace clew::control {

std::optional<WatchQueue::Number> WatchQueue::name(kv::WatchRequest& request) {
  if (request.id == 0) {
    while (by_user_id_.contains(next_user_id_)) ++next_user_id_;
    request.id = next_user_id_++;
  } else if (by_user_id_.contains(request.id)) {
    kv::WatchResponse refused;
    refused.created = refused.cancelled = true;
    refused.cancel_reason = "mvcc: duplicate watch ID provided on the WatchStream";
    push(std::move(refused));
    return std::nullopt;
  }
  by_user_id_[request.id] = ++last_number_;
  return last_number_;
}

void WatchQueue::next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) {
  CHECK(!waiting_);
  waiting_ = std::move(done);
  max_bytes_ = max_bytes;
  deliver();
}

void WatchQueue::push(kv::WatchResponse response) {
  queued_bytes_ += weight(response);
  queue_.push_back(std::move(response));
  deliver();
}

void WatchQueue::fail(const CallError& error) {
  if (!error_) error_ = error;
  deliver();
}

void WatchQueue::clear() {
  queue_.clear();
  queued_bytes_ = 0;
}

void WatchQueue::deliver() {
  if (!waiting_ || (queue_.empty() && !error_) || std::exchange(delivery_posted_, true)) return;
  loop_.post([self = shared_from_this(), needs = needs_.lock()] {
    self->delivery_posted_ = false;
    if (!self->waiting_) return;
    auto done = std::exchange(self->waiting_, nullptr);
    if (self->queue_.empty()) return done(*self->error_);
    std::vector<kv::WatchResponse> responses;
    size_t bytes = 0;
    while (!self->queue_.empty() && (responses.empty() || bytes < self->max_bytes_)) {
      bytes += weight(self->queue_.front());
      responses.push_back(std::move(self->queue_.front()));
      self->queue_.pop_front();
    }
    self->queued_bytes_ -= bytes;
    self->taken(bytes);
    done(std::move(responses));
  });
}

}  // namespace clew::control
