// Journal: what happened in a simulated world, as lines that read like a play:
//     1.204567 s  n2  starts an election in term 3
// Off by default, when it costs a test of a flag: ask `on()` before a line is built. The newest `max_lines` are kept.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "sim/scheduler.h"

namespace clew::sim {

class Journal {
 public:
  explicit Journal(const Scheduler& scheduler, size_t max_lines = 100'000)
      : scheduler_(scheduler), max_lines_(max_lines) {}
  void turn_on() { on_ = true; }
  bool on() const { return on_; }
  void say(NodeIndex node, std::string text);  // nothing when off
  const std::deque<std::string>& lines() const { return lines_; }
  uint64_t dropped() const { return dropped_; }
  std::string text() const;

 private:
  const Scheduler& scheduler_;
  size_t max_lines_;
  bool on_ = false;
  uint64_t dropped_ = 0;
  std::deque<std::string> lines_;
};

std::string seconds(int64_t ns);  // "1.204567"

}  // namespace clew::sim
