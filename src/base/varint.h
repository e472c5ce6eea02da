// LEB128 varints, zigzag and little-endian fixed integers: the encoding of rows, WAL records and segments.
// Writers append to a std::string; readers take a cursor [pos, end) and refuse truncated or overlong input.
// Pure; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace clew {

static_assert(std::endian::native == std::endian::little, "the file formats are written by plain copies");

inline uint64_t zigzag(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }
inline int64_t unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

constexpr size_t kMaxVarintBytes = 10;

// Writes at `out`, which has room for kMaxVarintBytes; returns the end.
inline char* put_varint(char* out, uint64_t v) {
  while (v >= 0x80) {
    *out++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *out++ = static_cast<char>(v);
  return out;
}

inline void append_varint(std::string& out, uint64_t v) {
  char buffer[kMaxVarintBytes];
  out.append(buffer, static_cast<size_t>(put_varint(buffer, v) - buffer));
}

template <typename T>
void append_fixed(std::string& out, T v) {
  char buffer[sizeof(T)];
  std::memcpy(buffer, &v, sizeof(T));
  out.append(buffer, sizeof(T));
}

inline void append_bytes(std::string& out, std::string_view bytes) {  // length-prefixed
  append_varint(out, bytes.size());
  out.append(bytes);
}

// A bounds-checked reader over borrowed bytes. After the first failure every read fails: check `ok()` once at the end
// of a group of reads.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : pos_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  bool at_end() const { return pos_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - pos_); }
  const char* position() const { return pos_; }

  uint64_t varint() {
    if (pos_ != end_ && static_cast<uint8_t>(*pos_) < 0x80) return static_cast<uint8_t>(*pos_++);
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (pos_ == end_) return fail();
      const auto byte = static_cast<uint8_t>(*pos_++);
      if (shift == 63 && byte > 1) return fail();
      v |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
    return fail();
  }
  int64_t zigzag_varint() { return unzigzag(varint()); }
  template <typename T>
  T fixed() {
    T v{};
    if (remaining() < sizeof(T)) {
      fail();
      return v;
    }
    std::memcpy(&v, pos_, sizeof(T));
    pos_ += sizeof(T);
    return v;
  }
  std::string_view bytes(uint64_t n) {
    if (remaining() < n) {
      fail();
      return {};
    }
    std::string_view result(pos_, n);
    pos_ += n;
    return result;
  }
  std::string_view prefixed_bytes() { return bytes(varint()); }
  void skip(uint64_t n) { bytes(n); }

 private:
  uint64_t fail() {
    ok_ = false;
    pos_ = end_;
    return 0;
  }
  const char* pos_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace clew
