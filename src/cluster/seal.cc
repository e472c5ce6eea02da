#include "cluster/seal.h"

#include <algorithm>

namespace clew::cluster {

SealOutcome Sealer::run(SealJob& job, store::SpanStore& store) {
  SealOutcome outcome;
  outcome.rows_per_chunk.assign(job.chunks.size(), 0);
  spans_.clear();
  ranges_.clear();
  traces_.clear();
  // In the order of the segment, so that nothing has to be moved afterwards.
  std::sort(job.items.begin(), job.items.end(), [](const SealItem& a, const SealItem& b) { return a.key < b.key; });
  for (size_t i = 0; i < job.items.size(); ++i) {
    if (i + 1 < job.items.size()) job.chunks.prefetch(job.items[i + 1].newest);
    job.items[i].outcome = seal_one(job.items[i], job, outcome);
  }
  for (size_t i = 0; i < traces_.size(); ++i) {
    traces_[i].spans = std::span(spans_).subspan(ranges_[i].first, ranges_[i].count);
  }
  if (!traces_.empty()) {
    auto prepared = store.prepare(traces_);
    if (!prepared.ok()) {
      outcome.status = prepared.status();
      return outcome;
    }
    outcome.prepared = std::move(prepared).value();
  }
  return outcome;
}

SealItem::Outcome Sealer::seal_one(const SealItem& item, SealJob& job, SealOutcome& outcome) {
  assembly_.begin();
  model::TraceData stored;
  const bool maybe_stored = job.view->may_contain(item.key);
  if (maybe_stored) {
    stored.key = item.key;
    if (const Status status = job.view->read(item.key, stored); !status.ok()) {
      ++outcome.read_failures;
      if (status.code() != Code::kDataLoss) return SealItem::Outcome::kUnread;
    }
    if (!(stored.spans.empty() && stored.history.empty())) assembly_.add_stored(stored);
  }
  job.chunks.chain(item.newest, item.rows, chain_);
  for (size_t i = chain_.size(); i-- > 0;) {  // the chain runs from new to old
    assembly_.add_row(*chain_[i].dictionary, chain_[i].row, chain_[i].stamp);
  }
  {
    MutexLock lock(history_.mutex);
    assembly_.finish(&history_.peers, true);
  }

  const bool whole = assembly_.assessment().verdict.state == model::TraceState::kComplete;
  if (!whole && item.why == trace::Due::kQuiet) return SealItem::Outcome::kNotWhole;

  for (const store::ChunkRow& row : chain_) ++outcome.rows_per_chunk[row.chunk_position];
  outcome.sealed_rows += chain_.size();
  outcome.duplicates += assembly_.duplicates();
  outcome.malformed += assembly_.malformed();

  model::Verdict verdict = assembly_.take_verdict();
  const bool final_verdict = item.why != trace::Due::kSpill;
  if (!whole) {
    verdict.state = final_verdict ? model::TraceState::kTimedOut : model::TraceState::kActive;
    if (final_verdict) verdict.basis |= model::kBasisTimeout;
  } else if (!final_verdict) {
    verdict.state = model::TraceState::kActive;
  }
  if (final_verdict) verdict.basis |= model::kBasisQuiet;
  const model::Verdict* newest = stored.history.empty() ? nullptr : &stored.history.back();
  const bool nothing_new = assembly_.new_spans().empty() && newest != nullptr && newest->state == verdict.state;
  if (nothing_new || (assembly_.new_spans().empty() && newest == nullptr && stored.spans.empty())) {
    return SealItem::Outcome::kSealed;
  }

  verdict.version = assembly_.stored_versions() + 1;
  verdict.decided_ns = job.wall_ns;
  verdict.late_spans = newest == nullptr ? 0 : static_cast<uint32_t>(assembly_.new_spans().size());
  if (final_verdict) {
    ++(whole ? outcome.complete : outcome.timed_out);
    if (newest != nullptr) ++outcome.reopened;
  }

  store::SealTrace trace;
  trace.key = item.key;
  trace.summary = assembly_.summary();
  trace.summary.state = verdict.state;
  trace.summary.verdict_version = verdict.version;
  trace.verdicts.push_back(std::move(verdict));
  ranges_.push_back({spans_.size(), assembly_.new_spans().size()});
  spans_.insert(spans_.end(), assembly_.new_spans().begin(), assembly_.new_spans().end());
  traces_.push_back(std::move(trace));
  return SealItem::Outcome::kSealed;
}

}  // namespace clew::cluster
