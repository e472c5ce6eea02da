#include "store/segment_format.h"

namespace clew::store {
namespace {

void append_piece(const Piece& piece, std::string& out) {
  append_varint(out, piece.size);
  if (piece.size == 0) return;
  append_varint(out, piece.offset);
  append_fixed(out, piece.checksum);
}

void read_piece(ByteReader& reader, Piece& out) {
  out = {};
  const uint64_t size = reader.varint();
  if (size > kMaxPieceBytes) {
    reader.skip(UINT64_MAX);
    return;
  }
  out.size = static_cast<uint32_t>(size);
  if (size == 0) return;
  out.offset = reader.varint();
  out.checksum = reader.fixed<uint32_t>();
}

uint32_t read_u32(ByteReader& reader) {
  const uint64_t v = reader.varint();
  if (v > UINT32_MAX) reader.skip(UINT64_MAX);
  return static_cast<uint32_t>(v);
}

}  // namespace

void append_block_entry(const BlockEntry& entry, std::string& out) {
  append_varint(out, entry.first_span);
  append_varint(out, entry.spans);
  append_varint(out, entry.first_trace);
  append_piece(entry.columns, out);
  append_piece(entry.tails, out);
  append_piece(entry.heap, out);
}

bool read_block_entry(ByteReader& reader, BlockEntry& out) {
  out.first_span = read_u32(reader);
  out.spans = read_u32(reader);
  out.first_trace = read_u32(reader);
  read_piece(reader, out.columns);
  read_piece(reader, out.tails);
  read_piece(reader, out.heap);
  return reader.ok();
}

void append_page_entry(const PageEntry& entry, std::string& out) {
  append_fixed(out, entry.first.tenant.value);
  append_fixed(out, entry.first.trace.hi);
  append_fixed(out, entry.first.trace.lo);
  append_varint(out, entry.first_span);
  append_varint(out, entry.traces);
  append_piece(entry.table, out);
  append_piece(entry.verdicts, out);
}

bool read_page_entry(ByteReader& reader, PageEntry& out) {
  const model::TenantId tenant{reader.fixed<uint64_t>()};
  const auto hi = reader.fixed<uint64_t>(), lo = reader.fixed<uint64_t>();
  out.first = model::trace_key(tenant, {hi, lo});
  out.first_span = read_u32(reader);
  out.traces = read_u32(reader);
  read_piece(reader, out.table);
  read_piece(reader, out.verdicts);
  return reader.ok();
}

void append_order_entry(const OrderEntry& entry, std::string& out) {
  append_varint(out, zigzag(entry.newest_ns));
  append_varint(out, zigzag(entry.oldest_ns));
  append_varint(out, entry.entries);
  append_piece(entry.chunk, out);
}

bool read_order_entry(ByteReader& reader, OrderEntry& out) {
  out.newest_ns = reader.zigzag_varint();
  out.oldest_ns = reader.zigzag_varint();
  out.entries = read_u32(reader);
  read_piece(reader, out.chunk);
  return reader.ok() && out.entries <= kOrderEntries;
}

void append_tenant_entry(const TenantEntry& entry, std::string& out) {
  append_fixed(out, entry.tenant.value);
  append_varint(out, entry.first_trace);
  append_varint(out, entry.first_block);
}

bool read_tenant_entry(ByteReader& reader, TenantEntry& out) {
  out.tenant.value = reader.fixed<uint64_t>();
  out.first_trace = read_u32(reader);
  out.first_block = read_u32(reader);
  return reader.ok();
}

void append_info(const SegmentInfo& info, std::string& out) {
  append_fixed(out, info.spans);
  append_fixed(out, info.traces);
  append_fixed(out, info.min_start_ns);
  append_fixed(out, info.max_start_ns);
  append_fixed(out, info.min_first_hlc);
  append_fixed(out, info.max_first_hlc);
  append_fixed(out, info.max_last_hlc);
  append_fixed(out, info.states);
  append_fixed(out, info.findings);
  append_fixed(out, info.value_filter_lines);
}

bool read_info(ByteReader& reader, SegmentInfo& out) {
  out.spans = reader.fixed<uint64_t>();
  out.traces = reader.fixed<uint64_t>();
  out.min_start_ns = reader.fixed<int64_t>();
  out.max_start_ns = reader.fixed<int64_t>();
  out.min_first_hlc = reader.fixed<uint64_t>();
  out.max_first_hlc = reader.fixed<uint64_t>();
  out.max_last_hlc = reader.fixed<uint64_t>();
  out.states = reader.fixed<uint32_t>();
  out.findings = reader.fixed<uint32_t>();
  out.value_filter_lines = reader.fixed<uint64_t>();
  return reader.ok() && out.spans <= UINT32_MAX && out.traces <= UINT32_MAX;
}

}  // namespace clew::store
