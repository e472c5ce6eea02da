// WatchAudit: whether a watch was given what it should be: every change from its first revision on that it asked for,
// each once, whole, in the order of the log, none left out; across deaths of nodes, changes of leader, slowness and
// compaction. Compared with what Truth saw applied.
//
// Pure but for Truth, which it looks at. O(changes) in all.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/status.h"
#include "kv/watch.h"
#include "sim/nodes/truth.h"

namespace clew::sim::nodes {

class WatchAudit {
 public:
  WatchAudit(const Truth& truth, kv::WatchRequest request) : truth_(truth), request_(std::move(request)) {}

  // One response of this watch. kInternal says what is wrong with it.
  Status take(const kv::WatchResponse& response);
  // Of the whole stream: everybody has been given all up to there.
  Status take_progress(kv::Revision revision);
  // It goes on in another stream, from next() on: what was given of a revision that came in part is given again.
  void resume();

  bool announced() const { return announced_; }
  bool cancelled() const { return cancelled_; }
  // The first revision that was not wholly given; 0: not known yet.
  kv::Revision next() const { return next_; }
  // Nothing is left that it should be given.
  bool has_everything() const;
  const kv::WatchRequest& request() const { return request_; }
  uint64_t events() const { return events_; }

 private:
  bool wants(const Change& change) const;
  // Passes over what the watch did not ask for, up to and with `last`.
  void skip(kv::Revision last);
  Status take_event(const kv::Event& event);
  Status check_previous(const kv::Event& event, const Change& change) const;
  Status wrong(const std::string& what) const;

  const Truth& truth_;
  kv::WatchRequest request_;
  bool announced_ = false;
  bool cancelled_ = false;
  kv::Revision first_ = 0;  // what is older was never asked for
  kv::Revision next_ = 0;
  size_t cursor_ = 0;  // the first change that was not looked at
  uint64_t events_ = 0;
};

}  // namespace clew::sim::nodes
