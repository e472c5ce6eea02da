// OpenTraces: the table of traces that are not decided yet, and the timers that drive them.
//
//   active --quiet--> assess --whole--> complete ──> sealed, leaves the table
//                        └--not whole--> collecting --span--> active
//                                           └--trace_timeout--> timed out ──> sealed, leaves
//   A late span of a sealed trace opens it anew (`reopened`): the next verdict is appended to its history.
//   A trace whose rows stay unsealed past `max_open` has them spilled (sealed as a part) and stays, as a stub: its
//   timers go on, so a stub that becomes quiet is assessed and decided like any other.
//
// Timers, not arrivals, drive it: `due(now)` hands out, in order, the traces whose time has come; the owner answers
// each:
//   kQuiet    resolve_collecting, or begin_seal(kFinal)
//   kTimeout  begin_seal(kFinal)
//   kSpill    begin_seal(kPart)
// While a trace is `sealing` nothing is handed out for it; what became due meanwhile is handed out first after
// sealed(). Spans may come at any moment, between due() and the answer too: then the trace is active again, and what
// came after begin_seal stays in the table when the rest is sealed.
//
// Pure: no clock, no thread; time is passed in (a time before the latest one seen counts as the latest).
// Single-threaded. Table: open addressing, seeded hash, 8 bytes an entry. Durations are constant, so each timer is a
// FIFO list ordered by deadline. touch and due are O(1); a span of the same trace at the same time as the one before
// moves nothing. A miss of the cache costs more than the rest: prefetch() a request's traces before touching them.
// About 170 bytes per open trace; memory is kept for the next burst until the table is empty. Bounded by the owner
// through memory_bytes().
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

// touch() keeps `rows`, `first_ns`, `since_ns`, `last_ns`, `state`; begin_seal() and sealed() keep the sealing fields;
// the owner keeps `newest`, `bytes`, the HLC range and `stored_before` of a trace that it finds in the store.
struct alignas(64) OpenTrace {
  model::TraceId id;
  model::TenantId tenant;
  RowLink newest = 0;
  int64_t first_ns = 0;  // mono time of the first unsealed row; meaningful while rows > 0
  int64_t last_ns = 0;   // mono time of the last row
  uint32_t rows = 0;     // unsealed rows that are not sealing, duplicates included
  uint32_t bytes = 0;    // of these
  uint32_t slot = 0;     // its place in the table; stable while it is open
  model::TraceState state = model::TraceState::kActive;
  bool sealing = false;        // rows up to `sealing_link` are on their way into a segment
  bool stored_before = false;  // segments hold (or may hold) earlier spans of it

  uint64_t first_hlc = 0, last_hlc = 0;
  int64_t since_ns = 0;  // mono time of the oldest row that no segment holds; meaningful while there is one
  RowLink sealing_link = 0;
  uint32_t sealing_rows = 0;
  uint32_t sealing_bytes = 0;

 private:
  friend class OpenTraces;
  enum class Wait : uint8_t { kFree, kNone, kQuiet, kTimeout, kReady };
  Wait wait_ = Wait::kFree;  // the list it is on: at most one of them, the spill list apart
  bool spill_queued_ = false;
  bool seal_final_ = false;
  bool spill_pending_ = false;  // spill fell due while it was sealing
  bool wait_pending_ = false;   // its timer fell due while it was sealing
  uint8_t due_why_ = 0;         // what its timer or its place on the ready list stands for
  uint32_t hash_ = 0;
};

enum class Due : uint8_t { kQuiet, kTimeout, kSpill };
enum class Seal : uint8_t {
  kFinal,  // with a verdict: leaves the table once stored, unless rows came since
  kPart,   // rows only: stays as a stub
};

class OpenTraces {
 public:
  OpenTraces(LifecyclePolicy policy, uint64_t seed);
  ~OpenTraces();
  OpenTraces(const OpenTraces&) = delete;
  OpenTraces& operator=(const OpenTraces&) = delete;

  // Brings what touch() of this trace will read into the cache. For a request's spans, before the first touch.
  void prefetch(model::TenantId tenant, model::TraceId id) const;
  // One row arrived: finds or creates the trace, counts the row, makes it active. `created` tells. References stay
  // valid until the trace leaves the table.
  OpenTrace& touch(model::TenantId tenant, model::TraceId id, int64_t mono_ns, bool& created);
  OpenTrace* find(model::TenantId tenant, model::TraceId id);
  OpenTrace& at(uint32_t slot);

  // The next trace whose time has come, or null. A returned trace is off that queue until it is answered. INT64_MAX,
  // the end of time, hands out whatever waits; the table's time stays there.
  OpenTrace* due(int64_t mono_ns, Due& why);
  int64_t next_deadline_ns() const;  // INT64_MAX when nothing waits; may be early, never late
  // Outcome of an assessment: not whole → collecting (waits for spans or the timeout). False, and nothing changes, when
  // spans came since it was handed out, or it is sealing: its timers run already.
  bool resolve_collecting(OpenTrace& trace, int64_t mono_ns);
  // Its rows go to the sealer: it stays findable (`sealing`) until sealed(). Allowed at any time for a trace that is
  // not sealing already: the owner spills victims and drains with it.
  void begin_seal(OpenTrace& trace, Seal how = Seal::kFinal);
  // The rows are in a published segment. After kFinal the trace leaves the table, unless rows came since (then it is
  // active, stored_before). After kPart it stays, stored_before. True when it left: the reference is then dead.
  bool sealed(OpenTrace& trace, int64_t mono_ns);
  // The rows did not become a segment and are the table's again. Not whole: collecting, unless rows came since (then
  // its timers run already). Otherwise (the store had no room) it awaits its answer again, as after due().
  enum class Unseal : uint8_t { kNotWhole, kTryAgain };
  void unsealed(OpenTrace& trace, int64_t mono_ns, Unseal why);
  // Handed out by due(), not answered yet, and no row came since.
  bool awaits_answer(const OpenTrace& trace) const;
  // Forgets a trace that is not sealing, rows and all.
  void drop(OpenTrace& trace);
  // The victim when memory is short: has rows, is not sealing, and is the oldest by last arrival, except that where
  // more than 64 traces without rows stand before it, the one with the oldest unsealed row is taken. Null when none.
  OpenTrace* oldest();

  size_t size() const;
  uint64_t memory_bytes() const;
  void for_each(const std::function<void(OpenTrace&)>& visit);  // in order of slots; `visit` must not add or remove
  // Aborts when an invariant of the table or the queues is broken. Linear; for tests.
  void check_invariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::trace
