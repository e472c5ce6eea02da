// zstd with bounds. A context is reused, because making one costs more than compressing a small block.
// Not thread-safe: one per writer; readers use decompress(), which keeps a context per thread.
//
//   compressed := varint (size << 1 | is_zstd), then a zstd frame of `size` bytes, or those bytes themselves
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace clew::store {

class Compressor {
 public:
  Compressor();
  ~Compressor();
  // Appends varint(size << 1 | compressed) and the bytes, compressed at `level` when that makes them shorter.
  void append(std::string_view bytes, int level, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The inverse, of exactly these bytes. False when malformed or when the result would pass `max_bytes`. `out` is
// replaced and stays readable for kPackedSlack bytes after its end.
bool decompress(std::string_view bytes, size_t max_bytes, std::string& out);

}  // namespace clew::store
