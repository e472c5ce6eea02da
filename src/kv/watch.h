// WatchHub: tells watchers what changed, from any revision that is not compacted, in order, each change once and none
// left out: across slowness of the watcher, a change of leader and the installing of a snapshot.
//
// A watcher is a cursor into the store's history: the first revision that it has not been given. A watcher whose
// cursor is at the present is *synced* and gets changes as they are committed; any other is fed from the history by
// pump(), in bounded steps, and becomes synced when it arrives. So a watcher that cannot keep up needs no memory: its
// stream's queue is bounded, and when that is full the cursor just stays. It is cancelled only when compaction passes
// the cursor; the response then names the compaction's revision, as in etcd.
//
// All revisions are whole: the changes of one revision come in one response, or, to a watcher that asked for
// fragments, in several of which all but the last are marked.
//
// Not part of the replicated state: each node has a hub over its own store. One thread, the store's. Committing costs
// O(log watched ranges + watchers concerned) a change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/function.h"
#include "kv/interest.h"
#include "kv/store.h"
#include "kv/types.h"

namespace clew::kv {

enum class StreamId : uint64_t {};
using WatchId = int64_t;  // within a stream; clients choose or are given one
constexpr WatchId kNoWatch = -1;

struct WatchRequest {
  std::string key;  // empty: from the first key on
  std::string range_end;
  Revision start_revision = 0;  // 0: what comes after the request; above the present: from there
  WatchId id = 0;               // 0: the hub chooses
  bool no_put = false;          // filters
  bool no_delete = false;
  bool prev_kv = false;
  bool progress_notify = false;
  bool fragment = false;
  // Not etcd's: this goes on where an earlier watch was given everything before start_revision; progress may say so.
  bool resumes = false;
};

struct WatchResponse {
  WatchId id = kNoWatch;  // kNoWatch: progress of the whole stream, or a refused creation
  // All changes up to this revision that the watcher asked for have been given, when this response has been.
  Revision revision = 0;
  bool created = false;
  bool cancelled = false;
  std::string cancel_reason;
  Revision compact_revision = 0;                     // not 0: cancelled because this is where history begins
  bool fragment = false;                             // the next response continues this one
  std::vector<std::shared_ptr<const Event>> events;  // shared: the watchers of a key get the same
};

struct WatchOptions {
  size_t max_queued_bytes = 4u << 20;   // a stream: above it, its watchers wait where they are
  size_t max_queued_responses = 4'096;  // a stream
  size_t max_fragment_bytes = 1536u << 10;
  size_t max_watchers = 1'000'000;        // of the hub; beyond them creations are refused
  size_t max_watcher_bytes = 512u << 20;  // the same: what watchers and the keys that they watch take
  size_t pump_records = 1'000;            // of history that one pump() reads
  size_t pump_watchers = 512;             // that one pump() serves
};

class WatchHub {
 public:
  WatchHub(const Store& store, WatchOptions options);
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // `ready` is called when responses wait after none did; not from within next(). It may call next(), nothing else.
  StreamId open(UniqueFunction<void()> ready);
  void close(StreamId stream);  // and all its watchers

  // Answers by a response with `created`; a refusal has `cancelled` and a reason, too.
  void create(StreamId stream, const WatchRequest& request);
  // Answers by a response with `cancelled`; an unknown id is ignored, as by etcd.
  void cancel(StreamId stream, WatchId id);
  // Answers once all the stream's watchers are synced and past their start, by a response with kNoWatch: all changes up
  // to its revision have been given.
  void request_progress(StreamId stream);
  // At a regular interval: those who asked for progress and were given nothing since the last call get their revision.
  void tick_progress();

  // Takes the oldest response of the stream; false when none waits: call until then. What was full may be no more:
  // while behind() is not 0, pump() again.
  bool next(StreamId stream, WatchResponse& out);
  // Too much waits for this stream's client. While it does, the host reads no further requests from the client either:
  // answers to them are not bounded by the hub.
  bool full(StreamId stream) const;

  // After each commit that made revisions.
  void on_commit();
  // The store's state was replaced (a snapshot): everybody is fed from the history again.
  void on_restore();
  // Feeds watchers that are behind, one bounded step. True: there is more that can be done now; call again, from a
  // later turn of the loop.
  bool pump();

  size_t watchers() const { return watchers_.size(); }
  size_t watcher_bytes() const { return watcher_bytes_; }
  size_t behind() const { return behind_.size(); }
  void check_invariants() const;

 private:
  using EventPtr = std::shared_ptr<const Event>;
  struct Stream;
  struct Watcher;
  // A change while it is handed out: made into an event when the first watcher wants it.
  struct Handed {
    RecordId id;
    const Record& record;
    EventPtr plain;
    EventPtr with_previous;
  };

  Watcher* find(StreamId stream, WatchId id);
  bool full(const Stream& stream) const;
  void push(Stream& stream, WatchResponse response);
  void refuse(Stream& stream, std::string reason);
  bool wants(const Watcher& watcher, const Handed& change) const;
  EventPtr event(const Watcher& watcher, Handed& change) const;
  void give(Watcher& watcher, Revision upto, std::vector<EventPtr> events);
  void fall_behind(Watcher& watcher, Revision next);
  void become_synced(Watcher& watcher);
  void drop(Watcher& watcher);
  void answer_progress(Stream& stream);
  void answer_progress();
  std::vector<Watcher*> choose_behind();
  void cancel_compacted(Watcher& watcher);

  const Store& store_;
  WatchOptions options_;
  Revision seen_;  // synced watchers have been given all up to here
  uint64_t next_stream_ = 1;
  uint64_t next_serial_ = 1;
  uint64_t next_turn_ = 1;
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  // Watchers by serial numbers, never by address: the order in which they are served is the same in every run.
  std::map<uint64_t, Watcher*> watchers_;
  std::map<uint64_t, Watcher*> behind_;  // by turn
  Interest<uint64_t> synced_;
  size_t watcher_bytes_ = 0;
  std::set<StreamId> progress_wanted_;
  bool draining_ = false;
};

}  // namespace clew::kv
