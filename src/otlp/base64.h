// Base64 (RFC 4648): how JSON carries bytes. Out: the standard alphabet, padded. In: standard or URL-safe, padding
// optional, no whitespace. Not for ids in OTLP JSON, which are hex. Pure; any thread; linear.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace clew::otlp {

void append_base64(std::string_view bytes, std::string& out);
// Room that decoding `size` characters may need.
constexpr size_t base64_decoded_bound(size_t size) { return size / 4 * 3 + 3; }
// Writes at `out`, which has base64_decoded_bound(text.size()) bytes; the number written, or -1 when `text` is not
// base64. Left-over bits of the last character must be zero, so that no two texts mean the same bytes by accident.
ptrdiff_t decode_base64(std::string_view text, char* out);

}  // namespace clew::otlp
