// ProgressBar: one line on standard error that says how far a long work is. Silent when standard error is no terminal.
//
//   traces.jsonl.zst  [#########.............]  41 %  12.3 of 30.0 MB  1,203,000 spans  0:09 left
// Redrawn at most ten times a second, and wiped by finish() or the destructor, so that a report on the same terminal
// stays clean. Without a total it shows what was done. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "env/loop.h"

namespace clew::app {

// The line without escape codes, at most `columns` wide: pure, for the bar and its test. `elapsed_ns` 0: no estimate.
std::string progress_line(std::string_view label, uint64_t done, uint64_t total, std::string_view note,
                          int64_t elapsed_ns, unsigned columns);
std::string grouped(uint64_t n);        // 1,234,567
std::string megabytes(uint64_t bytes);  // "12.3 MB"

class ProgressBar {
 public:
  // `clock` outlives the bar.
  ProgressBar(std::string label, uint64_t total, const env::Clock& clock);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `note` stands behind the bar, e.g. "12,000 spans".
  void update(uint64_t done, std::string_view note);
  void finish();
  bool visible() const { return visible_; }

 private:
  const std::string label_;
  const uint64_t total_;
  const env::Clock& clock_;
  const int64_t started_ns_;
  int64_t drawn_ns_;
  bool visible_ = false;
  bool drawn_ = false;
};

}  // namespace clew::app
