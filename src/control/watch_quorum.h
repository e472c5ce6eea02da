// WatchQuorum: the watches of a client whose members may lie (PBFT): a change is handed out when f + 1 members gave it
// as the next one, so one of them is honest, and its stream leaves nothing out (docs/decisions/0016.md).
//
// Each watch is made at every member, from the same revision, on a stream of its own: streams that share a window could
// wait for each other. What counts of a stream is order and content of its revisions; how they are grouped into
// responses is each member's own affair. After the last revision that was handed out
//   - the next change is the one that is the first behind it in the streams of f + 1 members, revision and all;
//   - nothing happened up to the highest revision of which f + 1 members say so: lies below it are thrown away;
//   - the watch is over when f + 1 members refuse it, or say that history begins later.
// A member that is slow holds up nobody while f + 1 others answer; one that ends a stream is asked again from where the
// watch stands; one that gives what no honest member does, or more than it was asked for, is not asked again. "From now
// on" is from the revision of a read that f + 1 members answered.
//
// A user's stream takes a connection's share at every member: n times the traffic of a watch that believes one. Of each
// stream two windows and two responses wait here at most, and a window of what was agreed on: O(n) windows a watch,
// O(n^2) comparisons a change. Revisions are given whole (WatchRequest::fragment is ignored).
//
// On the loop; it is destroyed there, too. Answers come from later tasks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "control/service.h"
#include "control/watch_queue.h"
#include "env/loop.h"
#include "kv/watch.h"

namespace clew::control {

class ReplyQuorum;

class WatchQuorum final : public WatchQueue {
 public:
  static constexpr int64_t kAgain = 200'000'000;  // before a member that ended a stream is asked again
  static constexpr size_t kMaxFruitless = 16;     // times in a row, at most

  WatchQuorum(env::Loop& loop, const std::shared_ptr<ReplyQuorum>& members, kv::Space space, uint64_t window_bytes);

  void create(kv::WatchRequest request);
  void cancel(kv::WatchId id);
  void request_progress();
  void end(const CallError& error);  // nothing more comes, and no member is asked any more
  void discard();                    // the user gave it up: what was not delivered never is

 private:
  struct Change {
    kv::Revision revision = 0;
    std::vector<std::shared_ptr<const kv::Event>> events;
    size_t bytes = 0;
  };
  // One member's stream of one watch.
  struct Feed {
    std::unique_ptr<WatchStream> stream;  // null: to be made again, or given up
    uint64_t life = 0;                    // of the stream: what an earlier one says is not heard
    bool asked = false;
    bool created = false;
    bool progressed = false;  // said how far it is since that was asked for
    bool given_up = false;
    consensus::NodeId member = consensus::kNobody;
    std::deque<Change> changes;  // ascending
    size_t bytes = 0;
    kv::Revision last = 0;   // of its changes
    kv::Revision given = 0;  // it says that every change up to here has come
    std::optional<kv::WatchResponse> over;
    size_t fruitless = 0;
    std::string said;  // for people
  };
  struct Watch {
    kv::WatchRequest request;
    bool announced = false;    // the user knows that it was created
    kv::Revision present = 0;  // of the group when it was created
    kv::Revision floor = 0;    // every change up to here was handed out
    kv::Revision told = 0;     // the user knows of that
    std::vector<Feed> feeds;   // by voter; empty until it is known from where on
  };
  void look(Number number);  // where the group stands
  void start(Number number, Watch& watch, kv::Revision present);
  void open(Number number, size_t voter);
  void open_later(Number number, size_t voter);
  static void close(Feed& feed);
  void pull(Number number, Watch& watch);
  void heard(Number number, size_t voter, uint64_t life, std::variant<std::vector<kv::WatchResponse>, CallError> said);
  static bool take(Feed& feed, kv::WatchResponse& response);  // false: an honest member does not say that
  void ended(Number number, size_t voter, std::string why, bool again);
  void judge(Number number);
  static void forget_passed(Watch& watch);  // what is not above the floor
  bool hand_out_change(Watch& watch);
  bool raise_floor(Watch& watch);
  bool finish(Number number, Watch& watch);
  void answer_progress();
  Watch* find(Number number);
  void taken() override;
  std::weak_ptr<WatchQuorum> weak() { return std::static_pointer_cast<WatchQuorum>(shared_from_this()); }

  env::Loop& loop_;
  const std::weak_ptr<ReplyQuorum> members_;
  const size_t quorum_;  // f + 1
  const kv::Space space_;
  const uint64_t window_bytes_;
  std::map<Number, Watch> watches_;
  uint64_t last_life_ = 0;
  kv::Revision seen_ = 0;  // the newest that was agreed on
  bool progress_wanted_ = false;
};

}  // namespace clew::control
