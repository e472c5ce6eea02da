// LongRead: a read that may look at millions of keys, carried out in steps, so that whoever owns the store can do other
// things between them: a range, or the hash of all records. The answer is of one revision, the one at which the read
// began (or that it names), whatever changes between the steps.
//
// A compaction that passes the read's revision takes away what was not looked at yet: a read of the present then begins
// again, kMaxRestarts times; one that named its revision is answered as compacted.
//
// When not to use it: for reads of other kinds and of single keys, whose bounds are small:
// KvStateMachine::read_at_once.
//
// On the store's thread. Memory: the answer so far, at most kMaxRangeBytes; a read is given up by destroying it.
// finish() sorts, which may take long, touches no store, and may run on any thread.
#pragma once

#include <cstddef>
#include <optional>

#include "base/status.h"
#include "kv/command.h"
#include "kv/state_machine.h"
#include "kv/store.h"

namespace clew::kv {

class LongRead {
 public:
  static constexpr int kMaxRestarts = 3;
  static bool takes(const Request& request);

  // Of a valid request that this takes. `machine` outlives step().
  LongRead(const KvStateMachine& machine, Request request);

  // False: there is more to do. After true not again. Takes what it used off `effort`: looks at a key, of which loading
  // a value costs Store::kLoadEffort.
  bool step(size_t& effort);
  // After step() has answered true, once.
  Result<Response> finish();
  bool finishing_takes_long() const;

 private:
  bool begin(Revision asked);  // false: refused
  bool refuse(Error error);

  const KvStateMachine* machine_;
  Request request_;
  int begun_ = 0;           // times
  Revision at_ = 0;         // what is read
  Revision compacted_ = 0;  // as it was when the read began
  Store::RangeProgress range_;
  std::optional<Store::HashProgress> hash_;
  std::optional<Result<Response>> done_;
};

}  // namespace clew::kv
