// What the client subcommands share when they write for people: colours (only on a terminal), numbers, times.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace clew::app {

enum class Paint { kNone, kDim, kBold, kGreen, kYellow, kRed, kBlue, kCyan };

// Colours are on when standard output is a terminal and NO_COLOR is not set.
bool colours_on();
std::string painted(Paint paint, std::string_view text, bool on);

std::string readable_duration(int64_t ns);   // "1.25 ms"
std::string readable_time(int64_t wall_ns);  // UTC, "2026-01-31 12:00:00.123"
int64_t wall_now_ns();
// Columns of the terminal; 100 when standard output is none.
size_t terminal_width();

// `text` in at most `width` columns (UTF-8 code points), padded with spaces when `pad`; what does not fit ends in "…".
std::string fitted(std::string_view text, size_t width, bool pad);
// Control characters replaced, so that a span's name cannot drive the terminal.
std::string printable(std::string_view text);

}  // namespace clew::app
