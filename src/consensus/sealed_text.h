// Sealed text: the small files of a member that people can read: a title, lines of "key value", and a checksum over all
// of it in the last line. Written as a whole (env::write_file_atomically). Pure; any thread.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace clew::consensus {

// `text`: the title and the lines, each with its end.
std::string seal(std::string text);
// The lines between title and checksum, borrowed from `text`. kDataLoss: this is not what was written;
// kFailedPrecondition: another title, so another version wrote it. `path` for the words.
Result<std::vector<std::pair<std::string_view, std::string_view>>> unseal(std::string_view text, std::string_view title,
                                                                          const std::string& path);
// kDataLoss: "<path>: <what>; ..."
Error broken_text(const std::string& path, const std::string& what);

// All of `text`, or false.
template <typename T>
bool parse_number(std::string_view text, int base, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace clew::consensus
