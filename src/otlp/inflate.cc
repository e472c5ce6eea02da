#include "otlp/inflate.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>

namespace clew::otlp {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzipWindow = kWindowBits + 16;
constexpr int kRawWindow = -kWindowBits;
// RFC 8878 asks every decoder for windows of 8 MiB; more only where the limit on the output allows as much anyway.
constexpr int kMinZstdWindowLog = 23;
constexpr int kMaxZstdWindowLog = 27;
constexpr size_t kFirstOutput = 64u << 10;

Status too_large(uint64_t max_bytes) {
  return {Code::kResourceExhausted, "the body inflates to more than the limit of " + std::to_string(max_bytes) +
                                        " bytes; send smaller batches or raise the limit"};
}
Status bad_bytes(const char* format, const std::string& reason) {
  return {Code::kInvalidArgument, std::string("the body is not valid ") + format + ": " + reason +
                                      "; check that Content-Encoding names the compression really used"};
}

// Output that grows by doubling and never holds more than the limit and one byte, which proves that the limit is
// passed.
class BoundedOutput {
 public:
  BoundedOutput(std::string& out, uint64_t max_bytes, size_t compressed, const ReserveFn& reserve)
      : out_(out), max_(max_bytes), reserve_(reserve) {
    grow(std::max<uint64_t>(kFirstOutput, uint64_t{compressed} * 4));
  }
  char* next() { return out_.data() + size_; }
  // Bytes that may be written at next(); grows when there are none. At least 1 unless exceeded() or refused().
  size_t room() {
    if (size_ == out_.size() && !refused_) grow(uint64_t{size_} * 2);
    return out_.size() - size_;
  }
  bool refused() const { return refused_; }
  void wrote(size_t n) { size_ += n; }
  size_t size() const { return size_; }
  bool exceeded() const { return size_ > max_; }
  void finish() { out_.resize(size_); }

 private:
  void grow(uint64_t wanted) {
    const uint64_t size = std::min(cap(), wanted);
    refused_ = reserve_ && !reserve_(size);
    if (refused_) {
      out_.clear();
      size_ = 0;
    } else {
      out_.resize(static_cast<size_t>(size));
    }
  }
  uint64_t cap() const { return max_ == std::numeric_limits<uint64_t>::max() ? max_ : max_ + 1; }

  std::string& out_;
  const uint64_t max_;
  const ReserveFn& reserve_;
  size_t size_ = 0;
  bool refused_ = false;
};

Status no_room() { return {Code::kUnavailable, "no memory to inflate the body; retry"}; }

class ZlibInflater {
 public:
  explicit ZlibInflater(int window_bits) { ready_ = inflateInit2(&stream_, window_bits) == Z_OK; }
  ~ZlibInflater() {
    if (ready_) inflateEnd(&stream_);
  }
  ZlibInflater(const ZlibInflater&) = delete;
  ZlibInflater& operator=(const ZlibInflater&) = delete;
  bool ready() const { return ready_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

Status inflate_zlib(int window_bits, const char* format, std::string_view in, uint64_t max_bytes, std::string& out,
                    const ReserveFn& reserve) {
  ZlibInflater inflater(window_bits);
  if (!inflater.ready()) return no_room();
  z_stream& stream = inflater.stream();
  BoundedOutput output(out, max_bytes, in.size(), reserve);
  constexpr size_t kMaxChunk = 1u << 30;  // zlib counts in 32 bits
  for (;;) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream.avail_in = static_cast<uInt>(std::min(in.size(), kMaxChunk));
    const auto room = static_cast<uInt>(std::min(output.room(), kMaxChunk));
    if (output.refused()) return no_room();
    stream.next_out = reinterpret_cast<Bytef*>(output.next());
    stream.avail_out = room;
    const uInt given = stream.avail_in;
    const int code = ::inflate(&stream, Z_NO_FLUSH);
    in.remove_prefix(given - stream.avail_in);
    output.wrote(room - stream.avail_out);
    if (output.exceeded()) return too_large(max_bytes);
    if (code == Z_STREAM_END) {
      if (in.empty()) break;
      if (window_bits != kGzipWindow)
        return bad_bytes(format, std::to_string(in.size()) + " bytes follow the end of the stream");
      if (inflateReset(&stream) != Z_OK)
        return bad_bytes(format, "a member cannot be opened");  // RFC 1952 §2.2: the next member
      continue;
    }
    if (code == Z_OK) {
      if (in.empty() && stream.avail_out != 0) return bad_bytes(format, "it ends too early");
      continue;
    }
    if (code == Z_BUF_ERROR) return bad_bytes(format, "it ends too early");
    if (code == Z_MEM_ERROR) return no_room();
    return bad_bytes(format, stream.msg != nullptr ? stream.msg : "a preset dictionary is required");
  }
  output.finish();
  return {};
}

// "deflate" means zlib (RFC 9110 §8.4.1.2), yet some clients send the raw stream.
Status inflate_deflate(std::string_view in, uint64_t max_bytes, std::string& out, const ReserveFn& reserve) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(in[i])); };
  const bool has_zlib_header = in.size() >= 2 && (byte(0) & 0x0f) == 8 && (byte(0) << 8 | byte(1)) % 31 == 0;
  if (!has_zlib_header) return inflate_zlib(kRawWindow, "deflate", in, max_bytes, out, reserve);
  Status status = inflate_zlib(kWindowBits, "deflate", in, max_bytes, out, reserve);
  if (status.ok() || status.code() != Code::kInvalidArgument) return status;
  // The first two bytes of a raw stream may look like a header.
  return inflate_zlib(kRawWindow, "deflate", in, max_bytes, out, reserve).ok() ? Status() : status;
}

Status inflate_zstd(std::string_view in, uint64_t max_bytes, std::string& out, const ReserveFn& reserve) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (context == nullptr) return no_room();
  const int window_log =
      std::clamp(static_cast<int>(std::bit_width(max_bytes)) - 1, kMinZstdWindowLog, kMaxZstdWindowLog);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, window_log);
  BoundedOutput output(out, max_bytes, in.size(), reserve);
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  size_t left = 1;  // 0: a frame is complete and flushed
  while (input.pos < input.size || left != 0) {
    const size_t room = output.room();
    if (output.refused()) return no_room();
    ZSTD_outBuffer chunk{output.next(), room, 0};
    const size_t consumed = input.pos;
    left = ZSTD_decompressStream(context.get(), &chunk, &input);
    output.wrote(chunk.pos);
    if (output.exceeded()) return too_large(max_bytes);
    if (ZSTD_isError(left)) {
      if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
        return {Code::kResourceExhausted, "the zstd window is larger than 2^" + std::to_string(window_log) +
                                              " bytes; compress without long-distance matching or at a lower level"};
      return bad_bytes("zstd", ZSTD_getErrorName(left));
    }
    if (left != 0 && input.pos == input.size && input.pos == consumed && chunk.pos == 0)
      return bad_bytes("zstd", "it ends too early");
  }
  output.finish();
  return {};
}

}  // namespace

Result<Encoding> parse_encoding(std::string_view token) {
  std::string lower(token);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (lower.empty() || lower == "identity") return Encoding::kIdentity;
  if (lower == "gzip" || lower == "x-gzip") return Encoding::kGzip;
  if (lower == "deflate") return Encoding::kDeflate;
  if (lower == "zstd") return Encoding::kZstd;
  return Error{Code::kUnimplemented, "content encoding \"" + lower.substr(0, 64) +
                                         "\" is not supported; use gzip, zstd, deflate or identity"};
}

Status inflate(Encoding encoding, std::string_view compressed, uint64_t max_bytes, std::string& out) {
  return inflate(encoding, compressed, max_bytes, out, {});
}

Status inflate(Encoding encoding, std::string_view compressed, uint64_t max_bytes, std::string& out,
               const ReserveFn& reserve) {
  Status status;
  switch (encoding) {
    case Encoding::kIdentity:
      if (compressed.size() > max_bytes) {
        status = too_large(max_bytes);
      } else if (reserve && !reserve(compressed.size())) {
        status = no_room();
      } else {
        out.assign(compressed);
      }
      break;
    case Encoding::kGzip:
      status = inflate_zlib(kGzipWindow, "gzip", compressed, max_bytes, out, reserve);
      break;
    case Encoding::kDeflate:
      status = inflate_deflate(compressed, max_bytes, out, reserve);
      break;
    case Encoding::kZstd:
      status = inflate_zstd(compressed, max_bytes, out, reserve);
      break;
  }
  if (!status.ok()) out.clear();
  return status;
}

Status deflate(Encoding encoding, std::string_view bytes, std::string& out) {
  if (encoding == Encoding::kIdentity) {
    out.assign(bytes);
    return {};
  }
  if (encoding == Encoding::kZstd) {
    out.resize(ZSTD_compressBound(bytes.size()));
    const size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(size)) return {Code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(size)};
    out.resize(size);
    return {};
  }
  if (bytes.size() > std::numeric_limits<uInt>::max())
    return {Code::kInvalidArgument, "more than 4 GiB in one stream; split it"};
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, encoding == Encoding::kGzip ? kGzipWindow : kWindowBits,
                   8, Z_DEFAULT_STRATEGY) != Z_OK)
    return {Code::kUnavailable, "no memory to compress; retry"};
  out.resize(deflateBound(&stream, bytes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), std::numeric_limits<uInt>::max()));
  const int code = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (code != Z_STREAM_END) return {Code::kInternal, "zlib could not finish the stream"};
  return {};
}

}  // namespace clew::otlp
