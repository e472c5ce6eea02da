#include "store/query.h"

#include <cstring>

namespace clew::store {
namespace {
constexpr size_t kCursorDigits = 16 + 32;
}  // namespace

// Big-endian start and trace id in hex: printable, URL-safe, and compared as text it would even sort.
std::string encode_cursor(const SearchCursor& cursor) {
  char bytes[24];
  const uint64_t start = __builtin_bswap64(static_cast<uint64_t>(cursor.start_ns));
  std::memcpy(bytes, &start, 8);
  cursor.trace.to_bytes(bytes + 8);
  return model::hex_of({bytes, sizeof(bytes)});
}

std::optional<SearchCursor> decode_cursor(std::string_view text) {
  char bytes[24];
  if (text.size() != kCursorDigits || !model::bytes_of_hex(text, bytes)) return std::nullopt;
  SearchCursor cursor;
  uint64_t start;
  std::memcpy(&start, bytes, 8);
  cursor.start_ns = static_cast<int64_t>(__builtin_bswap64(start));
  cursor.trace = model::TraceId::from_bytes(bytes + 8);
  return cursor;
}

}  // namespace clew::store
