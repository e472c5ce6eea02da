#include "otlp/text_coder.h"

#include <simdjson.h>

#include <cstring>

#include "base/hash.h"
#include "base/varint.h"
#include "model/row.h"
#include "model/span.h"
#include "otlp/fast_varint.h"

namespace clew::otlp {
namespace {

using model::EntryKind;
using model::StrMode;

// A first look that shows nothing but new texts is enough; else the judgement waits for a fair sample.
constexpr uint32_t kFirstLook = 64;
constexpr uint32_t kSample = 512;

uint64_t load8(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

inline char* put_strref(char* out, uint64_t x, StrMode mode) {
  return put_varint_fast(out, x << 2 | static_cast<uint64_t>(mode));
}

char* put_inline(char* out, std::string_view text) {
  out = put_strref(out, text.size(), StrMode::kInline);
  text.copy(out, text.size());
  return out + text.size();
}

}  // namespace

bool valid_utf8(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080ull;
  const char* p = text.data();
  size_t n = text.size();
  if (n >= 8) {
    uint64_t bits = load8(p + n - 8);
    for (; n > 8; n -= 8, p += 8) bits |= load8(p);
    if ((bits & kHighBits) == 0) return true;
  } else {
    uint8_t bits = 0;
    for (size_t i = 0; i < n; ++i) bits |= static_cast<uint8_t>(p[i]);
    if (bits < 0x80) return true;
  }
  return simdjson::validate_utf8(text.data(), text.size());
}

static_assert(model::Arena::kReadableBehind >= kWindow);

void TextCoder::use_dictionary(model::Dictionary& dictionary) {
  dictionary_ = &dictionary;
  ++generation_;
  texts_.assign(kKnownTexts, {});
  templates_.assign(kKnownTemplates, {});
  met_.assign(kMetTexts, 0);
}

// From up to 32 bytes: first 16, middle, last. It only chooses cache slots. Sixteen bytes are readable.
[[gnu::always_inline]] inline uint32_t TextCoder::mark_of(const char* text, size_t size) {
  const auto low_bytes = [](size_t n) { return n >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * n) - 1; };
  uint64_t low = load8(text), high = load8(text + 8);
  if (size < 16) {
    low &= low_bytes(size);
    high &= low_bytes(size > 8 ? size - 8 : 0);
  } else {
    low ^= load8(text + size - 8) * 0x9e3779b97f4a7c15ull;
    high ^= load8(text + size / 2 - 4) * 0xc2b2ae3d27d4eb4full;
  }
  uint64_t h = (low + size) * 0xd6e8feb86659fd93ull ^ high * 0xa0761d6478bd642full;
  h ^= h >> 32;
  return static_cast<uint32_t>(h * 0xe7037ed1a0b428dbull >> 40);
}

// `text` is readable for kWindow bytes when it is shorter than that.
[[gnu::always_inline]] inline bool TextCoder::holds(const Known& known, const char* text, size_t size) {
  if (known.size != size || known.code_plus_one == 0) return false;
  return size <= kWindow ? same_in_window(known.text, text, size) : same_bytes(known.text, text, size);
}

void TextCoder::remember(Known& slot, EntryKind kind, uint32_t code, size_t size) {
  if (size == 0) return;  // the empty text has no bytes to read behind
  slot = {dictionary_->text(kind, code).data(), static_cast<uint32_t>(size), code + 1};
}

char* TextCoder::write(TextHabit& habit, std::string_view text, const char* limit, char* out) {
  if (text.size() > model::kMaxTemplatedBytes) return valid_utf8(text) ? put_inline(out, text) : nullptr;
  if (habit.generation_ != generation_) {
    habit.generation_ = generation_;
    habit.seen_ = 0;
    habit.fresh_ = 0;
  }
  ++habit.seen_;
  if (habit.policy_ == Policy::kTemplate && habit.may_template_ && model::split_text(text, split_)) {
    if (char* end = write_template(habit, out)) return end;
    return valid_utf8(text) ? put_inline(out, text) : nullptr;
  }
  const char* window = text.data();
  char copy[kWindow];
  if (text.empty() || (text.size() < kWindow && static_cast<size_t>(limit - window) < kWindow)) {
    std::memset(copy, 0, kWindow);
    text.copy(copy, kWindow);
    window = copy;
  }
  last_mark_ = mark_of(window, text.size());
  Known& slot = texts_[last_mark_ % kKnownTexts];
  if (holds(slot, window, text.size())) return put_strref(out, slot.code_plus_one - 1, StrMode::kCode);
  if (!valid_utf8(text)) return nullptr;
  return habit.policy_ == Policy::kCode ? write_new(habit, text, slot, out) : write_rare(text, slot, out);
}

char* TextCoder::write_new(TextHabit& habit, std::string_view text, Known& slot, char* out) {
  const uint32_t before = dictionary_->size(EntryKind::kString);
  const auto code = dictionary_->intern(EntryKind::kString, text);
  if (!code || *code == before) {
    ++habit.fresh_;
    judge(habit);
  }
  if (!code) return put_inline(out, text);
  remember(slot, EntryKind::kString, *code, text.size());
  return put_strref(out, *code, StrMode::kCode);
}

// The template and numbers in split_; nullptr when it has no code, or is not UTF-8.
char* TextCoder::write_template(TextHabit& habit, char* out) {
  const std::string_view text(split_.text, split_.text_size);
  Known& slot = templates_[mark_of(text.data(), text.size()) % kKnownTemplates];
  if (!holds(slot, text.data(), text.size())) {
    if (!valid_utf8(text)) return nullptr;
    const uint32_t before = dictionary_->size(EntryKind::kTemplate);
    const auto code = dictionary_->intern(EntryKind::kTemplate, text);
    if (!code || *code == before) {
      ++habit.fresh_;
      judge(habit);
    }
    if (!code) return nullptr;
    remember(slot, EntryKind::kTemplate, *code, text.size());
  }
  out = put_strref(out, slot.code_plus_one - 1, StrMode::kTemplate);
  for (uint32_t i = 0; i < split_.number_count; ++i) out = put_varint_fast(out, split_.numbers[i]);
  return out;
}

char* TextCoder::write_rare(std::string_view text, Known& slot, char* out) {
  const uint64_t hash = seeded_hash(text, dictionary_->seed());
  uint32_t& tag = met_[hash % kMetTexts];
  const auto wanted = static_cast<uint32_t>(hash >> 32) | 1;
  if (tag != wanted) {
    tag = wanted;
    return put_inline(out, text);
  }
  const auto code = dictionary_->intern(EntryKind::kString, text);
  if (!code) return put_inline(out, text);
  remember(slot, EntryKind::kString, *code, text.size());
  return put_strref(out, *code, StrMode::kCode);
}

// Called when a text or a template was new.
void TextCoder::judge(TextHabit& habit) {
  const bool hopeless = habit.seen_ >= kFirstLook && habit.fresh_ * 10 > habit.seen_ * 9;
  if (!hopeless && habit.seen_ < kSample) return;
  if (hopeless || habit.fresh_ * 2 > habit.seen_) {
    habit.policy_ = habit.policy_ == Policy::kCode && habit.may_template_ ? Policy::kTemplate : Policy::kInline;
  }
  habit.seen_ = 0;
  habit.fresh_ = 0;
}

}  // namespace clew::otlp
