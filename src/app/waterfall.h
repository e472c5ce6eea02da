// A trace as a waterfall for the terminal: the tree of spans with a bar each, roots first, children by start.
// A span whose parent is absent stands at the left margin with the id of what is missing; spans in a cycle come last.
// Pure; linear in spans but for sorting; no recursion.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace clew::app {

struct WaterfallSpan {
  std::string id, parent;  // hex; parent "" for a root
  std::string service, name;
  int64_t start_ns = 0, end_ns = 0;
  bool error = false;
};

struct WaterfallOptions {
  size_t width = 100;
  bool colours = false;
  size_t max_rows = 1000;  // the rest is counted in the last line
};

std::string draw_waterfall(const std::vector<WaterfallSpan>& spans, const WaterfallOptions& options);

}  // namespace clew::app
