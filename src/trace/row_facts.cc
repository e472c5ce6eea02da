#include "trace/row_facts.h"

namespace clew::trace {

bool read_row_facts(const model::Dictionary& dictionary, std::string_view row, model::RowHead& head, SpanFacts& facts) {
  if (!model::parse_row_head(row, head)) return false;
  facts.id = head.span_id;
  facts.parent = head.parent_id;
  facts.start_ns = head.start_ns;
  facts.end_ns = head.end_ns;
  facts.kind = head.kind;
  facts.status = head.status_code;
  facts.has_links = (head.presence & model::kHasLinks) != 0;
  facts.dropped = (head.presence & model::kHasDropped) != 0;
  facts.flags = 0;
  if (head.presence & model::kHasFlags) {
    model::AttributeCursor attributes(dictionary, head.attributes, head.end);
    model::RowValue value;
    while (attributes.next(value)) {
    }
    model::RowTail tail;
    if (!attributes.ok() || !model::parse_row_tail(dictionary, head, attributes.position(), tail)) return false;
    facts.flags = tail.flags;
  }
  return true;
}

}  // namespace clew::trace
