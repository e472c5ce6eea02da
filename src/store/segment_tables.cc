#include "store/segment_tables.h"

#include <algorithm>

#include "base/varint.h"

namespace clew::store {
namespace {

constexpr uint64_t kSign = uint64_t{1} << 63;

uint64_t load64(const char* from, size_t index) {
  uint64_t word;
  std::memcpy(&word, from + index * 8, 8);
  return word;
}

}  // namespace

void TracePageBuilder::add(const TraceRow& row, const model::TraceSummary& summary) {
  keys_.push_back(row.key);
  digests_.push_back(summary.digest);
  const auto put = [this](TraceColumn column, uint64_t value) { columns_[column].push_back(value); };
  put(kTraceSpans, row.spans);
  put(kTraceStart, static_cast<uint64_t>(summary.start_ns) ^ kSign);
  put(kTraceDuration, static_cast<uint64_t>(summary.end_ns) - static_cast<uint64_t>(summary.start_ns));
  if (!summary.root.valid()) {
    put(kTraceRoot, 0);
  } else if (row.root_index == UINT32_MAX) {
    put(kTraceRoot, 1);
    roots_.push_back(summary.root.value);
  } else {
    put(kTraceRoot, uint64_t{row.root_index} + 2);
  }
  put(kTraceRootService, row.root_service);
  put(kTraceRootName, row.root_name);
  put(kTraceSpanCount, uint64_t{summary.span_count} - row.spans);  // 0, mostly
  put(kTraceErrors, summary.error_count);
  put(kTraceOrphans, summary.orphan_count);
  put(kTraceServices, summary.service_count);
  put(kTraceState, static_cast<uint64_t>(summary.state));
  put(kTraceVersion, summary.verdict_version);
  put(kTraceFindings, row.findings);
  const auto put_stamp = [&](TraceColumn column, uint32_t number, uint64_t hlc) {
    put(column, number == UINT32_MAX ? 0 : uint64_t{number} + 1);
    if (number == UINT32_MAX) stamps_.push_back(hlc);
  };
  put_stamp(kTraceFirstStamp, row.first_stamp, summary.first_arrival_hlc);
  put_stamp(kTraceLastStamp, row.last_stamp, summary.last_arrival_hlc);
}

void TracePageBuilder::flush(std::string& out) {
  const bool one_tenant = keys_.front().tenant == keys_.back().tenant;
  out.push_back(one_tenant ? 1 : 0);
  for (const model::TraceKey& key : keys_) {
    append_fixed(out, key.tenant.value);
    if (one_tenant) break;
  }
  for (const model::TraceKey& key : keys_) {
    append_fixed(out, key.trace.hi);
    append_fixed(out, key.trace.lo);
  }
  for (const Hash128& digest : digests_) {
    append_fixed(out, digest.lo);
    append_fixed(out, digest.hi);
  }
  for (std::vector<uint64_t>& column : columns_) {
    append_packed(std::span<const uint64_t>(column), out);
    column.clear();
  }
  append_varint(out, roots_.size());
  for (const uint64_t root : roots_) append_fixed(out, root);
  append_varint(out, stamps_.size());
  for (const uint64_t stamp : stamps_) append_fixed(out, stamp);
  keys_.clear();
  digests_.clear();
  roots_.clear();
  stamps_.clear();
}

bool TracePageView::parse(std::string_view bytes, uint32_t traces) {
  ByteReader reader(bytes);
  traces_ = traces;
  one_tenant_ = reader.fixed<uint8_t>() != 0;
  tenants_ = reader.bytes(one_tenant_ ? 8 : uint64_t{traces} * 8).data();
  ids_ = reader.bytes(uint64_t{traces} * 16).data();
  digests_ = reader.bytes(uint64_t{traces} * 16).data();
  if (!reader.ok() || traces == 0) return false;
  for (PackedView& column : columns_) {
    if (!column.parse(reader, traces)) return false;
  }
  spans_before_.resize(traces);
  uint64_t spans = 0;
  for (uint32_t i = 0; i < traces; ++i) {
    spans_before_[i] = spans;
    spans += at(kTraceSpans, i) & UINT32_MAX;
  }
  root_count_ = reader.varint();
  if (root_count_ > traces) return false;
  roots_ = reader.bytes(root_count_ * 8).data();
  stamp_count_ = reader.varint();
  if (stamp_count_ > uint64_t{traces} * 2) return false;
  stamps_ = reader.bytes(stamp_count_ * 8).data();
  return reader.ok();
}

model::TraceKey TracePageView::key(uint32_t i) const {
  const model::TenantId tenant{load64(tenants_, one_tenant_ ? 0 : i)};
  return model::trace_key(tenant, {load64(ids_, i * 2), load64(ids_, i * 2 + 1)});
}

Hash128 TracePageView::digest(uint32_t i) const { return {load64(digests_, i * 2), load64(digests_, i * 2 + 1)}; }

model::SpanId TracePageView::root_aside(uint32_t i) const {
  uint64_t place = 0;
  for (uint32_t k = 0; k < i; ++k) place += at(kTraceRoot, k) == 1;
  return place < root_count_ ? model::SpanId{load64(roots_, place)} : model::SpanId{};
}

uint64_t TracePageView::stamp_aside(TraceColumn column, uint32_t i) const {
  uint64_t place = 0;
  for (uint32_t k = 0; k < i; ++k) place += (at(kTraceFirstStamp, k) == 0) + (at(kTraceLastStamp, k) == 0);
  if (column == kTraceLastStamp) place += at(kTraceFirstStamp, i) == 0;
  return place < stamp_count_ ? load64(stamps_, place) : 0;
}

uint32_t TracePageView::find(const model::TraceKey& wanted) const {
  uint32_t low = 0, high = traces_;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (key(middle) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < traces_ && key(low) == wanted ? low : traces_;
}

void sort_newest_first(std::vector<OrderedTrace>& traces) {
  std::sort(traces.begin(), traces.end(), [](const OrderedTrace& a, const OrderedTrace& b) {
    return a.start_ns != b.start_ns ? a.start_ns > b.start_ns : a.trace > b.trace;
  });
}

void append_order_chunk(const OrderedTrace* begin, const OrderedTrace* end, std::string& out) {
  std::vector<uint64_t> differences;
  std::vector<uint32_t> numbers;
  append_varint(out, zigzag(begin->start_ns));
  int64_t previous = begin->start_ns;
  for (const OrderedTrace* t = begin; t != end; ++t) {
    differences.push_back(static_cast<uint64_t>(previous) - static_cast<uint64_t>(t->start_ns));
    previous = t->start_ns;
    numbers.push_back(t->number);
  }
  append_packed(std::span<const uint64_t>(differences), out);
  append_packed(std::span<const uint32_t>(numbers), out);
  for (const OrderedTrace* t = begin; t != end; ++t) out.push_back(static_cast<char>(t->classes));
}

bool order_chunk_may_fit(std::string_view bytes, uint32_t entries, uint32_t states, uint8_t min_bucket) {
  if (bytes.size() < entries) return true;                     // malformed: reading it says so
  for (const char c : bytes.substr(bytes.size() - entries)) {  // the classes stand last
    const auto classes = static_cast<uint8_t>(c);
    if ((classes >> 2) >= min_bucket && (states >> (classes & 3) & 1) != 0) return true;
  }
  return false;
}

bool read_order_chunk(std::string_view bytes, uint32_t entries, std::vector<OrderedTrace>& out) {
  ByteReader reader(bytes);
  auto start = static_cast<uint64_t>(reader.zigzag_varint());
  PackedView differences, numbers;
  if (!differences.parse(reader, entries) || !numbers.parse(reader, entries)) return false;
  const std::string_view classes = reader.bytes(entries);
  if (!reader.ok()) return false;
  out.resize(entries);
  for (uint32_t i = 0; i < entries; ++i) {
    start -= differences.at(i);
    out[i] = {static_cast<int64_t>(start), {}, static_cast<uint32_t>(numbers.at(i)), static_cast<uint8_t>(classes[i])};
  }
  return true;
}

}  // namespace clew::store
