#include "otlp/text_coder.h"

#include <simdjson.h>

#include <cstring>

#include "base/hash.h"
#include "base/varint.h"
#include "model/row.h"

namespace clew::otlp {
namespace {

using model::EntryKind;
using model::StrMode;

constexpr size_t kMetTexts = 4096;
// A first look that shows nothing but new texts is enough; else the judgement waits for a fair sample.
constexpr uint32_t kFirstLook = 64;
constexpr uint32_t kSample = 512;

uint64_t load8(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

inline char* put_strref(char* out, uint64_t x, StrMode mode) {
  return put_varint(out, x << 2 | static_cast<uint64_t>(mode));
}

char* put_inline(char* out, std::string_view text) {
  out = put_strref(out, text.size(), StrMode::kInline);
  std::memcpy(out, text.data(), text.size());
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

void TextCoder::use_dictionary(model::Dictionary& dictionary) {
  dictionary_ = &dictionary;
  ++generation_;
  met_.assign(kMetTexts, 0);
}

// Looks at up to 24 bytes: first, middle, last. It only chooses a cache slot.
uint32_t TextCoder::slot_hash(std::string_view text) {
  const char* p = text.data();
  const size_t n = text.size();
  uint64_t h = n * 0x9e3779b97f4a7c15ull;
  if (n >= 8) {
    h ^= load8(p) * 0xd6e8feb86659fd93ull;
    h = (h ^ load8(p + n - 8)) * 0xa0761d6478bd642full;
    h = (h ^ (h >> 29) ^ load8(p + (n - 8) / 2)) * 0xe7037ed1a0b428dbull;
  } else {
    uint64_t word = 0;
    if (n >= 4) {
      uint32_t a, b;
      std::memcpy(&a, p, 4);
      std::memcpy(&b, p + n - 4, 4);
      word = uint64_t{a} << 32 | b;
    } else if (n > 0) {
      word = static_cast<uint64_t>(static_cast<uint8_t>(p[0])) << 16 |
             static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << 8 | static_cast<uint8_t>(p[n - 1]);
    }
    h = (h ^ word) * 0xa0761d6478bd642full;
    h = (h ^ h >> 29) * 0xe7037ed1a0b428dbull;
  }
  return static_cast<uint32_t>(h >> 48);
}

void TextCoder::renew(TextHabit& habit) {
  habit.generation_ = generation_;
  habit.seen_ = 0;
  habit.fresh_ = 0;
  if (habit.texts_ == nullptr) {
    habit.texts_ = std::make_unique<Known[]>(TextHabit::kKnownTexts);
  } else {
    std::fill_n(habit.texts_.get(), TextHabit::kKnownTexts, Known{});
  }
  if (habit.templates_ != nullptr) std::fill_n(habit.templates_.get(), TextHabit::kKnownTemplates, Known{});
}

char* TextCoder::write(TextHabit& habit, std::string_view text, char* out) {
  if (text.size() > model::kMaxTemplatedBytes) return valid_utf8(text) ? put_inline(out, text) : nullptr;
  if (habit.generation_ != generation_) renew(habit);
  ++habit.seen_;
  if (habit.policy_ == Policy::kTemplate && habit.may_template_ && model::split_text(text, split_)) {
    if (char* end = write_template(habit, out)) return end;
    return valid_utf8(text) ? put_inline(out, text) : nullptr;
  }
  Known& slot = habit.texts_[slot_hash(text) % TextHabit::kKnownTexts];
  if (slot.code_plus_one != 0 && slot.size == text.size() && same_bytes(slot.text, text.data(), text.size())) {
    return put_strref(out, slot.code_plus_one - 1, StrMode::kCode);
  }
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
  slot = {dictionary_->text(EntryKind::kString, *code).data(), static_cast<uint32_t>(text.size()), *code + 1};
  return put_strref(out, *code, StrMode::kCode);
}

// The template and numbers in split_; nullptr when it has no code, or is not UTF-8.
char* TextCoder::write_template(TextHabit& habit, char* out) {
  const std::string_view text(split_.text, split_.text_size);
  if (habit.templates_ == nullptr) habit.templates_ = std::make_unique<Known[]>(TextHabit::kKnownTemplates);
  Known& slot = habit.templates_[slot_hash(text) % TextHabit::kKnownTemplates];
  if (slot.code_plus_one == 0 || slot.size != text.size() || !same_bytes(slot.text, text.data(), text.size())) {
    if (!valid_utf8(text)) return nullptr;
    const uint32_t before = dictionary_->size(EntryKind::kTemplate);
    const auto code = dictionary_->intern(EntryKind::kTemplate, text);
    if (!code || *code == before) {
      ++habit.fresh_;
      judge(habit);
    }
    if (!code) return nullptr;
    slot = {dictionary_->text(EntryKind::kTemplate, *code).data(), static_cast<uint32_t>(text.size()), *code + 1};
  }
  out = put_strref(out, slot.code_plus_one - 1, StrMode::kTemplate);
  for (uint32_t i = 0; i < split_.number_count; ++i) out = put_varint(out, split_.numbers[i]);
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
  slot = {dictionary_->text(EntryKind::kString, *code).data(), static_cast<uint32_t>(text.size()), *code + 1};
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
