#include "store/segment_writer.h"

#include "store/segment_writer_impl.h"
#include "store/verdict_codec.h"

namespace clew::store {

using model::ValueType;

void SegmentWriter::Impl::add_text(uint32_t column, const model::StrRef& ref) {
  ColumnBuilder& to = columns[column];
  switch (ref.mode) {
    case model::StrMode::kCode:
      to.add_code(value_code(to, ref.mode, codes.string(ref.code), UINT32_MAX - 1));
      return;
    case model::StrMode::kTemplate: {
      const uint32_t code = value_code(to, ref.mode, codes.template_code(ref.code), UINT32_MAX - 1);
      to.add_code(code);
      ByteReader numbers(ref.payload);
      uint64_t hash = filter_hash(column, code);
      for (size_t i = 0; !numbers.at_end(); ++i) {
        const uint64_t number = numbers.varint();
        to.add_placeholder(i, number);
        hash = mix64(hash, number);
      }
      value_filter.add(hash);
      return;
    }
    case model::StrMode::kInline:
      to.add_inline(ref.payload);
      block.heap_bytes += ref.payload.size();
      value_filter.add(filter_hash(column, stable_hash64(ref.payload)));
      return;
  }
}

bool SegmentWriter::Impl::add_value(ByteReader& reader, uint32_t column, ValueType type) {
  switch (type) {
    case ValueType::kEmpty:
      return true;
    case ValueType::kString: {
      const uint64_t head = reader.varint();
      model::StrRef ref;
      ref.mode = static_cast<model::StrMode>(head & 3);
      ref.code = static_cast<uint32_t>(head >> 2);
      if (ref.mode == model::StrMode::kInline) {
        ref.payload = reader.bytes(head >> 2);
      } else if (ref.mode == model::StrMode::kTemplate) {
        const char* begin = reader.position();
        for (uint32_t i = codes.source().placeholders(ref.code); i > 0; --i) reader.varint();
        ref.payload = {begin, static_cast<size_t>(reader.position() - begin)};
      } else if (ref.mode != model::StrMode::kCode) {
        return false;
      }
      if (reader.ok()) add_text(column, ref);
      return reader.ok();
    }
    case ValueType::kBool:
      add_number(column, reader.fixed<uint8_t>() != 0);
      return reader.ok();
    case ValueType::kInt:
      add_number(column, static_cast<uint64_t>(reader.zigzag_varint()));
      return reader.ok();
    case ValueType::kDouble:
      add_number(column, reader.fixed<uint64_t>());
      return reader.ok();
    case ValueType::kBytes:
    case ValueType::kComplex:
    case ValueType::kRaw: {
      const std::string_view bytes = reader.prefixed_bytes();
      columns[column].add_bytes(bytes);
      block.heap_bytes += bytes.size();
      return reader.ok();
    }
  }
  return false;
}

Status SegmentWriter::Impl::add_span(const SealTrace& trace, size_t index) {
  const SealSpan& span = trace.spans[index];
  codes.use(*span.dictionary);
  model::RowHead head;
  if (!model::parse_row_head(span.row, head)) return malformed(trace.key);

  // Attributes, straight into their columns.
  ByteReader reader({head.attributes, static_cast<size_t>(head.end - head.attributes)});
  Operation operation;
  const uint64_t list_head = reader.varint();
  const char* after = nullptr;
  if (list_head != 0 && list_head <= span.dictionary->size(model::EntryKind::kShape)) {
    const auto source_shape = static_cast<uint32_t>(list_head - 1);
    const uint32_t shape = codes.shape(source_shape);
    if (!codes.ok()) return full();
    operation.shape = shape + 1;
    const std::vector<uint32_t>& fields = columns_of_shape(shape);
    const std::span<const model::ShapeField> types = span.dictionary->shape(source_shape);
    block.values += fields.size();
    for (size_t i = 0; i < types.size(); ++i) {
      if (!add_value(reader, fields[i], types[i].type)) return malformed(trace.key);
    }
    after = reader.position();
  } else {
    model::AttributeCursor cursor(*span.dictionary, head.attributes, head.end);
    piece.clear();
    if (!codes.append_list(cursor, piece)) return malformed(trace.key);
    after = cursor.position();
    columns[kColumnLists].add_bytes(piece);
    block.heap_bytes += piece.size();
  }
  if (head.name.mode == model::StrMode::kCode) {
    operation.name = codes.string(head.name.code) + 1;
  } else {
    add_text(kColumnNames, head.name);
  }
  operation.kind_status = static_cast<uint8_t>(head.kind | head.status_code << 3);

  constexpr uint8_t kTail = model::kHasTraceState | model::kHasStatusMessage | model::kHasDropped | model::kHasEvents |
                            model::kHasLinks | model::kHasUnknown;
  const size_t in_block = block.ids.size();
  if (in_block % 8 == 0) block.tail_bits.push_back('\0');
  if ((head.presence & (kTail | model::kHasFlags)) != 0) {
    model::RowTail tail;
    if (!model::parse_row_tail(*span.dictionary, head, after, tail)) return malformed(trace.key);
    operation.has_flags = (head.presence & model::kHasFlags) != 0;
    operation.flags = tail.flags;
    if ((head.presence & kTail) != 0) {
      const size_t before = block.tails.size();
      block.tails.push_back(static_cast<char>(head.presence & kTail));
      const auto block_number = static_cast<uint32_t>(blocks.size());
      const auto note = [&](uint32_t column, uint32_t code) {
        columns[column].postings.add(
            code == 0 ? 0 : value_code(columns[column], model::StrMode::kCode, code - 1, UINT32_MAX - 1), block_number);
      };
      if (!codes.append_tail(
              head, tail, block.tails, [&](uint32_t code) { note(kColumnEvents, code); },
              [&](uint32_t code) { note(kColumnMessages, code); })) {
        return malformed(trace.key);
      }
      block.tail_bits.back() = static_cast<char>(block.tail_bits.back() | 1 << (in_block % 8));
      block.tail_lengths.push_back(static_cast<uint32_t>(block.tails.size() - before));
    }
  }

  const uint32_t context = contexts.code({codes.resource(head.resource), codes.scope(head.scope)});
  if (!codes.ok()) return full();
  if (context == context_service.size()) {
    const std::string_view service = dictionary.service_name(static_cast<uint32_t>(contexts.keys()[context].a));
    const auto code = dictionary.intern(model::EntryKind::kString, service);
    if (!code) return full();
    context_service.push_back(*code + 1);
  }
  const uint32_t code =
      operations.code({uint64_t{operation.name} << 32 | operation.shape,
                       uint64_t{operation.flags} << 16 | uint64_t{operation.has_flags} << 8 | operation.kind_status});
  const auto block_number = static_cast<uint32_t>(blocks.size());
  operation_postings.add(code, block_number);
  context_postings.add(context, block_number);
  // Most pairs were met before: a small table spares them the question.
  const uint64_t pair = (uint64_t{code} << 32 | context) + 1;
  uint64_t& met = known_operations[(code * 31 + context) % known_operations.size()];
  if (operation.name != 0 && met != pair) {
    met = pair;
    service_operations.code(
        {(tenants.size() - 1) << 32 | context_service[context], uint64_t{operation.name - 1} << 8 | head.kind});
  }

  block.ids.push_back(head.span_id.value);
  block.operations.push_back(code);
  block.contexts.push_back(context);
  block.starts.push_back(static_cast<uint64_t>(head.start_ns) - static_cast<uint64_t>(trace.summary.start_ns));
  block.durations.push_back(static_cast<uint64_t>(head.end_ns) - static_cast<uint64_t>(head.start_ns));
  last_duration = static_cast<int64_t>(block.durations.back());
  // The caller's parent index is used only where it says what the row says.
  const bool has_parent = (head.presence & model::kHasParent) != 0;
  uint32_t parent = 1;
  if (has_parent) {
    parent = 0;
    if (span.parent >= 0 && static_cast<size_t>(span.parent) < ids.size() &&
        ids[static_cast<size_t>(span.parent)] == head.parent_id) {
      parent = static_cast<uint32_t>(span.parent) + 2;
    } else {
      block.foreign.push_back(head.parent_id.value);
    }
  }
  block.parents.push_back(parent);
  const uint32_t stamp = stamp_code(span.stamp);
  if (block.run_stamps.empty() || block.run_stamps.back() != stamp || index == 0) {
    block.run_stamps.push_back(stamp);
    block.run_lengths.push_back(0);
  }
  ++block.run_lengths.back();
  ++info.spans;
  if (block.ids.size() >= kBlockSpans || block.values >= kMaxBlockValues ||
      block.heap_bytes + block.tails.size() > kMaxBlockHeap) {
    flush_block(info.traces + (index + 1 == trace.spans.size() ? 1 : 0));
  }
  return failure;
}

void SegmentWriter::Impl::flush_block(uint64_t next_first_trace) {
  if (block.ids.empty()) return;
  const auto n = static_cast<uint32_t>(block.ids.size());
  const auto number = static_cast<uint32_t>(blocks.size());
  BlockEntry entry{first_span_of_block, n, first_trace_of_block, {}, {}, {}};
  out.clear();
  append_varint(out, n);
  out.append(reinterpret_cast<const char*>(block.ids.data()), size_t{n} * 8);
  count("span ids", out.size());
  size_t mark = out.size();
  const auto done = [&](const char* part) {
    count(part, out.size() - mark);
    mark = out.size();
  };
  append_packed(std::span<const uint32_t>(block.operations), out);
  append_packed(std::span<const uint32_t>(block.contexts), out);
  done("operations, contexts");
  append_packed(std::span<const uint64_t>(block.starts), out);
  append_packed(std::span<const uint64_t>(block.durations), out);
  done("times");
  append_packed(std::span<const uint32_t>(block.parents), out);
  append_varint(out, block.foreign.size());
  for (const uint64_t id : block.foreign) append_fixed(out, id);
  done("parents");
  append_varint(out, block.run_stamps.size());
  append_packed(std::span<const uint32_t>(block.run_lengths), out);
  append_packed(std::span<const uint32_t>(block.run_stamps), out);
  done("stamps");
  out += block.tail_bits;
  done("tail bits");
  block.heap.clear();
  uint32_t present = 0;
  std::string directory;
  piece.clear();
  uint32_t previous = 0;
  for (uint32_t c = 0; c < columns.size(); ++c) {
    if (columns[c].empty()) continue;
    const size_t before = piece.size();
    columns[c].flush(number, piece, block.heap);
    append_varint(directory, c - previous);
    append_varint(directory, piece.size() - before);
    previous = c;
    ++present;
  }
  append_varint(out, present);
  out += directory;
  done("column directories");
  out += piece;
  done("attribute columns");
  entry.columns = put_piece(out);
  if (!block.tail_lengths.empty()) {
    piece.clear();
    append_varint(piece, block.tail_lengths.size());
    append_packed(std::span<const uint32_t>(block.tail_lengths), piece);
    piece += block.tails;
    out.clear();
    compressor.append(piece, kFastLevel, out);
    entry.tails = put_piece(out);
    count("events, links, rest", out.size());
  }
  if (!block.heap.empty()) {
    out.clear();
    compressor.append(block.heap, kFastLevel, out);
    entry.heap = put_piece(out);
    count("texts and bytes", out.size());
  }
  blocks.push_back(entry);
  value_filter.end_block();
  block.ids.clear();
  block.operations.clear();
  block.contexts.clear();
  block.starts.clear();
  block.durations.clear();
  block.parents.clear();
  block.foreign.clear();
  block.run_lengths.clear();
  block.run_stamps.clear();
  block.tail_lengths.clear();
  block.tail_bits.clear();
  block.tails.clear();
  block.values = block.heap_bytes = 0;
  first_span_of_block = static_cast<uint32_t>(info.spans);
  first_trace_of_block = static_cast<uint32_t>(next_first_trace);
}

Status SegmentWriter::Impl::add_trace(const SealTrace& trace) {
  if (info.traces > 0) CHECK(last_key < trace.key);
  if (info.spans + trace.spans.size() > UINT32_MAX) return full();
  last_key = trace.key;
  if (tenants.empty() || tenants.back().tenant != trace.key.tenant) {
    flush_block(info.traces);
    known_operations.fill(0);
    tenants.push_back({trace.key.tenant, static_cast<uint32_t>(info.traces), static_cast<uint32_t>(blocks.size())});
  }
  ids.clear();
  for (const SealSpan& span : trace.spans) {
    uint64_t id = 0;
    if (span.row.size() >= 10) std::memcpy(&id, span.row.data() + 2, 8);
    ids.push_back({id});
  }
  TraceRow row{trace.key};
  row.spans = static_cast<uint32_t>(trace.spans.size());
  int64_t longest = 0;
  const model::TraceSummary& summary = trace.summary;
  for (size_t i = 0; i < trace.spans.size(); ++i) {
    CLEW_TRY(add_span(trace, i));
    longest = std::max(longest, last_duration);
    const uint64_t hlc = trace.spans[i].stamp.hlc;
    if (hlc == summary.first_arrival_hlc) row.first_stamp = last_stamp_code;
    if (hlc == summary.last_arrival_hlc) row.last_stamp = last_stamp_code;
    if (summary.root.valid() && ids[i] == summary.root && row.root_index == UINT32_MAX) {
      row.root_index = static_cast<uint32_t>(i);
    }
  }
  const auto service = dictionary.intern(model::EntryKind::kString, summary.root_service);
  const auto name = dictionary.intern(model::EntryKind::kString, summary.root_name);
  if (!service || !name) return full();
  row.root_service = *service;
  row.root_name = *name;
  if (!trace.verdicts.empty()) {
    for (const model::Finding& finding : trace.verdicts.back().findings) {
      row.findings |= 1u << (static_cast<uint32_t>(finding.kind) & 31);
    }
  }
  page.add(row, summary);
  if (verdicts.empty()) {
    // Those of one batch were decided at once: what follows is near it.
    verdict_base_ns = trace.verdicts.empty() ? 0 : trace.verdicts.front().decided_ns;
    append_varint(verdicts, zigzag(verdict_base_ns));
  }
  append_verdicts(trace.verdicts, ids, verdict_base_ns, verdicts);
  order.push_back({summary.start_ns, trace.key.trace, static_cast<uint32_t>(info.traces),
                   static_cast<uint8_t>((static_cast<uint8_t>(summary.state) & 3) | duration_bucket(longest) << 2)});
  key_hashes.push_back(key_hash(trace.key));
  ++info.traces;
  info.min_start_ns = std::min(info.min_start_ns, summary.start_ns);
  info.max_start_ns = std::max(info.max_start_ns, summary.start_ns);
  info.min_first_hlc = std::min(info.min_first_hlc, summary.first_arrival_hlc);
  info.max_first_hlc = std::max(info.max_first_hlc, summary.first_arrival_hlc);
  info.max_last_hlc = std::max(info.max_last_hlc, summary.last_arrival_hlc);
  info.states |= 1u << (static_cast<uint32_t>(summary.state) & 31);
  info.findings |= row.findings;
  if (page.size() == kPageTraces || verdicts.size() > kMaxBlockHeap) flush_page();
  return failure;
}

SegmentWriter::SegmentWriter(uint64_t hash_seed, Sink sink)
    : impl_(std::make_unique<Impl>(hash_seed, std::move(sink))) {}
SegmentWriter::~SegmentWriter() = default;
Status SegmentWriter::add(const SealTrace& trace) { return impl_->add_trace(trace); }
Status SegmentWriter::finish() { return impl_->finish(); }
uint64_t SegmentWriter::spans() const { return impl_->info.spans; }
uint64_t SegmentWriter::bytes() const { return impl_->written; }
const std::vector<SegmentWriter::Part>& SegmentWriter::parts() const { return impl_->part_list; }

}  // namespace clew::store
