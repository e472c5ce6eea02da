// WatchQueue: what a client's watch streams have in common towards their user: ids of his choice, and responses that
// wait until he asks for them (pull_stream.h: next() gives responses while they come to less than `max_bytes`, so that
// one of them may go beyond it).
//
// It takes whatever is pushed: that no more than a window waits is the affair of who pushes, by queued_bytes() and
// taken(). On the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control/pull_stream.h"
#include "control/service.h"
#include "env/loop.h"
#include "kv/watch.h"

namespace clew::control {

class WatchQueue : public PullStream<std::vector<kv::WatchResponse>> {
 protected:
  using Number = int64_t;  // of a watch here: users may use their ids again

  WatchQueue(env::Loop& loop, std::weak_ptr<const void> needs) : PullStream(loop, std::move(needs)) {}

  // Gives the watch an id, if it has none, and a number; nothing when its id is taken: the user has been told.
  std::optional<Number> name(kv::WatchRequest& request);
  std::optional<Number> named(kv::WatchId id) const;  // nothing: there is no such watch
  void forget(kv::WatchId id);                        // it may be used again

  void push(kv::WatchResponse response);
  void clear();
  size_t queued_bytes() const { return queued_bytes_; }
  virtual void taken() = 0;  // the user gets some of them next

 private:
  bool empty() const override { return queue_.empty(); }
  std::vector<kv::WatchResponse> take(size_t max_bytes) override;

  std::map<kv::WatchId, Number> by_user_id_;
  Number last_number_ = 0;
  kv::WatchId next_user_id_ = 0;
  std::deque<kv::WatchResponse> queue_;
  size_t queued_bytes_ = 0;
};

}  // namespace clew::control
