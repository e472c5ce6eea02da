// Bounded decompression of request bodies: gzip (RFC 1952, several members), deflate (zlib), zstd, identity. Streaming: the limit is checked
// while inflating, so a bomb costs at most the limit. kResourceExhausted above the limit, kInvalidArgument on bad bytes or a truncated
// stream, kUnimplemented for another encoding. Thread: any; one call at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace clew::otlp {

enum class Encoding { kIdentity, kGzip, kDeflate, kZstd };
// The Content-Encoding / grpc-encoding token; "" and "identity" are kIdentity.
Result<Encoding> parse_encoding(std::string_view token);

Status inflate(Encoding encoding, std::string_view compressed, uint64_t max_bytes, std::string& out);
// For tests, the load generator and replies.
Status deflate(Encoding encoding, std::string_view bytes, std::string& out);

}  // namespace clew::otlp
