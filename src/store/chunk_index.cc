#include "store/chunk_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "base/hash.h"
#include "base/varint.h"
#include "store/shaped_walk.h"

namespace clew::store {
namespace {

// Salts of the hashed facts. In memory only.
constexpr uint64_t kSpanKey = 1, kResourceKey = 2, kNames = 3, kServices = 4, kTenants = 5;
constexpr uint64_t kText = 11, kTemplateText = 12, kNumber = 13, kReal = 14, kTruth = 15;

constexpr size_t kExpectedFactsPerRow = 6;
constexpr size_t kBitsPerFact = 10;
constexpr size_t kBlockWords = 8;

uint64_t scoped_key(uint64_t scope, uint64_t key_hash) { return mix64(scope, key_hash); }
uint64_t text_fact(uint64_t key, uint64_t text_hash) { return mix64(key + kText, text_hash); }
uint64_t template_fact(uint64_t key, uint64_t template_hash, std::string_view numbers) {
  return mix64(key + kTemplateText, mix64(template_hash, stable_hash64(numbers)));
}
uint64_t bool_fact(uint64_t key, bool value) { return mix64(key + kTruth, value); }
uint64_t int_fact(uint64_t key, int64_t value) { return mix64(key + kNumber, static_cast<uint64_t>(value)); }
// Doubles that are whole numbers count as ints, because the two compare as numbers.
uint64_t double_fact(uint64_t key, double value) {
  if (value >= -0x1p63 && value < 0x1p63 && value == std::floor(value))
    return int_fact(key, static_cast<int64_t>(value));
  return mix64(key + kReal, std::bit_cast<uint64_t>(value));
}

}  // namespace

// What one build remembers to do things once per dictionary code.
struct IndexScratch {
  std::vector<bool> shapes, resources;
  std::vector<uint64_t> key_hash;  // by string code: the scoped key; 0 unknown
  model::TenantId last_tenant;
  bool any_tenant = false;
  // Most facts of a row were facts of the row before: the ones added last are not added again.
  std::array<uint64_t, 4096> recent{};

  bool repeats(uint64_t hash) {
    uint64_t& slot = recent[hash % recent.size()];
    if (slot == hash) return true;
    slot = hash;
    return false;
  }

  static bool first(std::vector<bool>& seen, uint32_t code) {
    if (code >= seen.size()) seen.resize(std::max<size_t>(code + 1, seen.size() * 2), false);
    if (seen[code]) return false;
    seen[code] = true;
    return true;
  }
};

ChunkIndex::ChunkIndex(size_t rows) {
  const size_t bits = std::max<size_t>(rows * kExpectedFactsPerRow * kBitsPerFact, 512);
  const size_t blocks = std::bit_ceil(bits / (kBlockWords * 64) + 1);
  mask_ = blocks - 1;
  filter_.resize(blocks * kBlockWords);
}

// One bit in each of the eight words of a block (a "split block" filter, as Parquet describes it).
void ChunkIndex::add(uint64_t hash) {
  uint64_t* block = &filter_[((hash >> 32) & mask_) * kBlockWords];
  const uint64_t spread = hash * 0x9e3779b97f4a7c15ull;
  for (size_t word = 0; word < kBlockWords; ++word) block[word] |= 1ull << ((spread >> (word * 6 + 8)) & 63);
}

bool ChunkIndex::has(uint64_t hash) const {
  const uint64_t* block = &filter_[((hash >> 32) & mask_) * kBlockWords];
  const uint64_t spread = hash * 0x9e3779b97f4a7c15ull;
  for (size_t word = 0; word < kBlockWords; ++word) {
    if ((block[word] >> ((spread >> (word * 6 + 8)) & 63) & 1) == 0) return false;
  }
  return true;
}

std::unique_ptr<const ChunkIndex> ChunkIndex::build(const RowChunk& chunk) {
  size_t rows = 0;
  chunk.scan([&](const RowRecord&) { return ++rows, true; });
  std::unique_ptr<ChunkIndex> index(new ChunkIndex(rows));
  IndexScratch scratch;
  chunk.scan([&](const RowRecord& record) {
    index->add_row(chunk.dictionary(), record, scratch);
    return true;
  });
  return index;
}

void ChunkIndex::add_row(const model::Dictionary& dictionary, const RowRecord& record, IndexScratch& scratch) {
  model::RowHead head;
  // The codes of a damaged row may be anything; cursors check theirs.
  if (!model::parse_row_head(record.row(), head)) return;
  if (head.resource >= dictionary.size(model::EntryKind::kResource)) return;
  if (head.name.mode == model::StrMode::kCode && head.name.code >= dictionary.size(model::EntryKind::kString)) return;
  ++rows_;
  const auto note = [&](uint64_t hash) {
    if (hash == 0 || !scratch.repeats(hash)) add(hash);  // 0 marks an empty slot
  };
  const auto duration = static_cast<int64_t>(static_cast<uint64_t>(head.end_ns) - static_cast<uint64_t>(head.start_ns));
  min_start_ns_ = std::min(min_start_ns_, head.start_ns);
  max_start_ns_ = std::max(max_start_ns_, head.start_ns);
  min_duration_ns_ = std::min(min_duration_ns_, duration);
  max_duration_ns_ = std::max(max_duration_ns_, duration);
  kinds_ |= static_cast<uint8_t>(1u << (head.kind & 7));
  statuses_ |= static_cast<uint8_t>(1u << (head.status_code & 7));
  if (!scratch.any_tenant || scratch.last_tenant != record.tenant) {
    scratch.any_tenant = true;
    scratch.last_tenant = record.tenant;
    note(mix64(kTenants, record.tenant.value));
  }

  const auto add_text = [&](uint64_t key, const model::StrRef& ref) {
    switch (ref.mode) {
      case model::StrMode::kCode:
        note(text_fact(key, dictionary.text_hash(model::EntryKind::kString, ref.code)));
        break;
      case model::StrMode::kTemplate:
        note(template_fact(key, dictionary.text_hash(model::EntryKind::kTemplate, ref.code), ref.payload));
        break;
      case model::StrMode::kInline:
        note(text_fact(key, stable_hash64(ref.payload)));
        break;
    }
  };
  add_text(kNames, head.name);

  if (IndexScratch::first(scratch.resources, head.resource)) {
    note(text_fact(kServices, stable_hash64(dictionary.service_name(head.resource))));
    model::TraceData trace;
    if (model::append_span_of_row(dictionary, record.row(), {}, trace).ok() && !trace.spans.empty()) {
      for (const model::Attribute& attribute : trace.spans.front().resource->attributes) {
        const uint64_t key = scoped_key(kResourceKey, stable_hash64(attribute.key));
        note(key);
        switch (attribute.value.type) {
          case model::ValueType::kString:
            note(text_fact(key, stable_hash64(attribute.value.bytes)));
            break;
          case model::ValueType::kBool:
            note(bool_fact(key, attribute.value.integer != 0));
            break;
          case model::ValueType::kInt:
            note(int_fact(key, attribute.value.integer));
            break;
          case model::ValueType::kDouble:
            note(double_fact(key, attribute.value.real));
            break;
          default:
            break;
        }
      }
    }
  }

  const auto note_value = [&](uint64_t key, const model::RowValue& value) {
    switch (value.type) {
      case model::ValueType::kString:
        add_text(key, value.string);
        break;
      case model::ValueType::kBool:
        note(bool_fact(key, value.number != 0));
        break;
      case model::ValueType::kInt:
        note(int_fact(key, static_cast<int64_t>(value.number)));
        break;
      case model::ValueType::kDouble:
        note(double_fact(key, std::bit_cast<double>(value.number)));
        break;
      default:
        break;
    }
  };
  const auto key_of_code = [&](uint32_t code) {
    if (code >= scratch.key_hash.size()) scratch.key_hash.resize(code + 64);
    uint64_t& memo = scratch.key_hash[code];
    if (memo == 0) memo = scoped_key(kSpanKey, dictionary.text_hash(model::EntryKind::kString, code));
    return memo;
  };
  model::AttributeCursor cursor(dictionary, head.attributes, head.end);
  if (cursor.ok() && cursor.has_shape()) {
    const bool new_shape = IndexScratch::first(scratch.shapes, cursor.shape_code());
    walk_shaped(
        dictionary, dictionary.shape(cursor.shape_code()), cursor.position(), head.end,
        [](const model::ShapeField&) { return true; },
        [&](const model::ShapeField& field, const model::RowValue& value) {
          const uint64_t key = key_of_code(field.key);
          if (new_shape) note(key);
          note_value(key, value);
          return true;
        });
    return;
  }
  model::RowValue value;
  while (cursor.next(value)) {
    const uint64_t key =
        value.key_inline ? scoped_key(kSpanKey, stable_hash64(value.key_text)) : key_of_code(value.key);
    note(key);
    note_value(key, value);
  }
}

bool ChunkIndex::may_contain(model::TenantId tenant) const { return has(mix64(kTenants, tenant.value)); }

bool ChunkIndex::may_hold_text(uint64_t key, std::string_view text) const {
  if (has(text_fact(key, stable_hash64(text)))) return true;
  std::string template_text;
  std::vector<uint64_t> numbers;
  if (!model::split_template(text, template_text, numbers)) return false;
  std::string payload;
  for (uint64_t number : numbers) append_varint(payload, number);
  return has(template_fact(key, stable_hash64(template_text), payload));
}

bool ChunkIndex::may_hold_value(uint64_t scope, const Condition& condition) const {
  if (condition.op == Op::kAbsent) return true;
  const uint64_t key = scoped_key(scope, stable_hash64(condition.key));
  if (!has(key)) return false;
  if (condition.op != Op::kEq) return true;
  const Literal& literal = condition.literal;
  switch (literal.type) {
    case Literal::Type::kString:
      if (may_hold_text(key, literal.text)) return true;
      return (condition.as_int && has(int_fact(key, condition.int_value))) ||
             (condition.as_double && has(double_fact(key, condition.double_value))) ||
             (condition.as_bool && has(bool_fact(key, condition.bool_value)));
    case Literal::Type::kInt:
      return has(int_fact(key, literal.integer));
    case Literal::Type::kDouble:
      return has(double_fact(key, literal.real));
    case Literal::Type::kBool:
      return has(bool_fact(key, literal.integer != 0));
    case Literal::Type::kNil:
      return true;
  }
  return true;
}

bool ChunkIndex::may_hold(const Condition& condition) const {
  const bool equals_text = condition.op == Op::kEq && condition.literal.type == Literal::Type::kString;
  const auto any_number = [&](uint8_t seen) {
    for (int64_t number = 0; number < 8; ++number) {
      if ((seen >> number & 1) && condition.holds_int(number)) return true;
    }
    return false;
  };
  switch (condition.field) {
    case Field::kAttribute:
      return may_hold_value(kSpanKey, condition);
    case Field::kResource:
      return may_hold_value(kResourceKey, condition);
    case Field::kAny:
      return may_hold_value(kSpanKey, condition) || may_hold_value(kResourceKey, condition);
    case Field::kName:
      return !equals_text || may_hold_text(kNames, condition.literal.text);
    case Field::kService:
      return !equals_text || has(text_fact(kServices, stable_hash64(condition.literal.text)));
    case Field::kKind:
      return any_number(kinds_);
    case Field::kStatus:
      return any_number(statuses_);
    case Field::kDuration:
      // An interval test for each direction; the extremes are values that occur.
      switch (condition.op) {
        case Op::kGt:
        case Op::kGe:
          return condition.holds_int(max_duration_ns_);
        case Op::kLt:
        case Op::kLe:
          return condition.holds_int(min_duration_ns_);
        default:
          return true;
      }
    default:
      return true;
  }
}

bool ChunkIndex::may_match(const Matcher& matcher) const {
  if (rows_ == 0) return false;
  const auto& nodes = matcher.nodes();
  std::vector<bool> may(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto child_may = [&](uint32_t child) { return may[child]; };
    switch (nodes[i].kind) {
      case Expr::Kind::kLeaf:
        may[i] = may_hold(matcher.conditions()[nodes[i].condition]);
        break;
      case Expr::Kind::kAnd:
        may[i] = std::all_of(nodes[i].children.begin(), nodes[i].children.end(), child_may);
        break;
      case Expr::Kind::kOr:
        may[i] = std::any_of(nodes[i].children.begin(), nodes[i].children.end(), child_may);
        break;
      case Expr::Kind::kNot:
        may[i] = true;
        break;
    }
  }
  return may.back();
}

const ChunkIndex* ensure_index(const RowChunk& chunk) {
  if (const ChunkIndex* index = chunk.index()) return index;
  if (!chunk.closed()) return nullptr;
  return chunk.publish_index(ChunkIndex::build(chunk));
}

void search_chunk(const RowChunk& chunk, RowMatcher& matcher, model::TenantId tenant,
                  const std::function<bool(const RowHit&)>& sink, ScanStats* stats) {
  if (const ChunkIndex* index = ensure_index(chunk);
      index && (!index->may_contain(tenant) || !index->may_match(matcher.matcher()))) {
    if (stats) ++stats->skipped;
    return;
  }
  matcher.use_dictionary(chunk.shared_dictionary());
  uint64_t rows = 0;
  RowHit hit;
  chunk.scan([&](const RowRecord& record) {
    if (record.tenant != tenant) return true;
    ++rows;
    const RowMatch match = matcher.match(record.row(), hit.head);
    if (match == RowMatch::kNo) return true;
    hit.record = &record;
    hit.exact = match == RowMatch::kYes;
    return sink(hit);
  });
  if (stats) {
    ++stats->chunks;
    stats->rows += rows;
  }
}

}  // namespace clew::store
