// How the texts of one place (the values of one attribute key, span names, ...) become strrefs (model/row.h).
//
// Each place has a TextHabit: what was learnt about how often its texts repeat. Places whose texts repeat go by code;
// where more than half of the texts are new, templates are tried; where the templates are new, too, texts go inline,
// and only a text met twice within a short while gets a code. So ids and other texts that never repeat do not fill the
// dictionary. One cache in front of the dictionary serves all places; a text found there costs a few compares of 16
// bytes, no hash of the whole and nearly no branch that depends on its length. UTF-8 is checked for every text that was
// not in the cache: what is in the dictionary was checked when it came. Texts to be written have kWindow readable bytes
// behind them, whatever those are: the decoder works on a padded copy. Single-threaded; does not allocate.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/fast_varint.h"
#include "model/dictionary.h"
#include "model/row.h"
#include "model/templates.h"

namespace clew::otlp {

bool valid_utf8(std::string_view text);

// memcmp for short texts of equal length: no call, no reading past the end.
inline bool same_bytes(const char* a, const char* b, size_t n) {
#if defined(__SSE2__)
  if (n >= 16) {
    const auto equal = [a, b](size_t at) {
      const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + at));
      const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + at));
      return _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) == 0xffff;
    };
    if (!equal(n - 16)) return false;
    for (size_t i = 0; i + 16 < n; i += 16) {
      if (!equal(i)) return false;
    }
    return true;
  }
#endif
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

class TextHabit {
 public:
  explicit TextHabit(bool may_template) : may_template_(may_template) {}

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
  // Writes the strref at `out` and returns its end; nullptr when the text is not UTF-8. `text` is not null.
  [[gnu::always_inline]] char* write(TextHabit& habit, std::string_view text, char* out) {
    if (text.size() > kWindow || text.empty() || habit.policy_ == Policy::kTemplate)
      return write_other(habit, text, out);
    ++habit.seen_;
    last_mark_ = mark_of(text.data(), text.size());
    const Known& slot = texts_[last_mark_ % kKnownTexts];
    if (slot.size == text.size() && slot.code_plus_one != 0 && same_in_window(slot.text, text.data(), text.size())) {
      return put_strref(out, slot.code_plus_one - 1, model::StrMode::kCode);
    }
    return write_unknown(habit, text, out);
  }
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

  static char* put_strref(char* out, uint64_t x, model::StrMode mode) {
    return put_varint_fast(out, x << 2 | static_cast<uint64_t>(mode));
  }
  static uint64_t load8(const char* p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
  }
  // From the first, the middle and the last eight bytes. It only chooses cache slots. No branch that depends on the
  // size, which is as good as random from text to text: what lies behind a short text is read and masked. Not for the
  // empty text.
  [[gnu::always_inline]] static uint32_t mark_of(const char* text, size_t size) {
    const bool whole = size >= 8;
    const uint64_t mask = ~uint64_t{0} >> (whole ? 0 : 8 * (8 - size));
    const uint64_t first = load8(text) & mask;
    const uint64_t middle = load8(text + (whole ? size / 2 - 4 : 0)) & mask;
    const uint64_t last = load8(text + (whole ? size - 8 : 0)) & mask;
    uint64_t h =
        (first + size) * 0xd6e8feb86659fd93ull ^ (last ^ middle * 0xc2b2ae3d27d4eb4full) * 0xa0761d6478bd642full;
    h ^= h >> 32;
    return static_cast<uint32_t>(h * 0xe7037ed1a0b428dbull >> 40);
  }
  // The same for any size.
  static bool holds(const Known& known, const char* text, size_t size) {
    if (known.size != size || known.code_plus_one == 0) return false;
    return size <= kWindow ? same_in_window(known.text, text, size) : same_bytes(known.text, text, size);
  }
  static char* put_inline(char* out, std::string_view text);
  void remember(Known& slot, model::EntryKind kind, uint32_t code, size_t size);
  char* write_other(TextHabit& habit, std::string_view text, char* out);
  char* write_unknown(TextHabit& habit, std::string_view text, char* out);
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
