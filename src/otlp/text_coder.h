// How the texts of one place (the values of one attribute key, span names, ...) become strrefs (model/row.h).
//
// Each place has a TextHabit: a small cache of its recent texts with their codes, and what was learnt about how often its
// texts repeat. Places whose texts repeat go by code; where more than half of the texts are new, templates are tried;
// where the templates are new, too, texts go inline, and only a text met twice within a short while gets a code. So ids
// and other texts that never repeat do not fill the dictionary.
// UTF-8 is checked for every text that was not met before: what is in the dictionary was checked when it came.
// Single-threaded; no allocation but for a habit's first texts.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "model/dictionary.h"
#include "model/templates.h"

namespace clew::otlp {

bool valid_utf8(std::string_view text);

// memcmp for short texts of equal length: no call, no reading past the end.
inline bool same_bytes(const char* a, const char* b, size_t n) {
  const auto differ = [a, b]<typename Word>(Word, size_t at) {
    Word x, y;
    __builtin_memcpy(&x, a + at, sizeof(Word));
    __builtin_memcpy(&y, b + at, sizeof(Word));
    return x ^ y;
  };
  if (n >= 8) {
    uint64_t bits = differ(uint64_t{}, n - 8);
    for (size_t i = 0; i + 8 < n && bits == 0; i += 8) bits = differ(uint64_t{}, i);
    return bits == 0;
  }
  if (n >= 4) return (differ(uint32_t{}, 0) | differ(uint32_t{}, n - 4)) == 0;
  if (n == 0) return true;
  return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
}

class TextHabit {
 public:
  explicit TextHabit(bool may_template) : may_template_(may_template) {}

 private:
  friend class TextCoder;
  enum class Policy : uint8_t { kCode, kTemplate, kInline };
  struct Known {
    const char* text = nullptr;  // in the dictionary
    uint32_t size = 0;
    uint32_t code_plus_one = 0;
  };
  static constexpr size_t kKnownTexts = 64;
  static constexpr size_t kKnownTemplates = 32;

  Policy policy_ = Policy::kCode;
  bool may_template_;
  uint32_t generation_ = 0;  // of the dictionary that the caches belong to
  uint32_t seen_ = 0, fresh_ = 0;
  std::unique_ptr<Known[]> texts_, templates_;
};

class TextCoder {
 public:
  void use_dictionary(model::Dictionary& dictionary);
  uint32_t generation() const { return generation_; }

  // Room that write() needs at `out`.
  static size_t room(size_t text_size) { return text_size + 16; }
  // Writes the strref at `out` and returns its end; nullptr when the text is not UTF-8.
  char* write(TextHabit& habit, std::string_view text, char* out);

 private:
  using Known = TextHabit::Known;
  using Policy = TextHabit::Policy;

  static uint32_t slot_hash(std::string_view text);
  void renew(TextHabit& habit);
  char* write_new(TextHabit& habit, std::string_view text, Known& slot, char* out);
  char* write_template(TextHabit& habit, char* out);
  char* write_rare(std::string_view text, Known& slot, char* out);
  void judge(TextHabit& habit);

  model::Dictionary* dictionary_ = nullptr;
  uint32_t generation_ = 0;
  std::vector<uint32_t> met_;  // tags of texts that went inline lately
  model::SplitText split_;
};

}  // namespace clew::otlp
