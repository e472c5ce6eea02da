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

std::optional<WatchQueue::Number> WatchQueue::named(kv::WatchId id) const {
  const auto found = by_user_id_.find(id);
  return found == by_user_id_.end() ? std::nullopt : std::optional(found->second);
}

void WatchQueue::forget(kv::WatchId id) { by_user_id_.erase(id); }

void WatchQueue::push(kv::WatchResponse response) {
  queued_bytes_ += weight(response);
  queue_.push_back(std::move(response));
  deliver();
}

void WatchQueue::clear() {
  queue_.clear();
  queued_bytes_ = 0;
}

std::vector<kv::WatchResponse> WatchQueue::take(size_t max_bytes) {
  std::vector<kv::WatchResponse> responses;
  size_t bytes = 0;
  while (!queue_.empty() && (responses.empty() || bytes < max_bytes)) {
    bytes += weight(queue_.front());
    responses.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  taken();
  return responses;
}

}  // namespace clew::control
