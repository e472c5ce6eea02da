// Random traces for tests of the stored side: sealed, and the same materialised, to compare with.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/span_store.h"
#include "store/test_rows.h"

namespace clew::store {

struct TestTrace {
  model::TraceKey key;
  model::TraceSummary summary;
  std::vector<model::Verdict> verdicts;
  std::vector<std::string> rows;
  std::vector<model::Stamp> stamps;
  std::vector<int32_t> parents;
  std::vector<SealSpan> spans;
};

class TraceWorld {
 public:
  explicit TraceWorld(uint64_t seed)
      : world_(seed), random_(seed + 1), dictionary_(std::make_unique<model::Dictionary>(seed)) {}

  TestTrace& add_trace(uint32_t tenants = 1, uint32_t max_spans = 12) {
    TestTrace& trace = traces_.emplace_back();
    trace.key = model::trace_key({1 + random_.below(tenants)}, {random_.next(), random_.next()});
    trace.summary.start_ns = 1'760'000'000'000'000'000 + static_cast<int64_t>(random_.below(1000)) * 1000;
    trace.summary.end_ns = trace.summary.start_ns + static_cast<int64_t>(random_.below(8)) - 1;
    trace.summary.root_name = random_.one_in(2) ? "order-17" : "a";
    trace.summary.root_service = random_.one_in(2) ? "b" : "order-18";
    trace.summary.state = random_.one_in(3) ? model::TraceState::kTimedOut : model::TraceState::kComplete;
    trace.summary.digest = {random_.next(), random_.next()};
    add_part(trace, 1, static_cast<uint32_t>(1 + random_.below(max_spans)));
    return trace;
  }
  // A late part of a trace: spans of its own and a newer verdict.
  TestTrace& add_late_part(const TestTrace& earlier) {
    TestTrace late;
    late.key = earlier.key;
    late.summary = earlier.summary;
    late.summary.root_name = "late";
    late.summary.state = model::TraceState::kComplete;
    TestTrace& kept = traces_.emplace_back(std::move(late));
    add_part(kept, earlier.summary.verdict_version + 1, static_cast<uint32_t>(1 + random_.below(4)));
    return kept;
  }
  std::deque<TestTrace>& traces() { return traces_; }
  World& world() { return world_; }
  Generator& random() { return random_; }
  const model::Dictionary& dictionary() const { return *dictionary_; }

  // In key order, ready for prepare(). Borrows from the traces.
  static std::vector<SealTrace> seal(std::vector<TestTrace*> traces) {
    std::sort(traces.begin(), traces.end(), [](const TestTrace* a, const TestTrace* b) { return a->key < b->key; });
    std::vector<SealTrace> out;
    for (TestTrace* trace : traces) out.push_back({trace->key, trace->summary, trace->verdicts, trace->spans});
    return out;
  }
  std::vector<SealTrace> seal_all() {
    std::vector<TestTrace*> all;
    for (TestTrace& trace : traces_) all.push_back(&trace);
    return seal(std::move(all));
  }

 private:
  void add_part(TestTrace& trace, uint64_t version, uint32_t spans) {
    std::vector<uint64_t> ids;
    const model::Stamp stamp{(++clock_) << 16, static_cast<uint32_t>(random_.below(3)), clock_};
    for (uint32_t i = 0; i < spans; ++i) {
      TestRow row = world_.row();
      int32_t parent = row.parent_id == 0 ? -1 : -2;
      if (row.parent_id != 0 && !ids.empty() && random_.one_in(2)) {
        parent = static_cast<int32_t>(random_.below(ids.size()));
        row.parent_id = ids[static_cast<size_t>(parent)];
      }
      ids.push_back(row.span_id);
      if (i == 0) trace.summary.root = {row.span_id};
      trace.rows.push_back(encode_row(*dictionary_, row));
      trace.parents.push_back(parent);
      trace.stamps.push_back({stamp.hlc + i / 4, stamp.origin, stamp.sequence});
    }
    for (uint32_t i = 0; i < spans; ++i) {
      SealSpan span;
      span.dictionary = dictionary_.get();
      span.row = trace.rows[i];
      span.stamp = trace.stamps[i];
      span.parent = trace.parents[i];
      trace.spans.push_back(span);
    }
    trace.summary.span_count += spans;
    if (version == 1) trace.summary.first_arrival_hlc = trace.stamps.front().hlc;
    trace.summary.last_arrival_hlc = trace.stamps.back().hlc;
    trace.summary.verdict_version = version;
    model::Verdict verdict;
    verdict.state = trace.summary.state;
    verdict.version = version;
    verdict.decided_ns = trace.summary.start_ns + 5'000'000'000;
    verdict.span_count = spans;
    if (random_.one_in(2)) {
      model::Finding finding;
      finding.kind = static_cast<model::FindingKind>(random_.below(17));
      finding.count = 2;
      finding.spans = {{ids[0]}, {random_.next()}};
      finding.detail = "two spans, one of them unknown";
      verdict.findings.push_back(finding);
      verdict.missing_parents.push_back({random_.next()});
    }
    trace.verdicts.push_back(std::move(verdict));
  }

  World world_;
  Generator random_;
  std::unique_ptr<model::Dictionary> dictionary_;
  std::deque<TestTrace> traces_;
  uint64_t clock_ = 1000;
};

// What the store should answer for a trace of these parts.
inline void materialise(const std::vector<const TestTrace*>& parts, model::TraceData& out) {
  for (const TestTrace* part : parts) {
    out.key = part->key;
    out.summary = part->summary;
    for (const SealSpan& span : part->spans) {
      CHECK(model::append_span_of_row(*span.dictionary, span.row, span.stamp, out).ok());
    }
  }
}

}  // namespace clew::store
