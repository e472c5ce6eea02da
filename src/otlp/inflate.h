// Bounded decompression of request bodies: gzip (RFC 1952, several members), deflate (zlib, and the raw stream that
// some clients send), zstd (several frames; windows up to 8 MiB, or up to the limit but at most 128 MiB), identity.
// Streaming: the limit is checked while inflating, so a bomb costs at most the limit.
//
// kResourceExhausted above the limit, kInvalidArgument on bad bytes, a truncated stream or bytes after its end,
// kUnimplemented for another encoding. Thread: any. Every function replaces `out` and leaves it empty on failure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace clew::otlp {

enum class Encoding { kIdentity, kGzip, kDeflate, kZstd };
// The Content-Encoding / grpc-encoding token; "" and "identity" are kIdentity.
Result<Encoding> parse_encoding(std::string_view token);

Status inflate(Encoding encoding, std::string_view compressed, uint64_t max_bytes, std::string& out);
// The same, asking `reserve` before the output's buffer grows, with its new size: what grows holds old and new buffer
// for a moment. kUnavailable when it refuses.
using ReserveFn = std::function<bool(uint64_t bytes)>;
Status inflate(Encoding encoding, std::string_view compressed, uint64_t max_bytes, std::string& out,
               const ReserveFn& reserve);
// For tests, the load generator and replies.
Status deflate(Encoding encoding, std::string_view bytes, std::string& out);

}  // namespace clew::otlp
