// How the texts of one place (the values of one attribute key, span names, ...) become strrefs (model/row.h).
//
// Each place has a TextHabit: what was learnt about how often its texts repeat. Places whose texts repeat go by code; where
// more than half of the texts are new, templates are tried; where the templates are new, too, texts go inline, and only a
// text met twice within a short while gets a code. So ids and other texts that never repeat do not fill the dictionary.
// One cache in front of the dictionary serves all places; a text found there costs a few compares of 16 bytes, no hash of
// the whole and nearly no branch that depends on its length.
// UTF-8 is checked for every text that was not in the cache: what is in the dictionary was checked when it came.
// Single-threaded; does not allocate.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

constexpr size_t kWindow = 32;
// The same for n <= kWindow where kWindow bytes of both may be read: no branch on n.
inline bool same_in_window(const char* a, const char* b, size_t n) {
#if defined(__SSE2__)
  const auto equal = [a, b](size_t at) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + at));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + at));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)));
  };
  const uint64_t different = ~(equal(0) | equal(16) << 16) & 0xffffffffu;
  return (different & ((uint64_t{1} << n) - 1)) == 0;
#else
  return same_bytes(a, b, n);
#endif
}

inline bool same_sixteen(const char* a, const char* b) {
#if defined(__SSE2__)
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
  const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  return _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) == 0xffff;
#else
  return same_bytes(a, b, 16);
#endif
}

class TextHabit {
 public:
  explicit TextHabit(bool may_template) : may_template_(may_template) {}
  // A text of this place that was known was written by its user.
  void count() { ++seen_; }

 private:
  friend class TextCoder;
  enum class Policy : uint8_t { kCode, kTemplate, kInline };

  Policy policy_ = Policy::kCode;
  bool may_template_;
  uint32_t generation_ = 0;  // of the dictionary that the counts belong to
  uint32_t seen_ = 0, fresh_ = 0;
};

class TextCoder {
 public:
  TextCoder() : texts_(kKnownTexts), templates_(kKnownTemplates), met_(kMetTexts) {}

  void use_dictionary(model::Dictionary& dictionary);
  uint32_t generation() const { return generation_; }

  // Room that write() needs at `out`.
  static size_t room(size_t text_size) { return text_size + kWindow; }
  // Writes the strref at `out` and returns its end; nullptr when the text is not UTF-8. Up to `limit` may be read.
  char* write(TextHabit& habit, std::string_view text, const char* limit, char* out);
  // A number that the text last written usually does not share with others.
  uint32_t last_mark() const { return last_mark_; }

 private:
  using Policy = TextHabit::Policy;
  struct Known {
    const char* text = nullptr;  // in the dictionary, with Arena::kReadableBehind
    uint32_t size = 0;
    uint32_t code_plus_one = 0;
  };
  static constexpr size_t kKnownTexts = 16384;
  static constexpr size_t kKnownTemplates = 2048;
  static constexpr size_t kMetTexts = 4096;

  static uint32_t mark_of(const char* text, size_t size);
  static bool holds(const Known& known, const char* text, size_t size);
  void remember(Known& slot, model::EntryKind kind, uint32_t code, size_t size);
  char* write_new(TextHabit& habit, std::string_view text, Known& slot, char* out);
  char* write_template(TextHabit& habit, char* out);
  char* write_rare(std::string_view text, Known& slot, char* out);
  void judge(TextHabit& habit);

  model::Dictionary* dictionary_ = nullptr;
  uint32_t generation_ = 0;
  uint32_t last_mark_ = 0;
  std::vector<Known> texts_, templates_;
  std::vector<uint32_t> met_;  // tags of texts that went inline lately
  model::SplitText split_;
};

}  // namespace clew::otlp
