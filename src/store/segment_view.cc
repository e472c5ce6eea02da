#include "store/segment_view.h"

#include <algorithm>
#include <unordered_set>

namespace clew::store {

std::optional<SplitTrace> make_split(const model::TraceKey& key, std::vector<SplitTrace::Part> parts) {
  if (parts.size() < 2) return std::nullopt;
  struct Known {
    SplitTrace::Part part;
    uint64_t version = 0;
    int64_t start_ns = 0;
  };
  std::vector<Known> known;
  for (SplitTrace::Part& part : parts) {
    const auto page = part.segment->page_of(part.trace);
    if (!page.ok()) continue;
    const uint32_t index = part.trace - part.segment->first_trace_of(**page);
    known.push_back({std::move(part), (*page)->view.at(kTraceVersion, index), (*page)->view.start_ns(index)});
  }
  if (known.size() < 2) return std::nullopt;
  // Of equal versions the later file wins: it was written after.
  std::stable_sort(known.begin(), known.end(), [](const Known& a, const Known& b) {
    return a.version != b.version ? a.version > b.version : a.part.segment->number() > b.part.segment->number();
  });
  SplitTrace split{key, known.front().start_ns, {}};
  for (Known& k : known) split.parts.push_back(std::move(k.part));
  return split;
}

Status read_parts(const std::vector<SplitTrace::Part>& parts, model::TraceData& out) {
  struct Found {
    size_t part;
    const TraceRows::Row* row;
  };
  std::vector<TraceRows> rows(parts.size());
  std::vector<Found> found;
  Status last;
  bool have_summary = false;
  for (size_t p = 0; p < parts.size(); ++p) {
    if (Status status = rows[p].read(*parts[p].segment, parts[p].trace); !status.ok()) {
      if (status.code() != Code::kDataLoss) return status;
      last = std::move(status);
      continue;
    }
    if (!have_summary || rows[p].summary().verdict_version > out.summary.verdict_version) {
      out.summary = rows[p].summary();
      out.key = rows[p].key();
      have_summary = true;
    }
    for (const TraceRows::Row& row : rows[p].rows()) found.push_back({p, &row});
  }
  if (!have_summary) return last;
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.row->stamp < b.row->stamp; });
  std::unordered_set<uint64_t> seen;  // span id and content, mixed
  for (const Found& f : found) {
    const TraceRows& from = rows[f.part];
    const std::string_view row = from.bytes(*f.row);
    if (parts.size() > 1 && !seen.insert(mix64(f.row->id.value, model::row_hash(from.dictionary(), row))).second) {
      continue;
    }
    CLEW_TRY(model::append_span_of_row(from.dictionary(), row, f.row->stamp, out));
  }
  const size_t before = out.history.size();
  for (size_t p = 0; p < parts.size(); ++p) {
    if (rows[p].names() == nullptr) continue;
    // A verdict that cannot be read was reported; the spans are worth having without it.
    (void)rows[p].read_verdicts(out.history).ok();
  }
  std::stable_sort(out.history.begin() + static_cast<std::ptrdiff_t>(before), out.history.end(),
                   [](const model::Verdict& a, const model::Verdict& b) { return a.version < b.version; });
  out.history.erase(
      std::unique(out.history.begin() + static_cast<std::ptrdiff_t>(before), out.history.end(),
                  [](const model::Verdict& a, const model::Verdict& b) { return a.version == b.version; }),
      out.history.end());
  return {};
}

SegmentView::SegmentView(std::vector<std::shared_ptr<const Segment>> segments, std::vector<SplitTrace> split)
    : segments_(std::move(segments)), split_(std::move(split)) {
  std::stable_sort(segments_.begin(), segments_.end(),
                   [](const auto& a, const auto& b) { return a->info().max_start_ns > b->info().max_start_ns; });
  std::sort(split_.begin(), split_.end(), [](const SplitTrace& a, const SplitTrace& b) {
    return newer(a.start_ns, a.key.trace, b.start_ns, b.key.trace);
  });
  for (const SplitTrace& trace : split_) {
    for (const SplitTrace::Part& part : trace.parts) split_of_[part.segment.get()].push_back(part.trace);
  }
  for (auto& [segment, traces] : split_of_) std::sort(traces.begin(), traces.end());
}

bool SegmentView::is_split(const Segment& segment, uint32_t trace) const {
  const auto found = split_of_.find(&segment);
  return found != split_of_.end() && std::binary_search(found->second.begin(), found->second.end(), trace);
}

bool SegmentView::may_contain(const model::TraceKey& key) const {
  const uint64_t hash = key_hash(key);
  return std::any_of(segments_.begin(), segments_.end(), [&](const auto& s) { return s->may_contain(hash); });
}

std::vector<SplitTrace::Part> SegmentView::find_parts(const model::TraceKey& key) const {
  std::vector<SplitTrace::Part> parts;
  const uint64_t hash = key_hash(key);
  for (const auto& segment : segments_) {
    if (!segment->may_contain(hash)) continue;
    const auto found = segment->find(key);
    if (found.ok() && found->has_value()) parts.push_back({segment, **found});
  }
  return parts;
}

Status SegmentView::read(const model::TraceKey& key, model::TraceData& out) const {
  std::vector<SplitTrace::Part> parts;
  const uint64_t hash = key_hash(key);
  Status damage;
  for (const auto& segment : segments_) {
    if (!segment->may_contain(hash)) continue;
    const auto found = segment->find(key);
    if (!found.ok()) {
      // Damage was reported, and the other parts are worth having; a part that could not be read may be there.
      if (found.error().code != Code::kDataLoss) return found.error();
      damage = found.status();
    } else if (found->has_value()) {
      parts.push_back({segment, **found});
    }
  }
  if (parts.empty()) return damage;
  return read_parts(parts, out);
}

}  // namespace clew::store
