#include "sim/shrink.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace clew::sim {

Shrunk shrink(std::vector<uint32_t> items, const std::function<bool(const std::vector<uint32_t>&)>& fails,
              uint64_t max_tries) {
  Shrunk result;
  const auto try_it = [&](const std::vector<uint32_t>& part) {
    ++result.tries;
    return fails(part);
  };
  // Complements of ever finer parts: what is left out is found not to matter.
  size_t parts = 1;
  while (!items.empty() && result.tries < max_tries) {
    bool reduced = false;
    for (size_t i = 0; i < parts && result.tries < max_tries; ++i) {
      const size_t first = items.size() * i / parts, last = items.size() * (i + 1) / parts;
      std::vector<uint32_t> rest(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(first));
      rest.insert(rest.end(), items.begin() + static_cast<std::ptrdiff_t>(last), items.end());
      if (!try_it(rest)) continue;
      items = std::move(rest);
      parts = std::max<size_t>(parts - 1, 1);
      reduced = true;
      break;
    }
    if (reduced) continue;
    if (parts == items.size()) {
      result.minimal = true;
      break;
    }
    parts = std::min(parts * 2, items.size());
  }
  if (items.empty()) result.minimal = true;
  result.items = std::move(items);
  return result;
}

}  // namespace clew::sim
