#include "app/client_output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace clew::app {

bool colours_on() {
  return isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;  // NOLINT(concurrency-mt-unsafe)
}

std::string painted(Paint paint, std::string_view text, bool on) {
  static constexpr std::array<const char*, 8> kCodes{"", "2", "1", "32", "33", "31", "34", "36"};
  if (!on || paint == Paint::kNone) return std::string(text);
  return "\x1b[" + std::string(kCodes[static_cast<size_t>(paint)]) + "m" + std::string(text) + "\x1b[0m";
}

std::string readable_duration(int64_t ns) {
  struct Scale {
    double factor;
    const char* unit;
  };
  static constexpr std::array<Scale, 4> kScales{{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
  const auto value = static_cast<double>(ns);
  for (const Scale& scale : kScales) {
    if (value >= scale.factor || value <= -scale.factor || scale.factor == 1) {
      std::array<char, 32> text{};
      std::snprintf(text.data(), text.size(), "%.3g %s", value / scale.factor, scale.unit);
      return text.data();
    }
  }
  return {};
}

std::string readable_time(int64_t wall_ns) {
  const time_t seconds = wall_ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 48> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03d", static_cast<int>(wall_ns / 1'000'000 % 1000));
  return text.data();
}

int64_t wall_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

std::string fitted(std::string_view text, size_t width, bool pad) {
  std::string out;
  size_t columns = 0;
  size_t before_last = 0;  // bytes of `out` without its last column
  for (size_t at = 0; at < text.size();) {
    size_t length = 1;
    while (at + length < text.size() && (static_cast<unsigned char>(text[at + length]) & 0xc0) == 0x80) ++length;
    if (columns == width) {
      out.resize(before_last);
      return out + (width > 0 ? "…" : "");
    }
    before_last = out.size();
    out.append(text.substr(at, length));
    at += length;
    ++columns;
  }
  if (pad) out.append(width - columns, ' ');
  return out;
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

}  // namespace clew::app
