#include "store/chunk_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "base/hash.h"
#include "base/varint.h"
#include "model/context.h"
#include "store/shaped_walk.h"

namespace clew::store {
namespace {

// Salts of the hashed facts. In memory only.
constexpr uint64_t kSpanKey = 1, kResourceKey = 2, kNames = 3, kServices = 4, kTenants = 5, kServiceNames = 6;
constexpr uint64_t kText = 11, kTemplateText = 12, kNumber = 13, kReal = 14, kTruth = 15;

// A row of a web service is 100 bytes and has about four facts that the rows before it in the granule had not: 12 bits
// each, five of them set.
constexpr size_t kBytesPerLine = 2048;
constexpr size_t kProbes = 5;
constexpr ChunkIndex::Mask kEverywhere = 0xffff;

bool is_text_equality(const Condition& condition) {
  return condition.op == Op::kEq && condition.literal.type == Literal::Type::kString;
}

uint64_t scoped_key(uint64_t scope, uint64_t key_hash) { return mix64(scope, key_hash); }
uint64_t text_fact(uint64_t key, uint64_t text_hash) { return mix64(key + kText, text_hash); }
uint64_t template_fact(uint64_t key, uint64_t template_hash, std::string_view numbers) {
  return mix64(key + kTemplateText, mix64(template_hash, stable_hash64(numbers)));
}
// Of a name's fact.
uint64_t service_name_fact(uint64_t service_hash, uint64_t name_fact) {
  return mix64(kServiceNames + service_hash, name_fact);
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

// What one build remembers, to do things once per dictionary code, or once per code and granule.
struct IndexScratch {
  struct ResourceFacts {
    bool read = false;
    uint8_t granules = 0;  // 1 + the granule that has them
    uint64_t service_hash = 0;
    std::vector<uint64_t> facts;
  };
  std::vector<ResourceFacts> resources;
  std::vector<uint8_t> shapes;     // 1 + the last granule that has the shape's keys
  std::vector<uint64_t> key_hash;  // by string code: the scoped key; 0 unknown
  // Most facts of a row were facts of the row before: the ones added last are not added again.
  std::array<uint64_t, 4096> recent{};

  bool repeats(uint64_t hash, size_t granule) {
    const uint64_t mark = hash + granule + 1;
    uint64_t& slot = recent[hash % recent.size()];
    if (slot == mark && mark != 0) return true;  // 0: nothing was added last
    slot = mark;
    return false;
  }

  bool first_shape(uint32_t code, size_t granule) {
    if (code >= shapes.size()) shapes.resize(std::max<size_t>(code + 1, shapes.size() * 2));
    return std::exchange(shapes[code], static_cast<uint8_t>(granule + 1)) != granule + 1;
  }

  ResourceFacts& resource(const model::Dictionary& dictionary, uint32_t code) {
    if (code >= resources.size()) resources.resize(std::max<size_t>(code + 1, resources.size() * 2));
    ResourceFacts& known = resources[code];
    if (known.read) return known;
    known.read = true;
    known.service_hash = stable_hash64(dictionary.service_name(code));
    known.facts.push_back(mix64(kServices + kText, known.service_hash));
    model::Resource resource;
    (void)model::read_resource(dictionary.text(model::EntryKind::kResource, code), resource);  // what does not parse
                                                                                               // matches nothing
    for (const model::Attribute& attribute : resource.attributes) {
      const uint64_t key = scoped_key(kResourceKey, stable_hash64(attribute.key));
      known.facts.push_back(key);
      switch (attribute.value.type) {
        case model::ValueType::kString:
          known.facts.push_back(text_fact(key, stable_hash64(attribute.value.bytes)));
          break;
        case model::ValueType::kBool:
          known.facts.push_back(bool_fact(key, attribute.value.integer != 0));
          break;
        case model::ValueType::kInt:
          known.facts.push_back(int_fact(key, attribute.value.integer));
          break;
        case model::ValueType::kDouble:
          known.facts.push_back(double_fact(key, attribute.value.real));
          break;
        default:
          break;
      }
    }
    return known;
  }
};

ChunkIndex::ChunkIndex(size_t bytes) : lines_(bytes / kBytesPerLine + 4) {}

// Lines are chosen by the upper half of the hash, words in it by the lower.
void ChunkIndex::add(uint64_t hash, size_t granule) {
  Line& line = lines_[(hash >> 32) * lines_.size() >> 32];
  const uint64_t spread = hash * 0x9e3779b97f4a7c15ull;
  const auto bit = static_cast<Mask>(1u << granule);
  for (size_t probe = 0; probe < kProbes; ++probe) line.words[(spread >> (probe * 6 + 8)) & 63] |= bit;
}

ChunkIndex::Mask ChunkIndex::has(uint64_t hash) const {
  const Line& line = lines_[(hash >> 32) * lines_.size() >> 32];
  const uint64_t spread = hash * 0x9e3779b97f4a7c15ull;
  Mask mask = kEverywhere;
  for (size_t probe = 0; probe < kProbes; ++probe) mask &= line.words[(spread >> (probe * 6 + 8)) & 63];
  return mask;
}

uint32_t ChunkIndex::rows() const {
  uint32_t rows = 0;
  for (const Granule& granule : granules_) rows += granule.rows;
  return rows;
}

std::unique_ptr<const ChunkIndex> ChunkIndex::build(const RowChunk& chunk) {
  const size_t bytes = chunk.committed();
  std::unique_ptr<ChunkIndex> index(new ChunkIndex(bytes));
  const auto scratch = std::make_unique<IndexScratch>();
  const size_t granule_bytes = bytes / kGranules + 1;
  size_t at = 0;
  chunk.scan([&](const RowRecord& record) {
    const size_t number = at / granule_bytes;
    Granule& granule = index->granules_[number];
    if (granule.end == 0) granule.begin = static_cast<uint32_t>(at);
    at += RowChunk::bytes_for(record.row_size);
    granule.end = static_cast<uint32_t>(at);
    index->add_row(chunk.dictionary(), record, number, *scratch);
    return at < bytes;
  });
  return index;
}

void ChunkIndex::add_row(const model::Dictionary& dictionary, const RowRecord& record, size_t number,
                         IndexScratch& scratch) {
  model::RowHead head;
  // The codes of a damaged row may be anything; cursors check theirs.
  if (!model::parse_row_head(record.row(), head)) return;
  if (head.resource >= dictionary.size(model::EntryKind::kResource)) return;
  if (head.name.mode == model::StrMode::kCode && head.name.code >= dictionary.size(model::EntryKind::kString)) return;
  Granule& granule = granules_[number];
  ++granule.rows;
  const auto note = [&](uint64_t hash) {
    if (!scratch.repeats(hash, number)) add(hash, number);
  };
  const auto duration = static_cast<int64_t>(static_cast<uint64_t>(head.end_ns) - static_cast<uint64_t>(head.start_ns));
  granule.min_start_ns = std::min(granule.min_start_ns, head.start_ns);
  granule.max_start_ns = std::max(granule.max_start_ns, head.start_ns);
  granule.min_duration_ns = std::min(granule.min_duration_ns, duration);
  granule.max_duration_ns = std::max(granule.max_duration_ns, duration);
  granule.kinds |= static_cast<uint8_t>(1u << (head.kind & 7));
  granule.statuses |= static_cast<uint8_t>(1u << (head.status_code & 7));
  note(mix64(kTenants, record.tenant.value));

  IndexScratch::ResourceFacts& resource = scratch.resource(dictionary, head.resource);
  if (std::exchange(resource.granules, static_cast<uint8_t>(number + 1)) != number + 1) {
    for (const uint64_t fact : resource.facts) note(fact);
  }

  const auto text_hash = [&](uint64_t key, const model::StrRef& ref) -> uint64_t {
    switch (ref.mode) {
      case model::StrMode::kCode:
        return text_fact(key, dictionary.text_hash(model::EntryKind::kString, ref.code));
      case model::StrMode::kTemplate:
        return template_fact(key, dictionary.text_hash(model::EntryKind::kTemplate, ref.code), ref.payload);
      case model::StrMode::kInline:
        break;
    }
    return text_fact(key, stable_hash64(ref.payload));
  };
  const uint64_t name = text_hash(kNames, head.name);
  note(name);
  note(service_name_fact(resource.service_hash, name));

  const auto note_value = [&](uint64_t key, const model::RowValue& value) {
    switch (value.type) {
      case model::ValueType::kString:
        note(text_hash(key, value.string));
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
    const bool new_shape = scratch.first_shape(cursor.shape_code(), number);
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

template <typename Predicate>
ChunkIndex::Mask ChunkIndex::where(Predicate predicate) const {
  Mask mask = 0;
  for (size_t g = 0; g < kGranules; ++g) {
    if (granules_[g].rows != 0 && predicate(granules_[g])) mask |= static_cast<Mask>(1u << g);
  }
  return mask;
}

// A text may stand in rows by code, inline (the same hash), or as a template with its numbers.
template <typename Hash>
ChunkIndex::Mask ChunkIndex::may_hold_text(Hash hash_of, std::string_view text) const {
  Mask mask = has(hash_of([&](uint64_t key) { return text_fact(key, stable_hash64(text)); }));
  std::string template_text;
  std::vector<uint64_t> numbers;
  if (!model::split_template(text, template_text, numbers)) return mask;
  std::string payload;
  for (uint64_t number : numbers) append_varint(payload, number);
  mask |= has(hash_of([&](uint64_t key) { return template_fact(key, stable_hash64(template_text), payload); }));
  return mask;
}

ChunkIndex::Mask ChunkIndex::may_hold_value(uint64_t scope, const Condition& condition) const {
  if (condition.op == Op::kAbsent) return kEverywhere;
  const uint64_t key = scoped_key(scope, stable_hash64(condition.key));
  const Mask keys = has(key);
  if (keys == 0 || condition.op != Op::kEq) return keys;
  const Literal& literal = condition.literal;
  switch (literal.type) {
    case Literal::Type::kString: {
      Mask mask = may_hold_text([&](auto fact) { return fact(key); }, literal.text);
      if (condition.as_int) mask |= has(int_fact(key, condition.int_value));
      if (condition.as_double) mask |= has(double_fact(key, condition.double_value));
      if (condition.as_bool) mask |= has(bool_fact(key, condition.bool_value));
      return mask;
    }
    case Literal::Type::kInt:
      return has(int_fact(key, literal.integer));
    case Literal::Type::kDouble:
      return has(double_fact(key, literal.real));
    case Literal::Type::kBool:
      return has(bool_fact(key, literal.integer != 0));
    case Literal::Type::kNil:
      break;
  }
  return keys;
}

ChunkIndex::Mask ChunkIndex::may_hold(const Condition& condition) const {
  const bool equals_text = is_text_equality(condition);
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
      return may_hold_value(kSpanKey, condition) | may_hold_value(kResourceKey, condition);
    case Field::kName:
      if (!equals_text) return kEverywhere;
      return may_hold_text([](auto fact) { return fact(kNames); }, condition.literal.text);
    case Field::kService:
      return equals_text ? has(text_fact(kServices, stable_hash64(condition.literal.text))) : kEverywhere;
    case Field::kKind:
      return where([&](const Granule& granule) { return any_number(granule.kinds); });
    case Field::kStatus:
      return where([&](const Granule& granule) { return any_number(granule.statuses); });
    case Field::kDuration:
      // An interval test for each direction; the extremes are values that occur.
      switch (condition.op) {
        case Op::kGt:
        case Op::kGe:
          return where([&](const Granule& granule) { return condition.holds_int(granule.max_duration_ns); });
        case Op::kLt:
        case Op::kLe:
          return where([&](const Granule& granule) { return condition.holds_int(granule.min_duration_ns); });
        default:
          return kEverywhere;
      }
    case Field::kIsRoot:
      return condition.holds_int(0) || condition.holds_int(1) ? kEverywhere : 0;
    default:
      return kEverywhere;
  }
}

// Of an And that asks for a service and a name: where a row has both.
ChunkIndex::Mask ChunkIndex::may_hold_pair(const Matcher& matcher, const Matcher::Node& node) const {
  const Condition *service = nullptr, *name = nullptr;
  for (const uint32_t child : node.children) {
    const Matcher::Node& each = matcher.nodes()[child];
    if (each.kind != Expr::Kind::kLeaf) continue;
    const Condition& condition = matcher.conditions()[each.condition];
    if (!is_text_equality(condition)) continue;
    if (condition.field == Field::kService) service = &condition;
    if (condition.field == Field::kName) name = &condition;
  }
  if (service == nullptr || name == nullptr) return kEverywhere;
  const uint64_t service_hash = stable_hash64(service->literal.text);
  return may_hold_text([&](auto fact) { return service_name_fact(service_hash, fact(kNames)); }, name->literal.text);
}

ChunkIndex::Mask ChunkIndex::may_match(const Matcher& matcher, model::TenantId tenant) const {
  const Mask rows = where([](const Granule&) { return true; }) & has(mix64(kTenants, tenant.value));
  if (rows == 0) return 0;
  const auto& nodes = matcher.nodes();
  std::vector<Mask> may(nodes.size(), kEverywhere);
  for (size_t i = 0; i < nodes.size(); ++i) {
    switch (nodes[i].kind) {
      case Expr::Kind::kLeaf:
        may[i] = may_hold(matcher.conditions()[nodes[i].condition]);
        break;
      case Expr::Kind::kAnd:
        for (const uint32_t child : nodes[i].children) may[i] &= may[child];
        if (may[i] != 0) may[i] &= may_hold_pair(matcher, nodes[i]);
        break;
      case Expr::Kind::kOr:
        may[i] = 0;
        for (const uint32_t child : nodes[i].children) may[i] |= may[child];
        break;
      case Expr::Kind::kNot:
        break;
    }
  }
  return may.back() & rows;
}

const ChunkIndex* ensure_index(const RowChunk& chunk) {
  if (const ChunkIndex* index = chunk.index()) return index;
  if (!chunk.closed() || !chunk.claim_index()) return nullptr;
  return chunk.publish_index(ChunkIndex::build(chunk));
}

void add_ranges(const RowChunk& chunk, const Matcher& matcher, model::TenantId tenant, std::vector<RowRange>& out,
                ScanStats* stats) {
  const ChunkIndex* index = chunk.index();
  if (index == nullptr) {
    out.push_back({&chunk, 0, SIZE_MAX, chunk.max_start_ns()});
    return;
  }
  const ChunkIndex::Mask may = index->may_match(matcher, tenant);
  if (stats) stats->skipped += ChunkIndex::kGranules - static_cast<size_t>(std::popcount(may));
  for (uint32_t left = may; left != 0; left &= left - 1) {
    const ChunkIndex::Granule& granule = index->granules()[static_cast<size_t>(std::countr_zero(left))];
    out.push_back({&chunk, granule.begin, granule.end, granule.max_start_ns});
  }
}

namespace {

// False: the sink has enough.
bool search_range(const RowRange& range, RowMatcher& matcher, model::TenantId tenant,
                  const std::function<bool(const RowHit&)>& sink, ScanStats* stats) {
  matcher.use_dictionary(range.chunk->shared_dictionary());
  uint64_t rows = 0;
  RowHit hit;
  bool more = true;
  size_t at = range.begin;
  if (at < range.end) {
    range.chunk->scan(
        [&](const RowRecord& record) {
          at += RowChunk::bytes_for(record.row_size);
          if (record.tenant == tenant) {
            ++rows;
            const RowMatch match = matcher.match(record.row(), hit.head);
            hit.record = &record;
            hit.exact = match == RowMatch::kYes;
            if (match != RowMatch::kNo) more = sink(hit);
          }
          return more && at < range.end;
        },
        range.begin);
  }
  if (stats) {
    ++stats->ranges;
    stats->rows += rows;
  }
  return more;
}

}  // namespace

void search_rows(const RowRange& range, RowMatcher& matcher, model::TenantId tenant,
                 const std::function<bool(const RowHit&)>& sink, ScanStats* stats) {
  (void)search_range(range, matcher, tenant, sink, stats);
}

void search_chunk(const RowChunk& chunk, RowMatcher& matcher, model::TenantId tenant,
                  const std::function<bool(const RowHit&)>& sink, ScanStats* stats) {
  std::vector<RowRange> ranges;
  add_ranges(chunk, matcher.matcher(), tenant, ranges, stats);
  for (const RowRange& range : ranges) {
    if (!search_range(range, matcher, tenant, sink, stats)) return;
  }
}

}  // namespace clew::store
