#include "otlp/text_coder.h"

#include <simdjson.h>

#include <cstring>

#include "base/hash.h"
#include "model/span.h"

namespace clew::otlp {
namespace {

using model::EntryKind;
using model::StrMode;

// A first look that shows nothing but new texts is enough; else the judgement waits for a fair sample.
constexpr uint32_t kFirstLook = 64;
constexpr uint32_t kSample = 512;

}  // namespace

bool valid_utf8(std::string_view text) {
  const auto load8 = [](const char* from) {
    uint64_t v;
    std::memcpy(&v, from, 8);
    return v;
  };
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

char* TextCoder::put_inline(char* out, std::string_view text) {
  out = put_strref(out, text.size(), StrMode::kInline);
  text.copy(out, text.size());
  return out + text.size();
}

void TextCoder::remember(Known& slot, EntryKind kind, uint32_t code, size_t size) {
  if (size == 0) return;  // the empty text has no bytes to read behind
  slot = {dictionary_->text(kind, code).data(), static_cast<uint32_t>(size), code + 1};
}

// A long text, the empty one, or one of a place where templates come first.
char* TextCoder::write_other(TextHabit& habit, std::string_view text, char* out) {
  if (text.size() > model::kMaxTemplatedBytes) return valid_utf8(text) ? put_inline(out, text) : nullptr;
  ++habit.seen_;
  if (habit.policy_ == Policy::kTemplate && habit.may_template_ && model::split_text(text, split_)) {
    if (char* end = write_template(habit, out)) return end;
    return valid_utf8(text) ? put_inline(out, text) : nullptr;
  }
  last_mark_ = static_cast<uint32_t>(seeded_hash(text, dictionary_->seed()) >> 40);
  const Known& slot = texts_[last_mark_ % kKnownTexts];
  if (holds(slot, text.data(), text.size())) return put_strref(out, slot.code_plus_one - 1, StrMode::kCode);
  return write_unknown(habit, text, out);
}

// Not in the cache; last_mark_ is its mark.
char* TextCoder::write_unknown(TextHabit& habit, std::string_view text, char* out) {
  if (!valid_utf8(text)) return nullptr;
  Known& slot = texts_[last_mark_ % kKnownTexts];
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
  const uint32_t mark = text.size() <= kWindow ? mark_of(text.data(), text.size())
                                               : static_cast<uint32_t>(seeded_hash(text, dictionary_->seed()) >> 40);
  Known& slot = templates_[mark % kKnownTemplates];
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

// Called when a text or a template was new. What was counted with another dictionary does not count: with a new one,
// every text is new once.
void TextCoder::judge(TextHabit& habit) {
  if (habit.generation_ != generation_) {
    habit.generation_ = generation_;
    habit.seen_ = 1;
    habit.fresh_ = 1;
  }
  const bool hopeless = habit.seen_ >= kFirstLook && habit.fresh_ * 10 > habit.seen_ * 9;
  if (!hopeless && habit.seen_ < kSample) return;
  if (hopeless || habit.fresh_ * 2 > habit.seen_) {
    habit.policy_ = habit.policy_ == Policy::kCode && habit.may_template_ ? Policy::kTemplate : Policy::kInline;
  }
  habit.seen_ = 0;
  habit.fresh_ = 0;
}

}  // namespace clew::otlp
