#include "store/segment_writer_impl.h"

namespace clew::store {

void SegmentWriter::Impl::flush_page() {
  if (page.size() == 0) return;
  PageEntry entry{page.first(), first_span_of_page, static_cast<uint32_t>(page.size()), {}, {}};
  out.clear();
  page.flush(out);
  count("trace table", out.size());
  entry.table = put_piece(out);
  out.clear();
  compressor.append(verdicts, kFastLevel, out);
  count("verdicts", out.size());
  entry.verdicts = put_piece(out);
  verdicts.clear();
  pages.push_back(entry);
  first_span_of_page = static_cast<uint32_t>(info.spans);
}

void SegmentWriter::Impl::append_schema(std::string& to) const {
  append_varint(to, operations.size());
  for (const CodeMap::Key& key : operations.keys()) {
    append_varint(to, key.a >> 32);
    append_varint(to, key.a & UINT32_MAX);
    append_fixed(to, static_cast<uint16_t>(key.b));  // kind and status, has flags
    append_varint(to, key.b >> 16);
  }
  append_varint(to, contexts.size());
  for (uint32_t i = 0; i < contexts.size(); ++i) {
    append_varint(to, contexts.keys()[i].a);
    append_varint(to, contexts.keys()[i].b);
    append_varint(to, context_service[i] - 1);
  }
  append_varint(to, columns.size());
  for (const ColumnBuilder& builder : columns) {
    const Column& column = builder.column;
    append_varint(to, column.key == kNoKey ? 0 : uint64_t{column.key} + 1);
    to.push_back(static_cast<char>(column.type));
    to.push_back(column.overflow ? 1 : 0);
    append_varint(to, column.values.size());
    for (size_t i = 1; i < column.values.size(); ++i) {
      const ColumnValue& value = column.values[i];
      if (column_class(column.type) == ColumnClass::kText) {
        append_varint(to, value.value << 1 | (value.mode == model::StrMode::kTemplate ? 1 : 0));
      } else {
        append_varint(to, value.value);
      }
    }
  }
  append_varint(to, batches.size());
  for (const CodeMap::Key& key : batches.keys()) {
    append_varint(to, key.a);
    append_varint(to, key.b);
  }
  append_varint(to, stamps.size());
  for (const CodeMap::Key& key : stamps.keys()) {
    append_varint(to, key.a);
    append_varint(to, key.b);
  }
  append_varint(to, service_operations.size());
  for (const CodeMap::Key& key : service_operations.keys()) {
    append_varint(to, key.a >> 32);
    append_varint(to, (key.a & UINT32_MAX) - 1);
    append_varint(to, key.b >> 8);
    to.push_back(static_cast<char>(key.b & 0xff));
  }
}

void SegmentWriter::Impl::append_postings(std::string& to) const {
  const auto n = static_cast<uint32_t>(blocks.size());
  std::string data;
  append_varint(to, columns.size() + 2);
  const auto add = [&](const PostingBuilder& builder) {
    const size_t before = data.size();
    builder.finish(n, data);
    append_varint(to, data.size() - before);
  };
  add(operation_postings);
  add(context_postings);
  for (const ColumnBuilder& builder : columns) add(builder.postings);
  to += data;
}

void SegmentWriter::Impl::put_section(Section section, std::string_view bytes, uint16_t flags) {
  append_fixed(section_table, static_cast<uint16_t>(section));
  append_fixed(section_table, flags);
  append_fixed(section_table, written);
  append_fixed(section_table, static_cast<uint64_t>(bytes.size()));
  append_fixed(section_table, checksum32(bytes));
  ++sections;
  put(bytes);
}

Status SegmentWriter::Impl::finish() {
  flush_block(info.traces);
  flush_page();
  sort_newest_first(order);
  std::string directory;
  uint64_t chunk_bytes = 0;
  for (size_t from = 0; from < order.size(); from += kOrderEntries) {
    const size_t to = std::min<size_t>(order.size(), from + kOrderEntries);
    out.clear();
    append_order_chunk(order.data() + from, order.data() + to, out);
    chunk_bytes += out.size();
    const OrderEntry entry{order[from].start_ns, order[to - 1].start_ns, static_cast<uint32_t>(to - from),
                           put_piece(out)};
    append_order_entry(entry, directory);
  }
  count("newest-first order", chunk_bytes);
  put_section(Section::kOrder, directory);
  directory.clear();
  for (const BlockEntry& entry : blocks) append_block_entry(entry, directory);
  put_section(Section::kBlocks, directory);
  directory.clear();
  for (const PageEntry& entry : pages) append_page_entry(entry, directory);
  put_section(Section::kPages, directory);
  directory.clear();
  for (const TenantEntry& entry : tenants) append_tenant_entry(entry, directory);
  put_section(Section::kTenants, directory);

  std::string plain;
  dictionary.write_additions(0, plain);
  out.clear();
  compressor.append(plain, kNamesLevel, out);
  count("dictionary", out.size());
  put_section(Section::kNames, out);
  plain.clear();
  append_schema(plain);
  out.clear();
  compressor.append(plain, kNamesLevel, out);
  count("schema", out.size());
  put_section(Section::kSchema, out);
  plain.clear();
  append_postings(plain);
  out.clear();
  compressor.append(plain, kFastLevel, out);
  count("postings", out.size());
  put_section(Section::kPostings, out);
  out.clear();
  info.value_filter_lines = value_filter.finish(out);
  count("value filter", out.size());
  put_section(Section::kValueFilter, out, kSectionSkippable);
  KeyFilter keys(key_hashes.size());
  for (const uint64_t hash : key_hashes) keys.add(hash);
  count("key filter", keys.bytes().size());
  put_section(Section::kKeyFilter, keys.bytes());
  out.clear();
  append_info(info, out);
  put_section(Section::kInfo, out);

  const uint64_t table_offset = written;
  out = section_table;
  append_fixed(out, table_offset);
  append_fixed(out, sections);
  append_fixed(out, checksum32(section_table));
  out.append(kSegmentMagic, sizeof(kSegmentMagic));
  count("directories, footer", out.size() + blocks.size() * 40 + pages.size() * 50);
  put(out);
  return failure;
}

}  // namespace clew::store
