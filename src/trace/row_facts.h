// What a row says of its span, as assess() wants it. Shared by all who turn rows into facts. Pure; any thread.
#pragma once

#include <string_view>

#include "model/row.h"
#include "trace/assess.h"

namespace clew::trace {

// Fills everything but `host`, `service` and `late`, whose numbers are the caller's (by head.resource), and the row's
// head for those. False when the row is malformed. Walks the attributes only of rows that have flags, which stand
// behind them.
bool read_row_facts(const model::Dictionary& dictionary, std::string_view row, model::RowHead& head, SpanFacts& facts);

}  // namespace clew::trace
