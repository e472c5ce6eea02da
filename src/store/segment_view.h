// SegmentView: the View of an EmbeddedStore: a list of segments that does not change, and which traces have parts in
// several of them.
//
// A trace with several parts ("split": late spans, a replay after a crash) is answered from all of them together, by
// its newest summary; searches therefore leave split traces out of each segment and ask each split trace by itself. Any
// thread; holds its segments by shared_ptr, because the store replaces them meanwhile.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "store/segment.h"
#include "store/segment_rows.h"
#include "store/span_store.h"

namespace clew::store {

struct SplitTrace {
  struct Part {
    std::shared_ptr<const Segment> segment;
    uint32_t trace = 0;
  };
  model::TraceKey key;
  int64_t start_ns = 0;     // by the newest summary
  std::vector<Part> parts;  // the newest summary's part first
};

class SegmentView final : public View {
 public:
  SegmentView(std::vector<std::shared_ptr<const Segment>> segments, std::vector<SplitTrace> split);

  bool may_contain(const model::TraceKey& key) const override;
  Status read(const model::TraceKey& key, model::TraceData& out) const override;
  Status search(const TraceQuery& query, std::vector<TraceHit>& out) const override;
  Status services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, Vocabulary& out) const override;
  Status operations(model::TenantId tenant, std::string_view service, Vocabulary& names,
                    std::vector<uint8_t>& kinds) const override;
  Status keys(model::TenantId tenant, Field scope, Vocabulary& out) const override;
  Status values(model::TenantId tenant, Field field, std::string_view key, Vocabulary& out) const override;

  const std::vector<std::shared_ptr<const Segment>>& segments() const { return segments_; }  // newest starts first
  const std::vector<SplitTrace>& split() const { return split_; }                            // newest first
  bool is_split(const Segment& segment, uint32_t trace) const;
  // All parts of the trace that the segments hold; damaged ones are left out.
  std::vector<SplitTrace::Part> find_parts(const model::TraceKey& key) const;

 private:
  std::vector<std::shared_ptr<const Segment>> segments_;
  std::vector<SplitTrace> split_;
  std::unordered_map<const Segment*, std::vector<uint32_t>> split_of_;  // trace numbers, ascending
};

// Parts put in order and the start filled in; nothing when fewer than two are left.
std::optional<SplitTrace> make_split(const model::TraceKey& key, std::vector<SplitTrace::Part> parts);

// Reads the parts into one trace: spans by arrival without duplicates, verdicts by version, the newest summary. Damaged
// parts are left out; kDataLoss when nothing of it can be read, another code when a part could not be read just now.
Status read_parts(const std::vector<SplitTrace::Part>& parts, model::TraceData& out);

}  // namespace clew::store
