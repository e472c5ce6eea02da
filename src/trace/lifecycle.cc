#include "trace/lifecycle.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/hash.h"

namespace clew::trace {
namespace {

constexpr uint32_t kNil = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kChunkBits = 10;
constexpr uint32_t kChunkSize = 1u << kChunkBits;
constexpr size_t kMinTable = 64;
constexpr size_t kKeepWhenEmpty = 64;  // chunks
constexpr int kVictimScan = 64;

// Neighbours on a list. Kept apart from the traces: moving a trace to the tail then touches 8 bytes of each neighbour
// in an array that fits the cache, not three traces.
struct Neighbours {
  uint32_t prev = kNil;
  uint32_t next = kNil;
};

struct List {
  uint32_t head = kNil;
  uint32_t tail = kNil;

  void push_back(std::vector<Neighbours>& links, uint32_t slot) {
    links[slot] = {tail, kNil};
    (tail == kNil ? head : links[tail].next) = slot;
    tail = slot;
  }
  void push_front(std::vector<Neighbours>& links, uint32_t slot) {
    links[slot] = {kNil, head};
    (head == kNil ? tail : links[head].prev) = slot;
    head = slot;
  }
  void insert_after(std::vector<Neighbours>& links, uint32_t before, uint32_t slot) {
    if (before == kNil) return push_front(links, slot);
    if (before == tail) return push_back(links, slot);
    const uint32_t next = links[before].next;
    links[slot] = {before, next};
    links[before].next = slot;
    links[next].prev = slot;
  }
  void remove(std::vector<Neighbours>& links, uint32_t slot) {
    const Neighbours n = links[slot];
    (n.prev == kNil ? head : links[n.prev].next) = n.next;
    (n.next == kNil ? tail : links[n.next].prev) = n.prev;
  }
};

int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

}  // namespace

struct OpenTraces::Impl {
  using Wait = OpenTrace::Wait;

  struct Cell {
    uint32_t slot = kNil;
    uint32_t hash = 0;
  };

  Impl(LifecyclePolicy lifecycle, uint64_t hash_seed) : policy(lifecycle), seed(hash_seed), table(kMinTable) {}

  // Constant after construction.
  const LifecyclePolicy policy;
  const uint64_t seed;

  std::vector<Cell> table;  // power of two, linear probing, at most three quarters full, deletion by shifting back
  std::vector<std::unique_ptr<OpenTrace[]>> chunks;
  std::vector<uint32_t> free_slots;
  std::vector<Neighbours> wait_links, spill_links;
  List quiet;    // active, ordered by last_ns
  List timeout;  // collecting, ordered by last_ns
  List ready;    // fell due while sealing; handed out first
  List spill;    // has unsealed rows and is not sealing, ordered by first_ns
  size_t count = 0;
  int64_t now = std::numeric_limits<int64_t>::min();

  uint32_t hash_of(model::TenantId tenant, model::TraceId id) const {
    // Two rounds: what the second round adds to the id's low half is unknown without the seed.
    return static_cast<uint32_t>(mix64(mix64(id.hi ^ seed, tenant.value), id.lo) >> 32);
  }
  OpenTrace& at(uint32_t slot) { return chunks[slot >> kChunkBits][slot & (kChunkSize - 1)]; }
  const OpenTrace& at(uint32_t slot) const { return chunks[slot >> kChunkBits][slot & (kChunkSize - 1)]; }
  void advance(int64_t mono_ns) { now = std::max(now, mono_ns); }

  uint32_t find(uint32_t hash, model::TenantId tenant, model::TraceId id) const {
    const size_t mask = table.size() - 1;
    for (size_t i = hash & mask; table[i].slot != kNil; i = (i + 1) & mask) {
      if (table[i].hash != hash) continue;
      const OpenTrace& trace = at(table[i].slot);
      if (trace.id == id && trace.tenant == tenant) return table[i].slot;
    }
    return kNil;
  }
  void place(uint32_t hash, uint32_t slot) {
    const size_t mask = table.size() - 1;
    size_t i = hash & mask;
    while (table[i].slot != kNil) i = (i + 1) & mask;
    table[i] = {slot, hash};
  }
  void grow_table() {
    std::vector<Cell> old(table.size() * 2);
    old.swap(table);
    for (const Cell& cell : old) {
      if (cell.slot != kNil) place(cell.hash, cell.slot);
    }
  }
  void erase_cell(uint32_t hash, uint32_t slot) {
    const size_t mask = table.size() - 1;
    size_t hole = hash & mask;
    while (table[hole].slot != slot) hole = (hole + 1) & mask;
    for (size_t i = (hole + 1) & mask; table[i].slot != kNil; i = (i + 1) & mask) {
      // A cell may move back into the hole unless its home lies after the hole.
      if (((i - (table[i].hash & mask)) & mask) >= ((i - hole) & mask)) {
        table[hole] = table[i];
        hole = i;
      }
    }
    table[hole] = {};
  }

  uint32_t take_slot() {
    if (free_slots.empty()) {
      const auto first = static_cast<uint32_t>(chunks.size() << kChunkBits);
      chunks.push_back(std::make_unique<OpenTrace[]>(kChunkSize));
      wait_links.resize(first + kChunkSize);
      spill_links.resize(first + kChunkSize);
      for (uint32_t i = kChunkSize; i > 0; --i) free_slots.push_back(first + i - 1);
    }
    const uint32_t slot = free_slots.back();
    free_slots.pop_back();
    return slot;
  }
  void remove(OpenTrace& trace) {
    leave_wait(trace);
    leave_spill(trace);
    erase_cell(trace.hash_, trace.slot);
    free_slots.push_back(trace.slot);
    trace = OpenTrace{};
    if (--count == 0 && chunks.size() > kKeepWhenEmpty) {
      std::vector<Cell>(kMinTable).swap(table);
      chunks.clear();
      std::vector<uint32_t>().swap(free_slots);
      std::vector<Neighbours>().swap(wait_links);
      std::vector<Neighbours>().swap(spill_links);
    }
  }

  List& list_of(Wait wait) { return wait == Wait::kQuiet ? quiet : wait == Wait::kTimeout ? timeout : ready; }
  void leave_wait(OpenTrace& trace) {
    if (trace.wait_ != Wait::kNone) list_of(trace.wait_).remove(wait_links, trace.slot);
    trace.wait_ = Wait::kNone;
    trace.wait_pending_ = false;
  }
  void leave_spill(OpenTrace& trace) {
    if (trace.spill_queued_) spill.remove(spill_links, trace.slot);
    trace.spill_queued_ = false;
    trace.spill_pending_ = false;
  }
  void make_ready(OpenTrace& trace) {
    ready.push_back(wait_links, trace.slot);
    trace.wait_ = Wait::kReady;
    trace.wait_pending_ = false;
  }

  int64_t deadline(const List& list, int64_t period) const {
    if (list.head == kNil) return std::numeric_limits<int64_t>::max();
    return saturating_add(at(list.head).last_ns, period);
  }
  int64_t spill_deadline() const {
    if (spill.head == kNil) return std::numeric_limits<int64_t>::max();
    return saturating_add(at(spill.head).first_ns, policy.max_open_ns);
  }
};

OpenTraces::OpenTraces(LifecyclePolicy policy, uint64_t seed) : impl_(std::make_unique<Impl>(policy, seed)) {}
OpenTraces::~OpenTraces() = default;

void OpenTraces::prefetch(model::TenantId tenant, model::TraceId id) const {
  const uint32_t hash = impl_->hash_of(tenant, id);
  const size_t mask = impl_->table.size() - 1;
  for (size_t i = hash & mask; impl_->table[i].slot != kNil; i = (i + 1) & mask) {
    if (impl_->table[i].hash != hash) continue;
    const uint32_t slot = impl_->table[i].slot;
    const char* line = reinterpret_cast<const char*>(&impl_->at(slot));
    __builtin_prefetch(line, 1);
    __builtin_prefetch(line + 64, 1);
    __builtin_prefetch(&impl_->wait_links[slot], 1);
    return;
  }
}

OpenTrace& OpenTraces::touch(model::TenantId tenant, model::TraceId id, int64_t mono_ns, bool& created) {
  Impl& m = *impl_;
  m.advance(mono_ns);
  const uint32_t hash = m.hash_of(tenant, id);
  uint32_t slot = m.find(hash, tenant, id);
  created = slot == kNil;
  if (created) {
    if ((m.count + 1) * 4 > m.table.size() * 3) m.grow_table();
    slot = m.take_slot();
    m.place(hash, slot);
    ++m.count;
    OpenTrace& trace = m.at(slot);
    trace.tenant = tenant;
    trace.id = id;
    trace.slot = slot;
    trace.hash_ = hash;
    trace.wait_ = OpenTrace::Wait::kNone;
  }
  OpenTrace& trace = m.at(slot);
  if (trace.rows++ == 0) {
    trace.first_ns = m.now;
    if (!trace.sealing) trace.since_ns = m.now;
    // A trace that was handed out for spilling has rows, so it does not come here; one that is sealing does.
    m.spill.push_back(m.spill_links, slot);
    trace.spill_queued_ = true;
  }
  trace.state = model::TraceState::kActive;
  if (trace.wait_ != OpenTrace::Wait::kQuiet || trace.last_ns != m.now) {
    m.leave_wait(trace);
    trace.last_ns = m.now;
    trace.wait_ = OpenTrace::Wait::kQuiet;
    trace.due_why_ = static_cast<uint8_t>(Due::kQuiet);
    m.quiet.push_back(m.wait_links, slot);
  }
  return trace;
}

OpenTrace* OpenTraces::find(model::TenantId tenant, model::TraceId id) {
  const uint32_t slot = impl_->find(impl_->hash_of(tenant, id), tenant, id);
  return slot == kNil ? nullptr : &impl_->at(slot);
}

OpenTrace& OpenTraces::at(uint32_t slot) {
  CHECK((slot >> kChunkBits) < impl_->chunks.size());
  OpenTrace& trace = impl_->at(slot);
  CHECK(trace.wait_ != OpenTrace::Wait::kFree);
  return trace;
}

OpenTrace* OpenTraces::due(int64_t mono_ns, Due& why) {
  Impl& m = *impl_;
  m.advance(mono_ns);
  while (true) {
    if (m.ready.head != kNil) {
      OpenTrace& trace = m.at(m.ready.head);
      m.leave_wait(trace);
      why = static_cast<Due>(trace.due_why_);
      return &trace;
    }
    const int64_t quiet = m.deadline(m.quiet, m.policy.quiet_period_ns);
    const int64_t timeout = m.deadline(m.timeout, m.policy.trace_timeout_ns);
    const int64_t spill = m.spill_deadline();
    if (std::min({quiet, timeout, spill}) > m.now) return nullptr;
    // At the end of time an empty list looks as due as the others.
    const bool none_waits = m.quiet.head == kNil && m.timeout.head == kNil;
    if (none_waits && m.spill.head == kNil) return nullptr;
    if (none_waits || (spill < quiet && spill < timeout)) {
      OpenTrace& trace = m.at(m.spill.head);
      m.leave_spill(trace);
      if (trace.sealing) {
        trace.spill_pending_ = true;
        continue;
      }
      why = Due::kSpill;
      return &trace;
    }
    const bool is_quiet = m.timeout.head == kNil || (m.quiet.head != kNil && quiet <= timeout);
    OpenTrace& trace = m.at(is_quiet ? m.quiet.head : m.timeout.head);
    m.leave_wait(trace);
    trace.due_why_ = static_cast<uint8_t>(is_quiet ? Due::kQuiet : Due::kTimeout);
    if (trace.sealing) {
      trace.wait_pending_ = true;
      continue;
    }
    why = static_cast<Due>(trace.due_why_);
    return &trace;
  }
}

int64_t OpenTraces::next_deadline_ns() const {
  if (impl_->ready.head != kNil) return impl_->now;
  return std::min({impl_->deadline(impl_->quiet, impl_->policy.quiet_period_ns),
                   impl_->deadline(impl_->timeout, impl_->policy.trace_timeout_ns), impl_->spill_deadline()});
}

bool OpenTraces::resolve_collecting(OpenTrace& trace, int64_t mono_ns) {
  Impl& m = *impl_;
  m.advance(mono_ns);
  if (trace.wait_ != OpenTrace::Wait::kNone || trace.sealing) return false;
  trace.state = model::TraceState::kCollecting;
  trace.wait_ = OpenTrace::Wait::kTimeout;
  trace.due_why_ = static_cast<uint8_t>(Due::kTimeout);
  // Answers usually come in the order of due(), which is that of last arrival; then this looks at the tail only.
  uint32_t before = m.timeout.tail;
  while (before != kNil && m.at(before).last_ns > trace.last_ns) before = m.wait_links[before].prev;
  m.timeout.insert_after(m.wait_links, before, trace.slot);
  return true;
}

void OpenTraces::begin_seal(OpenTrace& trace, Seal how) {
  Impl& m = *impl_;
  CHECK(!trace.sealing);
  if (how == Seal::kFinal) {
    m.leave_wait(trace);
  } else if (trace.wait_ == OpenTrace::Wait::kNone || trace.wait_ == OpenTrace::Wait::kReady) {
    // It fell due and was not decided: it will be handed out again once this part is stored.
    m.leave_wait(trace);
    trace.wait_pending_ = true;
  }
  m.leave_spill(trace);
  trace.sealing = true;
  trace.seal_final_ = how == Seal::kFinal;
  trace.sealing_link = trace.newest;
  trace.sealing_rows = trace.rows;
  trace.sealing_bytes = trace.bytes;
  trace.rows = 0;
  trace.bytes = 0;
}

bool OpenTraces::sealed(OpenTrace& trace, int64_t mono_ns) {
  Impl& m = *impl_;
  m.advance(mono_ns);
  CHECK(trace.sealing);
  trace.sealing = false;
  trace.stored_before = true;
  trace.sealing_link = 0;
  trace.sealing_rows = 0;
  trace.sealing_bytes = 0;
  if (trace.seal_final_ && trace.rows == 0) {
    m.remove(trace);
    return true;
  }
  trace.since_ns = trace.first_ns;
  if (trace.wait_pending_) m.make_ready(trace);
  if (trace.spill_pending_) {
    // It was at the head when it left: only others that came back the same way stand before it.
    uint32_t before = kNil;
    for (uint32_t next = m.spill.head; next != kNil && m.at(next).first_ns < trace.first_ns;) {
      before = next;
      next = m.spill_links[next].next;
    }
    m.spill.insert_after(m.spill_links, before, trace.slot);
    trace.spill_queued_ = true;
    trace.spill_pending_ = false;
  }
  return false;
}

void OpenTraces::unsealed(OpenTrace& trace, int64_t mono_ns, Unseal why) {
  Impl& m = *impl_;
  m.advance(mono_ns);
  CHECK(trace.sealing);
  trace.sealing = false;
  trace.rows += trace.sealing_rows;
  trace.bytes += trace.sealing_bytes;
  trace.sealing_link = 0;
  trace.sealing_rows = 0;
  trace.sealing_bytes = 0;
  trace.spill_pending_ = false;
  if (!trace.spill_queued_ && trace.rows > 0) {
    // The spill timer starts anew, which keeps its queue ordered; `since_ns` tells the owner the true age.
    trace.first_ns = m.now;
    m.spill.push_back(m.spill_links, trace.slot);
    trace.spill_queued_ = true;
  }
  if (trace.wait_pending_) return m.make_ready(trace);
  if (why == Unseal::kNotWhole) resolve_collecting(trace, m.now);
}

bool OpenTraces::awaits_answer(const OpenTrace& trace) const {
  return trace.wait_ == OpenTrace::Wait::kNone && !trace.sealing;
}

void OpenTraces::drop(OpenTrace& trace) {
  CHECK(!trace.sealing);
  impl_->remove(trace);
}

OpenTrace* OpenTraces::oldest() {
  Impl& m = *impl_;
  const auto usable = [](const OpenTrace& trace) { return !trace.sealing && trace.rows > 0; };
  OpenTrace* best = nullptr;
  int left = kVictimScan;
  for (const List* list : {&m.ready, &m.timeout, &m.quiet}) {
    for (uint32_t slot = list->head; slot != kNil && left > 0; slot = m.wait_links[slot].next) {
      OpenTrace& trace = m.at(slot);
      // The ready list is in no order of arrival: all of it is looked at, within the bound.
      if (usable(trace) && (best == nullptr || trace.last_ns < best->last_ns)) best = &trace;
      if (usable(trace) && list != &m.ready) break;
      --left;
    }
  }
  if (best != nullptr && left > 0) return best;
  for (uint32_t slot = m.spill.head; slot != kNil; slot = m.spill_links[slot].next) {
    if (usable(m.at(slot))) return &m.at(slot);
  }
  return best;
}

size_t OpenTraces::size() const { return impl_->count; }

uint64_t OpenTraces::memory_bytes() const {
  return impl_->chunks.size() * kChunkSize * sizeof(OpenTrace) + impl_->table.capacity() * sizeof(Impl::Cell) +
         impl_->free_slots.capacity() * sizeof(uint32_t) +
         (impl_->wait_links.capacity() + impl_->spill_links.capacity()) * sizeof(Neighbours);
}

void OpenTraces::for_each(const std::function<void(OpenTrace&)>& visit) {
  for (const auto& chunk : impl_->chunks) {
    for (uint32_t i = 0; i < kChunkSize; ++i) {
      if (chunk[i].wait_ != OpenTrace::Wait::kFree) visit(chunk[i]);
    }
  }
}

void OpenTraces::check_invariants() const {
  const Impl& m = *impl_;
  // The table holds each open trace once, reachable from its home without a gap.
  size_t cells = 0;
  for (const Impl::Cell& cell : m.table) {
    if (cell.slot == kNil) continue;
    ++cells;
    const OpenTrace& trace = m.at(cell.slot);
    CHECK(trace.slot == cell.slot && trace.hash_ == cell.hash && trace.hash_ == m.hash_of(trace.tenant, trace.id));
    CHECK(m.find(cell.hash, trace.tenant, trace.id) == cell.slot);
  }
  CHECK(cells == m.count && m.count * 4 <= m.table.size() * 3);
  CHECK(m.count + m.free_slots.size() == m.chunks.size() * kChunkSize);

  // Lists are ordered, doubly linked, and hold exactly the traces that say so.
  size_t waiting = 0;
  const auto walk = [&](const List& list, OpenTrace::Wait wait) {
    uint32_t prev = kNil;
    for (uint32_t slot = list.head; slot != kNil; slot = m.wait_links[slot].next) {
      CHECK(m.wait_links[slot].prev == prev && m.at(slot).wait_ == wait && !m.at(slot).wait_pending_);
      if (prev != kNil && wait != OpenTrace::Wait::kReady) CHECK(m.at(prev).last_ns <= m.at(slot).last_ns);
      if (wait == OpenTrace::Wait::kReady) CHECK(!m.at(slot).sealing);
      prev = slot;
      ++waiting;
    }
    CHECK(list.tail == prev);
  };
  walk(m.quiet, OpenTrace::Wait::kQuiet);
  walk(m.timeout, OpenTrace::Wait::kTimeout);
  walk(m.ready, OpenTrace::Wait::kReady);
  size_t spilling = 0;
  uint32_t prev = kNil;
  for (uint32_t slot = m.spill.head; slot != kNil; slot = m.spill_links[slot].next) {
    CHECK(m.spill_links[slot].prev == prev && m.at(slot).spill_queued_ && m.at(slot).rows > 0);
    if (prev != kNil) CHECK(m.at(prev).first_ns <= m.at(slot).first_ns);
    prev = slot;
    ++spilling;
  }
  CHECK(m.spill.tail == prev);
  for (const auto& chunk : m.chunks) {
    for (uint32_t i = 0; i < kChunkSize; ++i) {
      const OpenTrace& trace = chunk[i];
      if (trace.wait_ == OpenTrace::Wait::kFree) continue;
      if (trace.wait_ != OpenTrace::Wait::kNone) --waiting;
      if (trace.spill_queued_) --spilling;
      CHECK(!(trace.spill_queued_ && trace.spill_pending_));
      CHECK(!trace.wait_pending_ || trace.sealing);
      CHECK(!trace.spill_pending_ || (trace.sealing && trace.rows > 0));
      CHECK(trace.rows == 0 || trace.since_ns <= trace.last_ns);
      // Never forgotten: a part on its way leaves a timer, or the memory that it rang.
      if (trace.sealing && !trace.seal_final_) CHECK(trace.wait_ != OpenTrace::Wait::kNone || trace.wait_pending_);
      if (trace.sealing && trace.rows > 0) CHECK(trace.wait_ != OpenTrace::Wait::kNone || trace.wait_pending_);
    }
  }
  CHECK(waiting == 0 && spilling == 0);
}

}  // namespace clew::trace
