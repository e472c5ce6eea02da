// Strong ids of the trace world. Plain values; hex text as W3C and OTLP JSON write it (lower case out, either case in).
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace clew::model {

// 16 bytes. Held as two big-endian-decoded words, so that comparing numbers is comparing bytes.
struct TraceId {
  uint64_t hi = 0;
  uint64_t lo = 0;

  static TraceId from_bytes(const char* bytes16) {
    TraceId id;
    std::memcpy(&id.hi, bytes16, 8);
    std::memcpy(&id.lo, bytes16 + 8, 8);
    id.hi = __builtin_bswap64(id.hi);
    id.lo = __builtin_bswap64(id.lo);
    return id;
  }
  void to_bytes(char* out16) const {
    const uint64_t h = __builtin_bswap64(hi), l = __builtin_bswap64(lo);
    std::memcpy(out16, &h, 8);
    std::memcpy(out16 + 8, &l, 8);
  }
  // 32 hex digits; up to 31 are taken as a short id, left-padded with zeros, as Jaeger and Zipkin clients send them.
  static std::optional<TraceId> parse(std::string_view hex);
  std::string hex() const;  // 32 digits
  bool valid() const { return hi != 0 || lo != 0; }
  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that a defaulted comparison compares with is no pointer
  friend auto operator<=>(const TraceId&, const TraceId&) = default;
};

// 8 bytes; 0 is "none".
struct SpanId {
  uint64_t value = 0;

  static SpanId from_bytes(const char* bytes8) {
    SpanId id;
    std::memcpy(&id.value, bytes8, 8);
    id.value = __builtin_bswap64(id.value);
    return id;
  }
  void to_bytes(char* out8) const {
    const uint64_t v = __builtin_bswap64(value);
    std::memcpy(out8, &v, 8);
  }
  static std::optional<SpanId> parse(std::string_view hex);  // 1 to 16 digits
  std::string hex() const;                                   // 16 digits
  bool valid() const { return value != 0; }
  friend auto operator<=>(const SpanId&, const SpanId&) = default;  // NOLINT(modernize-use-nullptr)
};

// A tenant is a name (1–128 of [A-Za-z0-9_.:@-]); in keys it stands as a stable 64-bit hash of that name. The node
// refuses a new name whose hash is already taken by another. No header and no token: "default".
struct TenantId {
  uint64_t value = 0;
  friend auto operator<=>(const TenantId&, const TenantId&) = default;  // NOLINT(modernize-use-nullptr)
};
constexpr std::string_view kDefaultTenant = "default";
bool tenant_name_valid(std::string_view name);
TenantId tenant_id(std::string_view name);

// The place of a trace in the partitioning: a stable 64-bit hash of the trace id. On disk and between nodes.
struct Token {
  uint64_t value = 0;
  friend auto operator<=>(const Token&, const Token&) = default;  // NOLINT(modernize-use-nullptr)
};
inline Token token_of(TraceId id) { return {mix64(id.hi, id.lo)}; }

// Sort key of everything stored.
struct TraceKey {
  TenantId tenant;
  Token token;
  TraceId trace;
  friend auto operator<=>(const TraceKey&, const TraceKey&) = default;  // NOLINT(modernize-use-nullptr)
};
inline TraceKey trace_key(TenantId tenant, TraceId trace) { return {tenant, token_of(trace), trace}; }

// What the accepting node writes once on every batch of rows, and replicas keep.
struct Stamp {
  uint64_t hlc = 0;                                               // hybrid logical clock (clock/hlc.h)
  uint32_t origin = 0;                                            // accepting node
  uint64_t sequence = 0;                                          // of the batch at that node
  friend auto operator<=>(const Stamp&, const Stamp&) = default;  // NOLINT(modernize-use-nullptr)
};

std::string hex_of(std::string_view bytes);
bool bytes_of_hex(std::string_view hex, char* out);  // hex.size() even; false on a non-hex digit

}  // namespace clew::model
