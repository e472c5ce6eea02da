#include "consensus/sealed_text.h"

#include <cstdint>

#include "base/hash.h"
#include "base/hex.h"

namespace clew::consensus {

std::string seal(std::string text) {
  text += "checksum " + hex16(stable_hash64(text)) + "\n";
  return text;
}

Error broken_text(const std::string& path, const std::string& what) {
  return {Code::kDataLoss, path + ": " + what + "; restore the file, or replace this member by a new one"};
}

Result<std::vector<std::pair<std::string_view, std::string_view>>> unseal(std::string_view text, std::string_view title,
                                                                          const std::string& path) {
  const size_t last = text.rfind("checksum ");
  uint64_t checksum = 0;
  if (last == std::string_view::npos || !text.ends_with('\n') ||
      !parse_number(text.substr(last + 9, text.size() - last - 10), 16, checksum) ||
      checksum != stable_hash64(text.substr(0, last))) {
    return broken_text(path, "does not match its checksum");
  }
  std::vector<std::pair<std::string_view, std::string_view>> lines;
  bool first = true;
  for (std::string_view rest = text.substr(0, last); !rest.empty();) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return broken_text(path, "ends in the middle of a line");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      if (line != title) {
        return Error{Code::kFailedPrecondition, path + ": begins with \"" + std::string(line) + "\", not \"" +
                                                    std::string(title) + "\": written by another version"};
      }
      continue;
    }
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return broken_text(path, "has a line without a value");
    lines.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return lines;
}

}  // namespace clew::consensus
