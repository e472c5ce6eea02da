// OpenTraces: the table of traces that are not decided yet, and the timers that drive them.
//
//   active --quiet--> assess --whole--> complete ──> sealed, leaves the table
//                        └--not whole--> collecting --span--> active
//                                           └--trace_timeout--> timed out ──> sealed, leaves
//   A late span of a sealed trace opens it anew (`reopened`): the next verdict is appended to its history.
//   A trace that stays active past `max_open` has its rows spilled (sealed as a part) and stays, as a stub.
//
// Timers, not arrivals, drive it: `due(now)` hands out, in order, the traces whose time has come; the owner assesses them
// and answers with `resolve`. Pure: no clock, no thread; time is passed in. Table: open addressing, seeded hash, O(1) per
// span; timers: intrusive queues ordered by deadline, O(1). Bounded by the owner through memory_bytes().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "model/ids.h"
#include "model/summary.h"

namespace clew::trace {

struct LifecyclePolicy {
  int64_t quiet_period_ns = 5'000'000'000;
  int64_t trace_timeout_ns = 30'000'000'000;  // since the last span of a trace that is not whole
  int64_t max_open_ns = 120'000'000'000;      // since the first unspilled span: then rows are spilled
};

// An opaque reference to where the owner keeps the newest row of the trace (rows link backwards). 0: none.
using RowLink = uint64_t;

struct OpenTrace {
  model::TenantId tenant;
  model::TraceId id;
  RowLink newest = 0;
  uint32_t rows = 0;              // unsealed rows, duplicates included
  uint32_t bytes = 0;
  int64_t first_ns = 0;           // mono time of the first unsealed row
  int64_t last_ns = 0;            // mono time of the last row
  uint64_t first_hlc = 0, last_hlc = 0;
  model::TraceState state = model::TraceState::kActive;
  bool sealing = false;           // rows up to `sealing_link` are on their way into a segment
  RowLink sealing_link = 0;
  uint32_t sealing_rows = 0;
  bool stored_before = false;     // segments hold (or may hold) earlier spans of it
  uint32_t slot = 0;              // its place in the table; stable while it is open
};

enum class Due : uint8_t { kQuiet, kTimeout, kSpill };

class OpenTraces {
 public:
  OpenTraces(LifecyclePolicy policy, uint64_t seed);
  ~OpenTraces();

  // Finds or creates; `created` tells. The reference is valid until the next call that adds or removes.
  OpenTrace& touch(model::TenantId tenant, model::TraceId id, int64_t mono_ns, bool& created);
  OpenTrace* find(model::TenantId tenant, model::TraceId id);
  OpenTrace& at(uint32_t slot);

  // The next trace whose time has come, or null. A returned trace is off its queue until resolve().
  OpenTrace* due(int64_t mono_ns, Due& why);
  int64_t next_deadline_ns() const;  // INT64_MAX when nothing waits
  // Outcome of an assessment: not whole → collecting (waits for spans or the timeout).
  void resolve_collecting(OpenTrace& trace, int64_t mono_ns);
  // Its rows go to the sealer: it stays findable (`sealing`) until sealed().
  void begin_seal(OpenTrace& trace);
  // The rows are in a published segment: removes the trace, unless rows came since (then it is active again, stored_before).
  void sealed(OpenTrace& trace, int64_t mono_ns);
  // The oldest by last arrival that is not sealing: the victim when memory is short. Null when none.
  OpenTrace* oldest();

  size_t size() const;
  uint64_t memory_bytes() const;
  void for_each(const std::function<void(OpenTrace&)>& visit);
  void check_invariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::trace
