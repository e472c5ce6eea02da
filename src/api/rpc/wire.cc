#include "api/rpc/wire.h"

#include <algorithm>
#include <charconv>

namespace clew::api::rpc {
namespace {

// nghttp2 sends no head above 64 KiB, and messages may repeat what a client sent.
constexpr size_t kMaxMessageBytes = 4'096;

}  // namespace

std::string escape_message(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text.substr(0, kMaxMessageBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text) {
  uint64_t value = 0;
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size() - 1, value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() - 1) return std::nullopt;
  const auto count = static_cast<int64_t>(value);
  switch (text.back()) {
    case 'H':
      return std::chrono::hours(std::min<int64_t>(count, 24 * 365));
    case 'M':
      return std::chrono::minutes(std::min<int64_t>(count, 60 * 24 * 365));
    case 'S':
      return std::chrono::seconds(count);
    case 'm':
      return std::chrono::milliseconds(count);
    case 'u':
      return std::chrono::microseconds(count);
    case 'n':
      return std::chrono::nanoseconds(count);
    default:
      return std::nullopt;
  }
}

size_t message_size(const uint8_t* prefix) {
  return static_cast<size_t>(prefix[1]) << 24 | static_cast<size_t>(prefix[2]) << 16 |
         static_cast<size_t>(prefix[3]) << 8 | prefix[4];
}

}  // namespace clew::api::rpc
