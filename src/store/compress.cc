#include "store/compress.h"

#include <zstd.h>

#include "base/check.h"
#include "base/varint.h"
#include "store/bitpack.h"

namespace clew::store {

struct Compressor::Impl {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~Impl() { ZSTD_freeCCtx(context); }
};

Compressor::Compressor() : impl_(std::make_unique<Impl>()) { CHECK(impl_->context != nullptr); }
Compressor::~Compressor() = default;

void Compressor::append(std::string_view bytes, int level, std::string& out) {
  const size_t before = out.size();
  append_varint(out, static_cast<uint64_t>(bytes.size()) << 1 | 1);
  const size_t start = out.size();
  const size_t bound = ZSTD_compressBound(bytes.size());
  out.resize(start + bound);
  const size_t got = ZSTD_compressCCtx(impl_->context, out.data() + start, bound, bytes.data(), bytes.size(), level);
  if (!ZSTD_isError(got) && got < bytes.size()) {
    out.resize(start + got);
    return;
  }
  out.resize(before);
  append_varint(out, static_cast<uint64_t>(bytes.size()) << 1);
  out.append(bytes);
}

bool decompress(std::string_view bytes, size_t max_bytes, std::string& out) {
  struct Context {
    ZSTD_DCtx* value = ZSTD_createDCtx();
    ~Context() { ZSTD_freeDCtx(value); }
  };
  thread_local Context context;
  ByteReader reader(bytes);
  const uint64_t head = reader.varint();
  const uint64_t size = head >> 1;
  if (!reader.ok() || size > max_bytes) return false;
  const std::string_view body(reader.position(), reader.remaining());
  out.clear();
  out.reserve(size + kPackedSlack);
  if ((head & 1) == 0) {
    if (body.size() != size) return false;
    out.assign(body);
    return true;
  }
  out.resize(size);
  const size_t got = ZSTD_decompressDCtx(context.value, out.data(), size, body.data(), body.size());
  return !ZSTD_isError(got) && got == size;
}

}  // namespace clew::store
