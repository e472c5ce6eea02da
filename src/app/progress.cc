#include "app/progress.h"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace clew::app {
namespace {

constexpr int64_t kRedrawNs = 100'000'000;

unsigned columns_of_stderr() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string megabytes(uint64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

std::string progress_line(std::string_view label, uint64_t done, uint64_t total, std::string_view note,
                          int64_t elapsed_ns, unsigned columns) {
  std::string tail;
  if (total == 0) {
    tail = fmt::format("  {}  {}", megabytes(done), note);
  } else {
    done = std::min(done, total);
    const double share = static_cast<double>(done) / static_cast<double>(total);
    tail = fmt::format("  {:3.0f} %  {:.1f} of {}  {}", share * 100, static_cast<double>(done) / 1e6, megabytes(total),
                       note);
    if (elapsed_ns > 0 && share > 0.01) {
      const auto left_s = static_cast<int64_t>(static_cast<double>(elapsed_ns) * (1 - share) / share / 1e9);
      tail += fmt::format("  {}:{:02} left", left_s / 60, left_s % 60);
    }
  }
  std::string line(label.substr(0, std::min<size_t>(label.size(), columns / 3)));
  const size_t taken = line.size() + tail.size() + 4;
  if (total != 0 && columns > taken + 8) {
    const size_t width = std::min<size_t>(columns - taken - 1, 40);
    const size_t filled =
        static_cast<size_t>(static_cast<double>(done) / static_cast<double>(total) * static_cast<double>(width));
    line += "  [" + std::string(filled, '#') + std::string(width - filled, '.') + ']';
  }
  line += tail;
  if (line.size() > columns) line.resize(columns);
  return line;
}

ProgressBar::ProgressBar(std::string label, uint64_t total, const env::Clock& clock)
    : label_(std::move(label)),
      total_(total),
      clock_(clock),
      started_ns_(clock.mono_ns()),
      drawn_ns_(started_ns_),
      visible_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { finish(); }

void ProgressBar::update(uint64_t done, std::string_view note) {
  if (!visible_) return;
  const int64_t now = clock_.mono_ns();
  if (now - drawn_ns_ < kRedrawNs) return;
  drawn_ns_ = now;
  drawn_ = true;
  const std::string line = progress_line(label_, done, total_, note, now - started_ns_, columns_of_stderr() - 1);
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

void ProgressBar::finish() {
  if (drawn_) {
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
  }
  drawn_ = false;
}

}  // namespace clew::app
