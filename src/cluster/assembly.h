// Assembly: the rows of one trace put together: duplicates dropped, parts stored earlier taken into account, assessed,
// summed up. The sealer and the queries on open traces use the same one, so that what a query says of an open trace is
// what will be sealed.
//
// A row is a duplicate when a span of the same id and content (model::row_hash) is there already, in the rows or in the
// stored parts: a client's retry stores nothing twice. Same id, other content: both stay, and the assessment says so.
// Use: begin, add_stored?, add_row*, finish. Reused from trace to trace. One thread; borrows rows until begin().
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cluster/facts.h"
#include "model/span.h"
#include "store/span_store.h"
#include "trace/assess.h"

namespace clew::cluster {

class Assembly {
 public:
  explicit Assembly(const trace::Policy& policy) : assessor_(policy), facts_(policy.hash_seed) {}

  void begin();
  void add_stored(const model::TraceData& stored);  // before the rows
  // In order of arrival. `store::SealSpan::parent` is set by finish().
  void add_row(const model::Dictionary& dictionary, std::string_view row, model::Stamp stamp);
  // `history` may be null. Digest costs a hash of every row's content: only the sealer asks for it.
  void finish(trace::PeerHistory* history, bool with_digest);

  const std::vector<store::SealSpan>& new_spans() const { return rows_; }
  const trace::Assessment& assessment() const { return assessment_; }
  const model::TraceSummary& summary() const { return summary_; }  // state and verdict_version: the assessment's
  model::Verdict take_verdict() { return std::move(assessment_.verdict); }
  uint32_t duplicates() const { return duplicates_; }
  uint32_t malformed() const { return malformed_; }
  uint64_t stored_versions() const { return stored_versions_; }

 private:
  struct Known {
    uint64_t id = 0;
    uint64_t hash = 0;  // of rows: only when the id is there more than once
    uint32_t row = 0;   // index into rows_, or kStored
  };
  static constexpr uint32_t kStored = UINT32_MAX;
  void drop_duplicates();

  trace::Assessor assessor_;
  trace::Assessment assessment_;
  FactsBuilder facts_;
  std::vector<store::SealSpan> rows_;
  std::vector<Known> known_;
  std::vector<bool> dropped_;
  std::vector<int32_t> row_of_fact_;  // index into rows_, or -1 for a stored span
  model::TraceSummary summary_;
  const model::TraceData* stored_ = nullptr;
  uint64_t stored_versions_ = 0;
  uint32_t duplicates_ = 0;
  uint32_t malformed_ = 0;
};

}  // namespace clew::cluster
