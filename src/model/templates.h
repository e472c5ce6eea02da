// Templates: the text of a value with its numbers cut out; row.h defines the placeholders and declares split and join.
// Here is what the dictionary and the decoder need beside them.
//
// What is cut: a token of at least 4 lower-case hex digits, letters and digits mixed, that stands alone between
// characters that are not letters or digits (so "cafe12" and "7d9f", never the "de12" of "code12"); the five groups of
// a UUID; of the rest, every run of at least 2 digits. A text is worth a template when one hex token or a run of at
// least 3 digits was cut. Runs of more than 18 digits and tokens of more than 16 are cut into several pieces. Any
// template that rebuilds the text will do: readers never split again. Pure; any thread; O(bytes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace clew::model {

// Longer texts are not split.
constexpr size_t kMaxTemplatedBytes = 512;
constexpr size_t kMaxPlaceholders = kMaxTemplatedBytes / 2;

struct SplitText {
  uint32_t text_size = 0;
  uint32_t number_count = 0;
  // A placeholder is never longer than what it stands for, but for one last digit; 32 bytes more may be read.
  char text[kMaxTemplatedBytes + 2 + 32];
  uint64_t numbers[kMaxPlaceholders];
};
// As split_template, into fixed storage.
bool split_text(std::string_view text, SplitText& out);

// As join_template for short texts, into fixed storage; nothing when the template is too long for that or numbers do
// not fit. `template_text` is a dictionary entry (bytes behind it are readable).
struct JoinBuffer {
  static constexpr size_t kLongestTemplate = 104;
  // A placeholder of two bytes stands for at most 18; 16 bytes more may be written.
  char text[kLongestTemplate / 2 * 18 + 32];
};
std::optional<std::string_view> join_short(std::string_view template_text, std::span<const uint64_t> numbers,
                                           JoinBuffer& out);

// How many placeholders; nothing when one of them is cut off or has an impossible width.
std::optional<uint32_t> count_placeholders(std::string_view template_text);

}  // namespace clew::model
