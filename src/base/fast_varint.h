// Varints without a branch per byte, for hot paths: lengths of larger numbers vary at random from value to
// value, and a mispredicted branch costs more than the whole of this. They touch eight bytes whatever the length: the
// reader must be allowed to read them, the writer to write them. Source: the usual halving of 7-bit groups ("Hacker's
// Delight", 7-4).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/varint.h"

namespace clew {

// Bytes that the varint at `p` takes, its value in `out`; 0 when it is longer than eight bytes. Eight bytes are
// readable.
inline size_t read_short_varint(const char* p, uint64_t& out) {
  uint64_t x;
  std::memcpy(&x, p, 8);
  const uint64_t stops = ~x & 0x8080808080808080ull;
  if (stops == 0) return 0;
  x &= (stops & -stops) - 1;  // what stands below the first stop bit
  x &= 0x7f7f7f7f7f7f7f7full;
  x = (x & 0x007f007f007f007full) | ((x & 0x7f007f007f007f00ull) >> 1);
  x = (x & 0x00003fff00003fffull) | ((x & 0x3fff00003fff0000ull) >> 2);
  out = (x & 0x000000000fffffffull) | ((x & 0x0fffffff00000000ull) >> 4);
  return static_cast<size_t>(std::countr_zero(stops)) / 8 + 1;
}

// As put_varint; kMaxVarintBytes are writable.
inline char* put_varint_fast(char* out, uint64_t v) {
  if (v < 0x4000) {  // one byte or two, as it comes
    const uint64_t more = v >= 0x80 ? 1 : 0;
    const auto two = static_cast<uint16_t>((v & 0x7f) | more << 7 | v >> 7 << 8);
    std::memcpy(out, &two, 2);
    return out + 1 + more;
  }
  if (v >> 56 != 0) return put_varint(out, v);
  uint64_t x = (v & 0x000000000fffffffull) | ((v & 0x00fffffff0000000ull) << 4);
  x = (x & 0x00003fff00003fffull) | ((x & 0x0fffc0000fffc000ull) << 2);
  x = (x & 0x007f007f007f007full) | ((x & 0x3f803f803f803f80ull) << 1);
  const auto more = static_cast<unsigned>(std::bit_width(v | 1) - 1) / 7;  // bytes that another one follows
  x |= 0x8080808080808080ull & ((uint64_t{1} << 8 * more) - 1);
  std::memcpy(out, &x, 8);
  return out + more + 1;
}

}  // namespace clew
