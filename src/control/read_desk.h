// ReadDesk: reads of a plane's own state, when it is new enough for them. Short ones are answered at once, as many as
// fit into a turn; long ones (kv/long_read.h) in steps, one after the other, so that heartbeats and everybody else's
// requests wait for a step and not for a million keys. What is large is sorted by a worker.
//
// A read that waits for its turn holds its request only; one at a time holds an answer in the making, so memory is
// bounded by the plane's bound on requests and one answer (kv::kMaxRangeBytes).
//
// On the plane's loop. `answered` may come from inside read().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "base/function.h"
#include "base/status.h"
#include "consensus/types.h"
#include "env/loop.h"
#include "kv/long_read.h"
#include "kv/spaces.h"

namespace clew::control {

class ReadDesk {
 public:
  // Of a turn, in looks at a key: about a millisecond.
  static constexpr size_t kTurnEffort = 16'384;

  struct Ports {
    env::Loop& loop;
    const kv::Spaces& spaces;
    UniqueFunction<consensus::Position()> position;  // of the state now
    UniqueFunction<bool(uint64_t id)> wanted;        // somebody still waits for it
    UniqueFunction<void(uint64_t id, Result<kv::Response>, consensus::Position)> answered;
  };
  explicit ReadDesk(Ports ports) : ports_(std::move(ports)) {}

  // `request` only reads, and is valid.
  void read(uint64_t id, kv::Space space, kv::Request request);

 private:
  struct Waiting {
    uint64_t id;
    kv::Space space;
    kv::Request request;
  };

  void answer(Waiting& one);  // of a short one
  void start_long();
  void go_on();
  void finish();
  void turn();
  void turn_soon();

  Ports ports_;
  size_t effort_ = kTurnEffort;  // left in this turn
  std::deque<Waiting> short_, long_;
  // The long read that is under way.
  std::optional<kv::LongRead> reading_;
  uint64_t id_ = 0;
  consensus::Position position_ = 0;
  bool finishing_ = false;  // by a worker
  bool turn_posted_ = false;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives
};

}  // namespace clew::control
