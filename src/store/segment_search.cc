// SegmentView::search: newest first over all segments, by two ways that give the same hits.
//
//   scan   every block that may hold a match, whole; for what is rare
//   visit  the traces, newest first, each in its block; for what is common, because it stops at the page's end
//
// Which one: the plan's estimate says how many traces would have to be visited for a page. A visit that finds less than
// expected (conditions that exclude each other) turns into a scan. Split traces are asked one by one (segment_view.h).
#include <algorithm>
#include <optional>

#include "store/segment_plan.h"
#include "store/segment_view.h"

namespace clew::store {
namespace {

// Relative costs of looking at one trace and at one whole block, measured.
constexpr uint64_t kVisitCost = 2;
constexpr uint64_t kScanCost = 5;
constexpr uint64_t kVisitSlack = 4;  // visits beyond the expected number before a scan takes over

struct Candidate {
  int64_t start_ns = 0;
  model::TraceKey key;
  const Segment* segment = nullptr;
  uint32_t trace = 0;
  const SplitTrace* split = nullptr;
};
bool newer_candidate(const Candidate& a, const Candidate& b) {
  return newer(a.start_ns, a.key.trace, b.start_ns, b.key.trace);
}

// The best `limit` hits so far.
class Page {
 public:
  explicit Page(const TraceQuery& query) : query_(query) {}
  bool full() const { return heap_.size() >= query_.limit; }
  // False: nothing that starts at `start_ns` or before can get in.
  bool open_to(int64_t start_ns) const { return !full() || start_ns >= heap_.front().start_ns; }
  bool wants(int64_t start_ns, model::TraceId trace) const {
    if (start_ns < query_.from_ns || start_ns >= query_.to_ns) return false;
    if (!newer(query_.after.start_ns, query_.after.trace, start_ns, trace)) return false;
    return !full() || newer(start_ns, trace, heap_.front().start_ns, heap_.front().key.trace);
  }
  void add(const Candidate& candidate) {
    for (const Candidate& known : heap_) {
      if (known.key == candidate.key) return;
    }
    heap_.push_back(candidate);
    std::push_heap(heap_.begin(), heap_.end(), newer_candidate);
    if (heap_.size() > query_.limit) {
      std::pop_heap(heap_.begin(), heap_.end(), newer_candidate);
      heap_.pop_back();
    }
  }
  std::vector<Candidate> take() {
    std::sort(heap_.begin(), heap_.end(), newer_candidate);
    return std::move(heap_);
  }

 private:
  const TraceQuery& query_;
  std::vector<Candidate> heap_;  // the oldest on top
};

// Whether what was read is there. Damage was reported, and the rest answers; any other failure is kept in `unread`.
bool usable(Status read, Status& unread) {
  if (read.ok()) return true;
  if (read.code() != Code::kDataLoss && unread.ok()) unread = std::move(read);
  return false;
}

// Of one materialised trace: whether any span matches, and what a hit on it shows.
bool any_match(const Matcher& matcher, const model::TraceData& trace) {
  return std::any_of(trace.spans.begin(), trace.spans.end(),
                     [&](const model::Span& span) { return matcher.matches(span, trace.summary); });
}
void match_spans(const Matcher& matcher, const model::TraceData& trace, const TraceQuery& query, TraceHit& hit) {
  hit.summary = trace.summary;
  hit.spans.clear();
  hit.matched = 0;
  for (const model::Span& span : trace.spans) {
    if (matcher.matches(span, trace.summary)) add_match(span, query, hit);
  }
}

// One segment's part of the search. One thread.
class SegmentSearch {
 public:
  // `unread` becomes the first failure to read that is not damage: the search's answer is then not to be used.
  SegmentSearch(const SegmentView& view, const Segment& segment, std::shared_ptr<const SegmentNames> names,
                const Matcher& matcher, const TraceQuery& query, Status& unread)
      : view_(view),
        segment_(segment),
        names_(names),
        matcher_(matcher),
        query_(query),
        range_(segment.tenant_range(query.tenant)),
        plan_(segment, std::move(names), matcher),
        blocks_(plan_.blocks()),
        unread_(unread) {
    blocks_.keep_range(range_.first_block, range_.end_block);
  }

  void run(Page& page) {
    const uint64_t blocks = blocks_.count();
    if (blocks == 0 || range_.end_trace == range_.first_trace) return;
    const uint64_t traces = range_.end_trace - range_.first_trace;
    const uint64_t matching = std::max<uint64_t>(1, std::min(plan_.estimate(), traces));
    const uint64_t visits = std::min(traces, traces * std::max<uint32_t>(query_.limit, 1) / matching + 1);
    const bool by_class = plan_.min_bucket() > 0 || query_.states != 0xffffffff || query_.findings != 0;
    if (!by_class && blocks * kScanCost <= visits * kVisitCost) {
      scan(page);
    } else {
      const uint64_t most = by_class ? UINT64_MAX : std::max(visits * kVisitSlack, blocks * kScanCost / kVisitCost);
      if (!visit(page, most)) scan(page);
    }
  }

  // Whether a trace of this segment matches, all its conditions included. Also the spans that do, when there is a hit
  // to put them into.
  bool ask(uint32_t trace, TraceHit* hit);

  Segment::Range range() const { return range_; }
  bool may_match(uint32_t trace) {
    Located at;
    return locate(trace, at) && any_block(at);
  }

 private:
  struct Located {
    std::shared_ptr<const Segment::Page> page;
    uint32_t index = 0;
    uint32_t first_span = 0, spans = 0;
  };
  bool locate(uint32_t trace, Located& out) {
    const uint32_t page = page_ == nullptr ? 0 : segment_.first_trace_of(*page_);
    if (page_ == nullptr || trace < page || trace >= page + page_->view.size()) {
      auto loaded = segment_.page_of(trace);
      if (!usable(loaded.status(), unread_)) return false;
      page_ = *loaded;
    }
    out.page = page_;
    out.index = trace - segment_.first_trace_of(*page_);
    const uint64_t first = page_->entry->first_span + page_->view.spans_before(out.index);
    const uint64_t spans = page_->view.at(kTraceSpans, out.index);
    if (first > segment_.info().spans || spans > segment_.info().spans - first) return false;
    out.first_span = static_cast<uint32_t>(first);
    out.spans = static_cast<uint32_t>(spans);
    return true;
  }
  bool any_block(const Located& at) const {
    if (at.spans == 0) return false;
    const uint32_t last = segment_.block_of_span(at.first_span + at.spans - 1);
    for (uint32_t b = segment_.block_of_span(at.first_span); b <= last; ++b) {
      if (blocks_.has(b)) return true;
    }
    return false;
  }
  // Conditions on the trace itself, but for its start.
  bool trace_fits(const Located& at) const {
    const auto state = static_cast<uint32_t>(at.page->view.at(kTraceState, at.index));
    if ((query_.states >> (state & 31) & 1) == 0) return false;
    return query_.findings == 0 || (at.page->view.at(kTraceFindings, at.index) & query_.findings) != 0;
  }
  bool evaluate(const BlockView& block, uint32_t number, uint32_t low, uint32_t high,
                const model::TraceSummary* summary, std::vector<uint8_t>& out) {
    if (plan_.evaluate(block, number, low, high, summary, out)) return true;
    (void)usable(plan_.failure(), unread_);
    return false;
  }
  bool visit(Page& page, uint64_t most);
  void scan(Page& page);
  void scan_block(uint32_t number, Page& page);

  const SegmentView& view_;
  const Segment& segment_;
  const std::shared_ptr<const SegmentNames> names_;
  const Matcher& matcher_;
  const TraceQuery& query_;
  const Segment::Range range_;
  SegmentPlan plan_;
  BlockSet blocks_;
  Status& unread_;
  std::shared_ptr<const Segment::Page> page_;
  std::vector<uint8_t> answers_;
};

bool SegmentSearch::ask(uint32_t trace, TraceHit* hit) {
  Located at;
  if (!locate(trace, at)) return false;
  std::optional<model::TraceSummary> summary;
  if (plan_.asks_trace()) summary = segment_.summary(*names_, *at.page, at.index, {});
  uint32_t sure = 0;
  // Names, services and times stand in columns; all else that a hit may show stands in the rows.
  bool maybe = false;
  const bool rows_asked = hit != nullptr && !query_.select.empty() && query_.spans_per_trace > 0;
  const uint32_t end = at.first_span + at.spans;
  for (uint32_t span = at.first_span; span < end;) {
    const uint32_t number = segment_.block_of_span(span);
    const BlockEntry& entry = segment_.blocks()[number];
    const uint32_t to = std::min(end, entry.first_span + entry.spans);
    const uint32_t low = span - entry.first_span, high = to - entry.first_span;
    span = to;
    if (!blocks_.has(number)) continue;
    const auto block = segment_.block(number);
    if (!usable(block.status(), unread_)) continue;
    const BlockView& view = (*block)->view;
    if (!evaluate(view, number, low, high, summary ? &*summary : nullptr, answers_)) continue;
    for (uint32_t i = low; i < high; ++i) {
      if (answers_[i - low] == kMaybe) maybe = true;
      if (answers_[i - low] != kYes) continue;
      if (hit == nullptr) return true;
      const uint64_t context = view.contexts.at(i), operation = view.operations.at(i);
      if (context >= names_->contexts().size() || operation >= names_->operations().size()) continue;
      const uint32_t name = names_->operations()[operation].name;
      if (name == 0) maybe = true;  // it stands in the row
      if (sure++ < query_.spans_per_trace && name != 0) {
        MatchedSpan m;
        m.id = view.id(i);
        m.start_ns = static_cast<int64_t>(static_cast<uint64_t>(at.page->view.start_ns(at.index)) + view.starts.at(i));
        m.duration_ns = static_cast<int64_t>(view.durations.at(i));
        m.name = names_->string(name - 1);
        m.service = names_->string(names_->contexts()[context].service);
        hit->spans.push_back(std::move(m));
      }
    }
  }
  if (hit != nullptr) {
    hit->key = at.page->view.key(at.index);
    hit->matched = sure;
  }
  if (!maybe && !(rows_asked && sure > 0)) {
    if (hit != nullptr) {
      // The root's id is a place among the spans: read that one block.
      const uint64_t root = at.page->view.at(kTraceRoot, at.index);
      hit->summary = segment_.summary(*names_, *at.page, at.index, {});
      if (root >= 2 && root - 2 < at.spans) {
        const auto span = static_cast<uint32_t>(at.first_span + root - 2);
        const uint32_t number = segment_.block_of_span(span);
        if (const auto block = segment_.block(number); usable(block.status(), unread_)) {
          hit->summary.root = (*block)->view.id(span - segment_.blocks()[number].first_span);
        }
      }
    }
    return sure > 0;
  }
  model::TraceData data;
  TraceRows rows;
  if (!usable(rows.read(segment_, trace), unread_)) return false;
  data.summary = rows.summary();
  for (const TraceRows::Row& row : rows.rows()) {
    if (!model::append_span_of_row(rows.dictionary(), rows.bytes(row), row.stamp, data).ok()) return false;
  }
  if (hit == nullptr) return any_match(matcher_, data);
  match_spans(matcher_, data, query_, *hit);
  return hit->matched > 0;
}

bool SegmentSearch::visit(Page& page, uint64_t most) {
  std::vector<OrderedTrace> traces;
  uint64_t visits = 0;
  for (const OrderEntry& entry : segment_.order()) {
    if (entry.newest_ns < query_.from_ns || !page.open_to(entry.newest_ns)) return true;
    if (entry.oldest_ns >= query_.to_ns || entry.oldest_ns > query_.after.start_ns) continue;
    const auto bytes = segment_.order_chunk(entry);
    // Without its order the chunk's traces are still in their blocks.
    const bool readable = usable(bytes.status(), unread_);
    if (readable && !order_chunk_may_fit(**bytes, entry.entries, query_.states, plan_.min_bucket())) continue;
    if (!readable || !read_order_chunk(**bytes, entry.entries, traces)) return false;
    for (const OrderedTrace& trace : traces) {
      if (trace.start_ns < query_.from_ns || !page.open_to(trace.start_ns)) return true;
      if (trace.start_ns >= query_.to_ns || trace.start_ns > query_.after.start_ns) continue;
      if (trace.number < range_.first_trace || trace.number >= range_.end_trace) continue;
      if ((trace.classes >> 2) < plan_.min_bucket() || (query_.states >> (trace.classes & 3) & 1) == 0) continue;
      Located at;
      if (!locate(trace.number, at) || !trace_fits(at)) continue;
      const model::TraceKey key = at.page->view.key(at.index);
      if (!page.wants(trace.start_ns, key.trace) || !any_block(at)) continue;
      if (++visits > most) return false;
      if (view_.is_split(segment_, trace.number) || !ask(trace.number, nullptr)) continue;
      page.add({trace.start_ns, key, &segment_, trace.number, nullptr});
    }
  }
  return true;
}

void SegmentSearch::scan(Page& page) {
  for (uint32_t b = range_.first_block; b < range_.end_block; ++b) {
    if (blocks_.has(b)) scan_block(b, page);
  }
}

void SegmentSearch::scan_block(uint32_t number, Page& page) {
  const auto block = segment_.block(number);
  if (!usable(block.status(), unread_)) return;
  const BlockEntry& entry = segment_.blocks()[number];
  std::vector<uint8_t> answers;
  if (!evaluate((*block)->view, number, 0, entry.spans, nullptr, answers)) return;
  uint32_t trace = entry.first_trace;
  Located at;
  bool located = false;
  for (uint32_t i = 0; i < entry.spans; ++i) {
    if (answers[i] == kNo) continue;
    const uint32_t span = entry.first_span + i;
    while (!located || span >= at.first_span + at.spans) {
      if (located) ++trace;
      if (trace >= segment_.info().traces || !locate(trace, at)) return;
      located = true;
    }
    if (span < at.first_span) continue;  // of a trace that began before; the directory says otherwise
    // One answer settles the trace: go on behind it.
    const int64_t start = at.page->view.start_ns(at.index);
    const model::TraceKey key = at.page->view.key(at.index);
    const bool wanted = trace >= range_.first_trace && trace < range_.end_trace && page.wants(start, key.trace) &&
                        trace_fits(at) && !view_.is_split(segment_, trace);
    const uint32_t end = std::min(entry.spans, at.first_span + at.spans - entry.first_span);
    bool sure = false;
    for (uint32_t k = i; k < end; ++k) sure |= answers[k] == kYes;
    if (wanted && (sure || ask(trace, nullptr))) page.add({start, key, &segment_, trace, nullptr});
    i = end - 1;
  }
}

}  // namespace

Status SegmentView::search(const TraceQuery& query, std::vector<TraceHit>& out) const {
  if (query.limit == 0) return {};
  CLEW_ASSIGN(const auto matcher, Matcher::compile(query.where));
  Page page(query);
  Status unread;
  std::unordered_map<const Segment*, std::unique_ptr<SegmentSearch>> searches;
  const auto search_of = [&](const Segment& segment) -> SegmentSearch* {
    std::unique_ptr<SegmentSearch>& known = searches[&segment];
    if (!known) {
      auto names = segment.names();
      if (!usable(names.status(), unread)) return nullptr;
      known = std::make_unique<SegmentSearch>(*this, segment, *names, *matcher, query, unread);
    }
    return known.get();
  };
  for (const auto& segment : segments_) {
    const SegmentInfo& info = segment->info();
    if (!page.open_to(info.max_start_ns)) break;
    if (info.max_start_ns < query.from_ns || info.min_start_ns >= query.to_ns ||
        info.min_start_ns > query.after.start_ns || segment->tenant_index(query.tenant) < 0) {
      continue;
    }
    if ((info.states & query.states) == 0 || (query.findings != 0 && (info.findings & query.findings) == 0)) continue;
    if (SegmentSearch* search = search_of(*segment)) search->run(page);
  }
  for (const SplitTrace& trace : split_) {
    if (!page.open_to(trace.start_ns)) break;
    if (trace.key.tenant != query.tenant || !page.wants(trace.start_ns, trace.key.trace)) continue;
    const SplitTrace::Part& newest = trace.parts.front();
    const auto head = newest.segment->page_of(newest.trace);
    if (!usable(head.status(), unread)) continue;
    const uint32_t index = newest.trace - newest.segment->first_trace_of(**head);
    if ((query.states >> ((*head)->view.at(kTraceState, index) & 3) & 1) == 0) continue;
    if (query.findings != 0 && ((*head)->view.at(kTraceFindings, index) & query.findings) == 0) continue;
    bool possible = false;
    for (const SplitTrace::Part& part : trace.parts) {
      SegmentSearch* search = search_of(*part.segment);
      possible = possible || (search != nullptr && search->may_match(part.trace));
    }
    if (!possible) continue;
    model::TraceData data;
    if (!usable(read_parts(trace.parts, data), unread) || !any_match(*matcher, data)) continue;
    page.add({trace.start_ns, trace.key, nullptr, 0, &trace});
  }
  for (const Candidate& candidate : page.take()) {
    TraceHit hit;
    if (candidate.split != nullptr) {
      model::TraceData data;
      if (!usable(read_parts(candidate.split->parts, data), unread)) continue;
      hit.key = candidate.key;
      match_spans(*matcher, data, query, hit);
    } else {
      SegmentSearch* search = search_of(*candidate.segment);
      if (search == nullptr || !search->ask(candidate.trace, &hit)) continue;
    }
    out.push_back(std::move(hit));
  }
  return unread;
}

}  // namespace clew::store
