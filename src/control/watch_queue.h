// WatchQueue: what a client's watch streams have in common towards their user: ids of his choice, and responses that
// wait until he asks for them. Responses go out in a later task than the one that brought them or asked. On the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "control/service.h"
#include "env/loop.h"
#include "kv/watch.h"

namespace clew::control {

class WatchQueue : public std::enable_shared_from_this<WatchQueue> {
 public:
  virtual ~WatchQueue() = default;
  void next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done);

 protected:
  using Number = int64_t;  // of a watch here: users may use their ids again

  // `needs` is kept while responses are on their way to the user.
  WatchQueue(env::Loop& loop, std::weak_ptr<const void> needs) : loop_(loop), needs_(std::move(needs)) {}

  // Gives the watch an id, if it has none, and a number; nothing when its id is taken: the user has been told.
  std::optional<Number> name(kv::WatchRequest& request);
  void push(kv::WatchResponse response);
  void fail(const CallError& error);  // nothing more comes; only the first counts
  void clear();
  bool failed() const { return error_.has_value(); }
  size_t queued_bytes() const { return queued_bytes_; }
  virtual void taken(size_t bytes) = 0;  // the user gets them next

  std::map<kv::WatchId, Number> by_user_id_;

 private:
  void deliver();

  env::Loop& loop_;
  const std::weak_ptr<const void> needs_;
  Number last_number_ = 0;
  kv::WatchId next_user_id_ = 0;
  std::deque<kv::WatchResponse> queue_;
  size_t queued_bytes_ = 0;
  size_t max_bytes_ = 0;
  Done<std::vector<kv::WatchResponse>> waiting_;
  bool delivery_posted_ = false;
  std::optional<CallError> error_;
};

}  // namespace clew::control
