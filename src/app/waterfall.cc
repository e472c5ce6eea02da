#include "app/waterfall.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "app/client_output.h"

namespace clew::app {
namespace {

constexpr int64_t kPlausibleNs = 946'684'800'000'000'000;  // the year 2000

struct Row {
  size_t span = 0;
  size_t depth = 0;
  enum class Mark : uint8_t { kNone, kOrphan, kCycle } mark = Mark::kNone;
};

// Depth first, iteratively: traces may be ten thousand spans deep.
std::vector<Row> order(const std::vector<WaterfallSpan>& spans) {
  std::unordered_map<std::string_view, size_t> by_id;
  for (size_t i = 0; i < spans.size(); ++i)
    by_id.emplace(spans[i].id, i);  // of spans that share an id, the first is the parent
  std::vector<std::vector<size_t>> children(spans.size());
  std::vector<size_t> tops;
  for (size_t i = 0; i < spans.size(); ++i) {
    const auto parent = by_id.find(spans[i].parent);
    // The halves of a shared id (Zipkin): the second hangs below the first, not below itself.
    if (const auto first = by_id.find(spans[i].id); first->second != i) {
      children[first->second].push_back(i);
    } else if (parent == by_id.end() || parent->second == i) {
      tops.push_back(i);
    } else {
      children[parent->second].push_back(i);
    }
  }
  const auto earlier = [&](size_t a, size_t b) {
    return spans[a].start_ns != spans[b].start_ns ? spans[a].start_ns < spans[b].start_ns : a < b;
  };
  const auto is_root = [&](size_t i) { return spans[i].parent.empty(); };
  std::sort(tops.begin(), tops.end(),
            [&](size_t a, size_t b) { return is_root(a) != is_root(b) ? is_root(a) : earlier(a, b); });

  std::vector<Row> rows;
  std::vector<bool> seen(spans.size(), false);
  const auto walk = [&](size_t top, Row::Mark mark) {
    std::vector<Row> stack{{top, 0, mark}};
    while (!stack.empty()) {
      const Row row = stack.back();
      stack.pop_back();
      if (seen[row.span]) continue;
      seen[row.span] = true;
      rows.push_back(row);
      auto& below = children[row.span];
      std::sort(below.begin(), below.end(), [&](size_t a, size_t b) { return earlier(b, a); });
      for (const size_t child : below) stack.push_back({child, row.depth + 1, Row::Mark::kNone});
    }
  };
  for (const size_t top : tops) walk(top, is_root(top) ? Row::Mark::kNone : Row::Mark::kOrphan);
  for (size_t i = 0; i < spans.size(); ++i) {
    if (!seen[i]) walk(i, Row::Mark::kCycle);
  }
  return rows;
}

std::string bar(int64_t start, int64_t end, int64_t from, int64_t to, size_t columns, Paint paint, bool colours) {
  const double scale = to > from ? static_cast<double>(columns) / static_cast<double>(to - from) : 0;
  const auto column = [&](int64_t time) {
    const double at = static_cast<double>(std::clamp(time, from, to) - from) * scale;
    return std::min(columns - 1, static_cast<size_t>(at));
  };
  const size_t first = column(start), last = std::max(first, column(end));
  std::string blocks;
  for (size_t i = first; i <= last; ++i) blocks += last == first ? "▏" : "━";
  return std::string(first, ' ') + painted(paint, blocks, colours) + std::string(columns - 1 - last, ' ');
}

}  // namespace

std::string draw_waterfall(const std::vector<WaterfallSpan>& spans, const WaterfallOptions& options) {
  if (spans.empty()) return "no spans\n";
  // The scale leaves out times that cannot be (0, 1970), unless there are no others.
  int64_t from = INT64_MAX, to = INT64_MIN;
  for (const bool plausible_only : {true, false}) {
    for (const auto& span : spans) {
      if (plausible_only && span.start_ns < kPlausibleNs) continue;
      from = std::min(from, span.start_ns);
      to = std::max(to, std::max(span.start_ns, span.end_ns));
    }
    if (from <= to) break;
  }
  constexpr size_t kDurationColumns = 10;
  const size_t width = std::max<size_t>(options.width, 60);
  const size_t name_columns = width / 2 - 2;
  const size_t bar_columns = width - name_columns - kDurationColumns - 2;

  const std::vector<Row> rows = order(spans);
  std::string out;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == options.max_rows) {
      out += "… and " + std::to_string(rows.size() - i) + " spans more\n";
      break;
    }
    const Row& row = rows[i];
    const WaterfallSpan& span = spans[row.span];
    const size_t indent = std::min(2 * row.depth, name_columns / 2);
    std::string label = std::string(indent, ' ');
    if (row.mark == Row::Mark::kOrphan) label += "? ";
    if (row.mark == Row::Mark::kCycle) label += "@ ";
    label += printable(span.service) + " " + printable(span.name);
    const Paint paint = span.error ? Paint::kRed : row.mark != Row::Mark::kNone ? Paint::kYellow : Paint::kCyan;
    out += painted(span.error ? Paint::kRed : Paint::kNone, fitted(label, name_columns, true), options.colours) + " ";
    out += bar(span.start_ns, span.end_ns, from, to, bar_columns, paint, options.colours);
    out += fitted(" " + readable_duration(span.end_ns - span.start_ns), kDurationColumns + 1, false);
    if (row.mark == Row::Mark::kOrphan)
      out += painted(Paint::kYellow, "  parent " + span.parent + " is missing", options.colours);
    if (row.mark == Row::Mark::kCycle) out += painted(Paint::kYellow, "  its own ancestor", options.colours);
    out += "\n";
  }
  return out;
}

}  // namespace clew::app
