// The part of a document that a program writes, between two marks of its own that people leave alone:
//
//   <!-- figures: written by ./dev sim -->
//   ...
//   <!-- end of figures -->
// Pure; any thread; O(document).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace clew {

// `document` with `text` instead of what stood between the first `begin` and the first `end` behind it. The marks stay,
// an empty line is put inside of each. kNotFound: they are not both there.
inline Result<std::string> with_section(std::string_view document, std::string_view begin, std::string_view end,
                                        std::string_view text) {
  const size_t opened = document.find(begin);
  const size_t from = opened + begin.size();
  const size_t to = opened == std::string_view::npos ? opened : document.find(end, from);
  if (to == std::string_view::npos) {
    return Error{Code::kNotFound, "the document has no section between '" + std::string(begin) + "' and '" +
                                      std::string(end) + "'; put the two marks back"};
  }
  std::string out(document.substr(0, from));
  out.append("\n\n").append(text);
  if (!text.ends_with('\n')) out += '\n';
  out += '\n';
  return out.append(document.substr(to));
}

}  // namespace clew
