#include "cluster/assembly.h"

#include <algorithm>

namespace clew::cluster {

void Assembly::begin() {
  facts_.clear();
  rows_.clear();
  known_.clear();
  row_of_fact_.clear();
  summary_ = {};
  stored_ = nullptr;
  stored_versions_ = 0;
  duplicates_ = 0;
  malformed_ = 0;
}

void Assembly::add_stored(const model::TraceData& stored) {
  stored_ = &stored;
  stored_versions_ = stored.history.empty() ? 0 : stored.history.back().version;
  for (const model::Span& span : stored.spans) {
    facts_.add_span(span);
    row_of_fact_.push_back(-1);
    known_.push_back({span.id.value, model::span_hash(span), kStored});
  }
}

void Assembly::add_row(const model::Dictionary& dictionary, std::string_view row, model::Stamp stamp) {
  rows_.push_back({&dictionary, row, stamp, -1});
}

void Assembly::drop_duplicates() {
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    model::RowHead head;
    if (model::parse_row_head(rows_[i].row, head)) known_.push_back({head.span_id.value, 0, i});
  }
  // By id, the stored ones first, then in order of arrival: the first of equal content stays.
  std::sort(known_.begin(), known_.end(), [](const Known& a, const Known& b) {
    if (a.id != b.id) return a.id < b.id;
    return a.row + 1 < b.row + 1;  // kStored wraps to 0
  });
  bool any = false;
  for (size_t first = 0; first < known_.size();) {
    size_t last = first + 1;
    while (last < known_.size() && known_[last].id == known_[first].id) ++last;
    if (last - first > 1) {  // sorted again: a sender may repeat one id as often as it likes
      for (size_t i = first; i < last; ++i) {
        if (known_[i].row == kStored) continue;
        const store::SealSpan& row = rows_[known_[i].row];
        known_[i].hash = model::row_hash(*row.dictionary, row.row);
      }
      std::sort(
          known_.begin() + static_cast<ptrdiff_t>(first), known_.begin() + static_cast<ptrdiff_t>(last),
          [](const Known& a, const Known& b) { return a.hash != b.hash ? a.hash < b.hash : a.row + 1 < b.row + 1; });
      for (size_t i = first + 1; i < last; ++i) {
        if (known_[i].row == kStored || known_[i].hash != known_[i - 1].hash) continue;
        if (!any) dropped_.assign(rows_.size(), false);
        any = true;
        dropped_[known_[i].row] = true;
      }
    }
    first = last;
  }
  if (!any) return;
  size_t kept = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (dropped_[i]) {
      ++duplicates_;
    } else {
      rows_[kept++] = rows_[i];
    }
  }
  rows_.resize(kept);
}

void Assembly::finish(trace::PeerHistory* history, bool with_digest) {
  drop_duplicates();
  size_t kept = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (!facts_.add_row(*rows_[i].dictionary, rows_[i].row, stored_ != nullptr)) {
      ++malformed_;
      continue;
    }
    rows_[kept] = rows_[i];
    row_of_fact_.push_back(static_cast<int32_t>(kept));
    ++kept;
  }
  rows_.resize(kept);

  const std::vector<trace::SpanFacts>& facts = facts_.facts();
  assessor_.assess(facts, facts_.context(), facts_.names(), history, assessment_);
  for (size_t i = 0; i < facts.size(); ++i) {
    const int32_t row = row_of_fact_[i];
    if (row < 0) continue;
    const int32_t parent = assessment_.parent[i];
    rows_[static_cast<size_t>(row)].parent = parent == trace::Assessment::kRoot ? -1
                                             : parent < 0 || row_of_fact_[static_cast<size_t>(parent)] < 0
                                                 ? -2
                                                 : row_of_fact_[static_cast<size_t>(parent)];
  }

  summary_.start_ns = assessment_.start_ns;
  summary_.end_ns = assessment_.end_ns;
  summary_.span_count = static_cast<uint32_t>(facts.size());
  summary_.orphan_count = assessment_.verdict.orphan_count;
  summary_.service_count = static_cast<uint32_t>(facts_.context().services.size());
  summary_.state = assessment_.verdict.state;
  for (const trace::SpanFacts& span : facts) summary_.error_count += span.status == 2;
  size_t head = 0;
  if (assessment_.root >= 0) {
    head = static_cast<size_t>(assessment_.root);
    summary_.root = facts[head].id;
  } else {
    for (size_t i = 1; i < facts.size(); ++i) {
      if (facts[i].start_ns < facts[head].start_ns) head = i;
    }
  }
  if (!facts.empty()) {
    summary_.root_service = facts_.context().services[facts[head].service];
    summary_.root_name = facts_.names()[head];
  }

  if (stored_ != nullptr) {
    summary_.digest = stored_->summary.digest;
    summary_.first_arrival_hlc = stored_->summary.first_arrival_hlc;
    summary_.last_arrival_hlc = stored_->summary.last_arrival_hlc;
  }
  for (const store::SealSpan& row : rows_) {
    if (summary_.first_arrival_hlc == 0 || row.stamp.hlc < summary_.first_arrival_hlc) {
      summary_.first_arrival_hlc = row.stamp.hlc;
    }
    summary_.last_arrival_hlc = std::max(summary_.last_arrival_hlc, row.stamp.hlc);
    if (with_digest) {
      model::RowHead parsed;
      CHECK(model::parse_row_head(row.row, parsed));
      const uint64_t content = model::row_hash(*row.dictionary, row.row);
      summary_.digest.lo += mix64(parsed.span_id.value, content);
      summary_.digest.hi += mix64(content, ~parsed.span_id.value);
    }
  }
}

}  // namespace clew::cluster
