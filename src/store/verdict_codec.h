// Verdicts as a segment keeps them: span ids that belong to the trace's part become indexes, because eight random bytes
// would cost more than all the rest.
//
//   verdicts := varint n, n × (u8 state, varint version, zigzag decided - base, varint basis, varint span_count,
//               varint late_spans, varint orphan_count, varint root_count, ids missing_parents,
//               varint n, n × finding, varint n, n × skew)
//   finding := u8 kind, u8 severity, varint count, ids, bytes detail
//   skew    := bytes host, bytes reference, zigzag offset, zigzag bound, varint edges
//   ids     := varint n, n × (varint index + 1, or varint 0 and u64 id)
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/varint.h"
#include "model/summary.h"

namespace clew::store {

void append_verdicts(std::span<const model::Verdict> verdicts, std::span<const model::SpanId> ids, int64_t base_ns,
                     std::string& out);
// Appends to `out`. False when malformed. `ids`: of the part's spans, in order.
bool read_verdicts(ByteReader& reader, std::span<const model::SpanId> ids, int64_t base_ns,
                   std::vector<model::Verdict>& out);
// Steps over them.
bool skip_verdicts(ByteReader& reader);

}  // namespace clew::store
