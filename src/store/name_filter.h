// NameFilter: which names a list for completion is about: those that hold what was typed (ASCII letters of either
// case). Names that begin with it come first, else the order is that of the bytes; so a list of ten thousand, cut from
// a hundred thousand, has what a person looks for. An empty text: every name, in the order of the bytes. Plain value;
// any thread; a comparison is linear in the names.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clew::store {

struct NameFilter {
  std::string text;
  size_t most = 10'000;  // names in a list

  bool fits(std::string_view name) const { return text.empty() || find(name) != name.end(); }
  bool begins(std::string_view name) const { return text.empty() || find(name) == name.begin(); }
  bool before(std::string_view a, std::string_view b) const {
    const bool first = begins(a), second = begins(b);
    return first != second ? first : a < b;
  }
  // Sorts the names, which all fit, and leaves each once, at most `most`; true when some had to go.
  bool bound(std::vector<std::string>& names) const {
    // What begins with it first, by one question a name instead of one a comparison.
    const auto middle = std::partition(names.begin(), names.end(), [this](const auto& name) { return begins(name); });
    std::sort(names.begin(), middle);
    std::sort(middle, names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    if (names.size() <= most) return false;
    names.resize(most);
    return true;
  }

 private:
  static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
  std::string_view::iterator find(std::string_view name) const {
    return std::search(name.begin(), name.end(), text.begin(), text.end(),
                       [](char a, char b) { return lower(a) == lower(b); });
  }
};

}  // namespace clew::store
