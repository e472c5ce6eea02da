// TraceRows: the spans of one trace's part as rows again (model/row.h), in codes of the segment's dictionary. The way
// from columns back to everything else: reading a trace, verifying candidates of a search, compaction.
// ~0.3 µs a span plus the block. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/span.h"
#include "store/segment.h"

namespace clew::store {

class TraceRows {
 public:
  struct Row {
    size_t offset = 0, size = 0;
    model::Stamp stamp;
    int32_t parent = -1;  // as in SealSpan
    model::SpanId id;
  };

  // Reads the trace. Rows whose block is damaged are left out, and `damaged()` says so; where a parent's id went with
  // them, one that nobody has stands for it. An error when the trace's page or the names are damaged, or a read fails
  // for another reason than damage.
  // `names`: the segment's, when the caller holds them already; who reads many traces for one writer must, since codes
  // are told apart by the address of their dictionary.
  Status read(const Segment& segment, uint32_t trace, std::shared_ptr<const SegmentNames> names = nullptr);
  // Page and summary only.
  Status read_head(const Segment& segment, uint32_t trace, bool with_summary = true,
                   std::shared_ptr<const SegmentNames> names = nullptr);
  // After read(): the verdicts, appended.
  Status read_verdicts(std::vector<model::Verdict>& out) const;

  const std::vector<Row>& rows() const { return rows_; }
  std::string_view bytes(const Row& row) const { return {bytes_.data() + row.offset, row.size}; }
  const model::Dictionary& dictionary() const { return names_->dictionary(); }
  const std::shared_ptr<const SegmentNames>& names() const { return names_; }
  model::TraceKey key() const { return page_->view.key(index_); }
  const model::TraceSummary& summary() const { return summary_; }
  bool damaged() const { return damaged_; }
  uint32_t first_span() const { return first_span_; }
  uint32_t span_count() const { return span_count_; }

 private:
  Status append_block(uint32_t block, uint32_t low, uint32_t high);

  const Segment* segment_ = nullptr;
  std::shared_ptr<const SegmentNames> names_;
  std::shared_ptr<const Segment::Page> page_;
  uint32_t index_ = 0, first_span_ = 0, span_count_ = 0;
  model::TraceSummary summary_;
  std::vector<model::SpanId> ids_;
  std::string bytes_;
  std::vector<Row> rows_;
  bool damaged_ = false;
};

}  // namespace clew::store
