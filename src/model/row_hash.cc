// row_hash (row.h): one pass over the row, no allocation unless a template is long. Texts that have codes count by the
// hash that the dictionary keeps; those of templates are rebuilt on the stack. Rows of usual size are copied with
// padding behind them: then varints are read by words, without a branch on their length, which no predictor would get
// right.
#include <cstring>
#include <string>
#include <vector>

#include "base/fast_varint.h"
#include "base/hash.h"
#include "model/content_hash.h"
#include "model/dictionary_tables.h"
#include "model/row.h"
#include "model/templates.h"

namespace clew::model {
namespace {

constexpr size_t kCopied = 1024;
constexpr size_t kPadding = 16;

const uint64_t kEmptyTextHash = stable_hash64({});

class RowHasher {
 public:
  explicit RowHasher(const Dictionary& dictionary) : entries_(dictionary), reader_({}) {}

  uint64_t run(std::string_view row) {
    if (row.size() > kCopied) return hash_row(row);
    char copy[kCopied + kPadding];
    row.copy(copy, row.size());
    std::memset(copy + row.size(), 0, kPadding);
    padded_ = true;
    return hash_row({copy, row.size()});
  }

 private:
  uint64_t hash_row(std::string_view row) {
    RowHead head;
    if (!parse_row_head(row, head)) return 0;
    reader_ = ByteReader(std::string_view(head.attributes, static_cast<size_t>(head.end - head.attributes)));
    ContentHash hash({.span_id = head.span_id.value,
                      .parent_id = head.parent_id.value,
                      .start_ns = head.start_ns,
                      .end_ns = head.end_ns,
                      .kind = head.kind,
                      .status = head.status_code,
                      .name = head.name.mode == StrMode::kCode ? entries_.text_hash(EntryKind::kString, head.name.code)
                                                               : stable_hash64(head.name.payload),
                      .resource = entries_.text_hash(EntryKind::kResource, head.resource),
                      .scope = entries_.text_hash(EntryKind::kScope, head.scope),
                      .attributes = list()});
    if (head.presence & ~kHasParent) add_tail(head, hash);
    return reader_.ok() ? hash.value() : 0;
  }

  void refuse() { reader_.skip(~uint64_t{0}); }

  uint64_t text() { return text(reader_.varint()); }
  uint64_t text(uint64_t head) {
    const uint64_t x = head >> 2;
    switch (static_cast<StrMode>(head & 3)) {
      case StrMode::kCode:
        if (x < entries_.strings()) return entries_.string_hash(x);
        break;
      case StrMode::kTemplate:
        if (x < entries_.templates()) return templated(static_cast<uint32_t>(x));
        break;
      case StrMode::kInline:
        return stable_hash64(reader_.bytes(x));
    }
    refuse();
    return 0;
  }

  uint64_t templated(uint32_t code) {
    const Entry& entry = entries_.template_entry(code);
    uint64_t few[16];
    if (entry.placeholders > std::size(few)) return long_templated(entry.view(), entry.placeholders);
    for (uint32_t i = 0; i < entry.placeholders; ++i) few[i] = reader_.varint();
    return rebuilt(entry.view(), {few, entry.placeholders});
  }
  uint64_t long_templated(std::string_view template_text, uint32_t placeholders) {
    std::vector<uint64_t> numbers;
    while (numbers.size() < placeholders && reader_.ok()) numbers.push_back(reader_.varint());
    return rebuilt(template_text, numbers);
  }
  static uint64_t rebuilt(std::string_view template_text, std::span<const uint64_t> numbers) {
    JoinBuffer buffer;
    if (const auto text = join_short(template_text, numbers, buffer)) return stable_hash64(*text);
    std::string text;
    return join_template(template_text, numbers, text) ? stable_hash64(text) : kEmptyTextHash;
  }

  uint64_t value(ValueType type) {
    switch (type) {
      case ValueType::kString:
        return text();
      case ValueType::kInt:
        return static_cast<uint64_t>(reader_.zigzag_varint());
      case ValueType::kBool:
        return reader_.fixed<uint8_t>() != 0;
      case ValueType::kDouble:
        return reader_.fixed<uint64_t>();
      case ValueType::kEmpty:
        return 0;
      case ValueType::kBytes:
      case ValueType::kComplex:
      case ValueType::kRaw:
        return stable_hash64(reader_.prefixed_bytes());
    }
    return 0;
  }

  uint64_t list() {
    const uint64_t head = reader_.varint();
    if (head == 0) return list_without_shape();
    if (head > entries_.shapes()) {
      refuse();
      return 0;
    }
    const ParsedShape& shape = entries_.shape(head - 1);
    uint64_t sum = 0;
    if (padded_) return padded_list(shape);
    for (uint32_t i = 0; i < shape.count; ++i) sum += attribute_hash(shape.hashes[i], value(shape.fields[i].type));
    return sum;
  }
  // The same with varints read by words; what is rare goes the general way.
  uint64_t padded_list(const ParsedShape& shape) {
    uint64_t sum = 0;
    const char* pos = reader_.position();
    const char* const end = pos + reader_.remaining();
    for (uint32_t i = 0; i < shape.count; ++i) {
      if (pos > end) return refuse(), 0;
      const ValueType type = shape.fields[i].type;
      uint64_t number = 0, content = 0;
      size_t size = 0;
      bool plain = false;
      if (type == ValueType::kString) {
        size = read_short_varint(pos, number);
        plain = size != 0 && (number & 3) == static_cast<uint64_t>(StrMode::kCode) && number >> 2 < entries_.strings();
        if (plain) content = entries_.string_hash(number >> 2);
      } else if (type == ValueType::kInt) {
        size = read_short_varint(pos, number);
        plain = size != 0;
        content = static_cast<uint64_t>(unzigzag(number));
      }
      if (plain) {
        pos += size;
      } else {
        reader_ = ByteReader(std::string_view(pos, static_cast<size_t>(end - pos)));
        content = value(type);
        if (!reader_.ok()) return 0;
        pos = reader_.position();
      }
      sum += attribute_hash(shape.hashes[i], content);
    }
    if (pos > end) return refuse(), 0;
    reader_ = ByteReader(std::string_view(pos, static_cast<size_t>(end - pos)));
    return sum;
  }
  uint64_t list_without_shape() {
    uint64_t sum = 0;
    uint64_t n = reader_.varint();
    if (n > reader_.remaining()) refuse();
    for (; n > 0 && reader_.ok(); --n) {
      const char* const key_begin = reader_.position();
      const bool is_template = reader_.remaining() > 0 && (*key_begin & 3) == static_cast<char>(StrMode::kTemplate);
      const uint64_t key = text();
      const auto type = reader_.fixed<uint8_t>();
      if (is_template || type > static_cast<uint8_t>(ValueType::kRaw)) refuse();
      if (!reader_.ok()) break;
      sum += attribute_hash(field_hash(key, static_cast<ValueType>(type)), value(static_cast<ValueType>(type)));
    }
    return sum;
  }

  uint64_t number32() {
    const uint64_t v = reader_.varint();
    if (v > UINT32_MAX) refuse();
    return v;
  }
  uint64_t unknown() {
    const std::string_view bytes = reader_.prefixed_bytes();
    return bytes.empty() ? 0 : stable_hash64(bytes);
  }

  void add_tail(const RowHead& head, ContentHash& hash) {
    if (head.presence & kHasFlags) {
      if (const uint64_t flags = number32(); flags != 0) hash.add_optional(kPartFlags, flags);
    }
    const auto add_text = [&](ContentPart part) {
      if (const uint64_t text_hash = text(); text_hash != kEmptyTextHash) hash.add_optional(part, text_hash);
    };
    if (head.presence & kHasTraceState) add_text(kPartTraceState);
    if (head.presence & kHasStatusMessage) add_text(kPartStatusMessage);
    if (head.presence & kHasDropped) {
      const uint64_t attributes = number32(), events = number32(), links = number32();
      if ((attributes | events | links) != 0) {
        hash.add_optional(kPartDropped, attributes);
        hash.add(events << 32 | links);
      }
    }
    if (head.presence & kHasEvents) {
      for (uint64_t n = reader_.varint(); n > 0 && reader_.ok(); --n) {
        hash.add_optional(kPartEvent,
                          static_cast<uint64_t>(head.start_ns) + static_cast<uint64_t>(reader_.zigzag_varint()));
        hash.add(text());
        hash.add(list());
        hash.add(number32());
        hash.add(unknown());
      }
    }
    if (head.presence & kHasLinks) {
      for (uint64_t n = reader_.varint(); n > 0 && reader_.ok(); --n) {
        const std::string_view ids = reader_.bytes(24);
        if (!reader_.ok()) return;
        const TraceId trace = TraceId::from_bytes(ids.data());
        hash.add_optional(kPartLink, trace.hi);
        hash.add(trace.lo);
        hash.add(SpanId::from_bytes(ids.data() + 16).value);
        hash.add(text());
        hash.add(list());
        const uint64_t dropped = number32();
        hash.add(dropped << 32 | number32());
        hash.add(unknown());
      }
    }
    if (head.presence & kHasUnknown) {
      const std::string_view bytes = reader_.prefixed_bytes();
      if (!bytes.empty()) hash.add_optional(kPartUnknown, stable_hash64(bytes));
    }
    if (!reader_.at_end()) refuse();
  }

  DictionaryReader entries_;
  ByteReader reader_;
  bool padded_ = false;  // kPadding bytes behind the row are readable
};

}  // namespace

uint64_t row_hash(const Dictionary& dictionary, std::string_view row) { return RowHasher(dictionary).run(row); }

}  // namespace clew::model
