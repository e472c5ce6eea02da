#include "sim/journal.h"

#include <cinttypes>
#include <cstdio>
#include <utility>

namespace clew::sim {

std::string seconds(int64_t ns) {
  char text[48];
  std::snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, ns / 1'000'000'000, ns % 1'000'000'000 / 1'000);
  return text;
}

void Journal::say(NodeIndex node, std::string text) {
  if (!on_) return;
  if (lines_.size() == max_lines_) {
    lines_.pop_front();
    ++dropped_;
  }
  std::string time = seconds(scheduler_.now_ns());
  std::string who = name(node);
  who.resize(who.size() < 5 ? 5 : who.size(), ' ');
  if (time.size() < 10) time.insert(0, 10 - time.size(), ' ');
  lines_.push_back(time + " s  " + who + "  " + std::move(text));
}

std::string Journal::text() const {
  std::string all;
  if (dropped_ != 0) all = "(" + std::to_string(dropped_) + " earlier lines are not kept)\n";
  for (const std::string& line : lines_) all += line + "\n";
  return all;
}

}  // namespace clew::sim
