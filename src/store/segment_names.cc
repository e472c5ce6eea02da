#include "store/segment_names.h"

#include <algorithm>

namespace clew::store {
namespace {

using model::EntryKind;

constexpr size_t kEntryOverhead = 48;

}  // namespace

SegmentNames::SegmentNames(uint64_t hash_seed) : dictionary_(hash_seed) {}

Result<std::shared_ptr<const SegmentNames>> SegmentNames::read(uint64_t hash_seed, std::string_view names,
                                                               std::string_view schema, std::string postings,
                                                               uint32_t blocks) {
  std::shared_ptr<SegmentNames> result(new SegmentNames(hash_seed));
  CLEW_TRY(result->dictionary_.apply_additions(names));
  result->postings_ = std::move(postings);
  if (!result->read_schema(schema)) return Error{Code::kDataLoss, "the segment's schema cannot be read"};
  if (!result->read_postings(blocks)) return Error{Code::kDataLoss, "the segment's postings cannot be read"};
  return std::shared_ptr<const SegmentNames>(std::move(result));
}

bool SegmentNames::read_schema(std::string_view schema) {
  ByteReader reader(schema);
  const uint32_t strings = dictionary_.size(EntryKind::kString);
  // A count is plausible when each element has at least a byte left.
  const auto count = [&reader] {
    const uint64_t n = reader.varint();
    if (n > reader.remaining()) reader.skip(UINT64_MAX);
    return reader.ok() ? n : 0;
  };
  const auto code = [&reader](uint64_t limit) {
    const uint64_t v = reader.varint();
    if (v >= limit) reader.skip(UINT64_MAX);
    return static_cast<uint32_t>(v);
  };
  const uint64_t operations = count();
  operations_.reserve(operations);
  for (uint64_t i = 0; i < operations && reader.ok(); ++i) {
    Operation o;
    o.name = code(uint64_t{strings} + 1);
    o.shape = code(uint64_t{dictionary_.size(EntryKind::kShape)} + 1);
    const auto bits = reader.fixed<uint16_t>();
    o.kind_status = static_cast<uint8_t>(bits);
    o.has_flags = (bits >> 8) != 0;
    o.flags = code(uint64_t{UINT32_MAX} + 1);
    operations_.push_back(o);
  }
  const uint64_t contexts = count();
  contexts_.reserve(contexts);
  for (uint64_t i = 0; i < contexts && reader.ok(); ++i) {
    ContextNames c;
    c.resource = code(dictionary_.size(EntryKind::kResource));
    c.scope = code(dictionary_.size(EntryKind::kScope));
    c.service = code(strings);
    contexts_.push_back(c);
  }
  const uint64_t columns = count();
  if (columns < kFirstKeyColumn) return false;
  columns_.reserve(columns);
  std::unordered_map<uint64_t, uint32_t> by_field;  // key << 8 | type
  for (uint64_t i = 0; i < columns && reader.ok(); ++i) {
    Column c;
    const uint32_t key = code(uint64_t{strings} + 1);
    c.key = key == 0 ? kNoKey : key - 1;
    const auto type = reader.fixed<uint8_t>();
    if (type > static_cast<uint8_t>(model::ValueType::kRaw)) return false;
    c.type = static_cast<model::ValueType>(type);
    c.overflow = reader.fixed<uint8_t>() != 0;
    const uint64_t values = reader.varint();
    if (values == 0 || values - 1 > reader.remaining()) return false;
    c.values.resize(1);
    c.values.reserve(values);
    const bool text = column_class(c.type) == ColumnClass::kText;
    for (uint64_t k = 1; k < values; ++k) {
      ColumnValue v;
      v.mode = model::StrMode::kCode;
      v.value = reader.varint();
      if (text) {
        v.mode = (v.value & 1) != 0 ? model::StrMode::kTemplate : model::StrMode::kCode;
        v.value >>= 1;
        const EntryKind kind = v.mode == model::StrMode::kTemplate ? EntryKind::kTemplate : EntryKind::kString;
        if (v.value >= dictionary_.size(kind)) return false;
      }
      c.values.push_back(v);
    }
    if ((i < kFirstKeyColumn) != (c.key == kNoKey)) return false;
    if (c.key != kNoKey) {
      by_field[uint64_t{c.key} << 8 | type] = static_cast<uint32_t>(i);
      keys_[string(c.key)].push_back(static_cast<uint32_t>(i));
    }
    columns_.push_back(std::move(c));
  }
  const uint64_t batches = count();
  std::vector<std::pair<uint64_t, uint32_t>> batch;  // sequence, origin
  for (uint64_t i = 0; i < batches && reader.ok(); ++i) {
    const uint64_t sequence = reader.varint();
    batch.emplace_back(sequence, code(uint64_t{UINT32_MAX} + 1));
  }
  const uint64_t stamps = count();
  stamps_.reserve(stamps);
  for (uint64_t i = 0; i < stamps && reader.ok(); ++i) {
    const uint64_t hlc = reader.varint();
    const uint32_t b = code(batch.size());
    if (!reader.ok()) return false;
    stamps_.push_back({hlc, batch[b].second, batch[b].first});
  }
  const uint64_t pairs = count();
  for (uint64_t i = 0; i < pairs && reader.ok(); ++i) {
    ServiceOperation s;
    s.tenant = code(UINT32_MAX);
    s.service = code(strings);
    s.name = code(strings);
    s.kind = reader.fixed<uint8_t>();
    service_operations_.push_back(s);
  }
  if (!reader.ok()) return false;

  operation_starts_.push_back(0);
  for (const Operation& o : operations_) {
    if (o.shape != 0) {
      for (const model::ShapeField& field : dictionary_.shape(o.shape - 1)) {
        if (column_class(field.type) == ColumnClass::kNone) continue;
        const auto found = by_field.find(uint64_t{field.key} << 8 | static_cast<uint64_t>(field.type));
        if (found == by_field.end()) return false;
        operation_columns_.push_back(found->second);
      }
    } else {
      operation_columns_.push_back(kColumnLists);
    }
    if (o.name == 0) operation_columns_.push_back(kColumnNames);
    operation_starts_.push_back(static_cast<uint32_t>(operation_columns_.size()));
  }
  return true;
}

bool SegmentNames::read_postings(uint32_t blocks) {
  blocks_ = blocks;
  ByteReader reader(postings_);
  const uint64_t lists = reader.varint();
  if (!reader.ok() || lists != columns_.size() + 2) return false;
  std::vector<uint64_t> sizes;
  for (uint64_t i = 0; i < lists; ++i) sizes.push_back(reader.varint());
  lists_.resize(lists);
  for (uint64_t i = 0; i < lists && reader.ok(); ++i) {
    ByteReader list(reader.bytes(sizes[i]));
    const uint64_t codes = list.varint();
    if (!list.ok() || codes > (uint64_t{1} << 28)) return false;
    std::vector<List::Entry>& entries = lists_[i].entries;
    for (size_t from = 0; from < codes; from += kMaxPacked) {
      const size_t n = std::min<size_t>(codes - from, kMaxPacked);
      PackedView spans, counts, bytes;
      if (!spans.parse(list, n) || !counts.parse(list, n) || !bytes.parse(list, n)) return false;
      entries.resize(from + n);
      for (size_t k = 0; k < n; ++k) {
        entries[from + k] = {static_cast<uint32_t>(spans.at(k)), static_cast<uint32_t>(counts.at(k)), 0,
                             static_cast<uint32_t>(bytes.at(k))};
      }
    }
    for (List::Entry& entry : entries) {
      const std::string_view data = list.bytes(entry.size >> 1);
      if (!list.ok()) return false;
      entry.offset = static_cast<uint32_t>(data.data() - postings_.data());
    }
  }
  return reader.ok();
}

std::span<const uint32_t> SegmentNames::columns_of_key(std::string_view key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return {};
  return found->second;
}

Posting SegmentNames::posting(uint32_t list, uint32_t code) const {
  if (list >= lists_.size() || code >= lists_[list].entries.size()) return {};
  const List::Entry& entry = lists_[list].entries[code];
  return {entry.spans, entry.blocks};
}

void SegmentNames::add_blocks(uint32_t list, uint32_t code, BlockSet& out) const {
  if (list >= lists_.size() || code >= lists_[list].entries.size()) return;
  const List::Entry& entry = lists_[list].entries[code];
  if (entry.blocks == blocks_) {
    out.fill();
    return;
  }
  const std::string_view data(postings_.data() + entry.offset, entry.size >> 1);
  if ((entry.size & 1) != 0) {
    for (uint32_t b = 0; b < blocks_ && b / 8 < data.size(); ++b) {
      if ((static_cast<uint8_t>(data[b / 8]) >> (b % 8) & 1) != 0) out.add(b);
    }
    return;
  }
  ByteReader reader(data);
  uint64_t block = 0;
  while (!reader.at_end()) {
    block += reader.varint();
    if (!reader.ok() || block >= blocks_) return;
    out.add(static_cast<uint32_t>(block));
  }
}

uint64_t SegmentNames::memory_bytes() const {
  uint64_t values = 0;
  for (const Column& column : columns_) values += column.values.size() * sizeof(ColumnValue) + kEntryOverhead;
  for (const List& list : lists_) values += list.entries.size() * sizeof(List::Entry);
  return sizeof(*this) + dictionary_.memory_bytes() + operations_.size() * sizeof(Operation) +
         operation_columns_.size() * 4 + contexts_.size() * sizeof(ContextNames) + values +
         stamps_.size() * sizeof(model::Stamp) + service_operations_.size() * sizeof(ServiceOperation) +
         postings_.size() + keys_.size() * kEntryOverhead;
}

}  // namespace clew::store
