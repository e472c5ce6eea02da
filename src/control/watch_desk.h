// WatchDesk: the watch streams of a plane: those who ask for what is next, and the hubs that have it (kv/watch.h). A
// stream whose client does not ask is not served, and does not read further requests either while its answers wait, so
// that a slow client costs a bounded queue.
//
// On the plane's loop. next() is answered from a task, all streams that have something at once.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "control/service.h"
#include "env/loop.h"
#include "kv/spaces.h"
#include "kv/watch.h"

namespace clew::control {

class WatchDesk {
 public:
  static constexpr size_t kMaxHeld = 4'096;           // requests of one stream that wait for its answers to be taken
  static constexpr size_t kMaxHeldBytes = 64u << 20;  // of all streams' waiting requests

  WatchDesk(env::Loop& loop, kv::Spaces& spaces, kv::WatchOptions options, size_t max_streams);
  ~WatchDesk();

  using Key = uint64_t;
  void open(Key key, kv::Space space);
  void close(Key key);
  using Ask = std::variant<kv::WatchRequest, kv::WatchId, std::monostate>;  // create, cancel, progress
  void ask(Key key, Ask what);
  void next(Key key, size_t max_bytes, Done<std::vector<kv::WatchResponse>> done);
  void tick_progress();

  // From now on every next() is answered by it: this node keeps no state, or has stopped.
  void refuse(CallError why);

  size_t watchers() const;
  size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    kv::Space space = kv::Space::kUser;
    kv::StreamId id{};
    bool opened = false;  // false: there were too many
    bool overrun = false;
    std::deque<Ask> held;
    size_t held_bytes = 0;
    size_t max_bytes = 0;
    Done<std::vector<kv::WatchResponse>> waiting;
  };

  kv::WatchHub& hub(kv::Space space) { return *hubs_[static_cast<size_t>(space)]; }
  void perform(Stream& stream, Ask& what);
  void serve(Key key, Stream& stream);
  void serve_soon();
  void pump_soon(kv::Space space);
  void fail(Stream& stream, const CallError& why);

  env::Loop& loop_;
  kv::Spaces& spaces_;
  const size_t max_streams_;
  std::array<std::unique_ptr<kv::WatchHub>, kv::kSpaces> hubs_;
  std::array<bool, kv::kSpaces> pumping_{};
  std::map<Key, Stream> streams_;
  std::set<Key> ready_;
  bool serving_ = false;
  size_t held_bytes_ = 0;  // of all streams
  std::optional<CallError> refused_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives
};

}  // namespace clew::control
