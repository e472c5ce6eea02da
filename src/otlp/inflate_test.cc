#include "otlp/inflate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/random.h"

namespace clew::otlp {
namespace {

using ::testing::HasSubstr;

constexpr Encoding kEncodings[] = {Encoding::kIdentity, Encoding::kGzip, Encoding::kDeflate, Encoding::kZstd};
constexpr Encoding kCompressed[] = {Encoding::kGzip, Encoding::kDeflate, Encoding::kZstd};

std::string random_text(size_t size, uint64_t seed) {
  Generator random(seed);
  std::string text;
  while (text.size() < size) text += static_cast<char>('a' + random.below(4));
  return text;
}
std::string deflated(Encoding encoding, std::string_view bytes) {
  std::string out;
  EXPECT_TRUE(deflate(encoding, bytes, out).ok());
  return out;
}
std::string raw_deflated(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
// As a client streams that does not know the size beforehand.
std::string zstd_streamed(std::string_view bytes, int window_log) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  std::string out(ZSTD_compressBound(bytes.size()) + 1024, '\0');
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  for (size_t at = 0; at < bytes.size(); at += 1000) {
    const std::string_view piece = bytes.substr(at, 1000);
    ZSTD_inBuffer input{piece.data(), piece.size(), 0};
    ZSTD_compressStream2(context, &output, &input, ZSTD_e_continue);
  }
  ZSTD_inBuffer nothing{nullptr, 0, 0};
  EXPECT_EQ(ZSTD_compressStream2(context, &output, &nothing, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(output.pos);
  return out;
}

TEST(Inflate, encodingsAreNamedAsHttpAndGrpcNameThem) {
  EXPECT_EQ(*parse_encoding(""), Encoding::kIdentity);
  EXPECT_EQ(*parse_encoding("identity"), Encoding::kIdentity);
  EXPECT_EQ(*parse_encoding("GZip"), Encoding::kGzip);
  EXPECT_EQ(*parse_encoding("x-gzip"), Encoding::kGzip);
  EXPECT_EQ(*parse_encoding("deflate"), Encoding::kDeflate);
  EXPECT_EQ(*parse_encoding("zstd"), Encoding::kZstd);
  EXPECT_EQ(parse_encoding("br").status().code(), Code::kUnimplemented);
}

TEST(Inflate, whatWasDeflatedComesBack) {
  for (const Encoding encoding : kEncodings) {
    for (const size_t size : {0u, 1u, 1000u, 65536u, 500000u}) {
      const std::string text = random_text(size, size + 1);
      std::string out = "left over";
      const Status status = inflate(encoding, deflated(encoding, text), size, out);
      ASSERT_TRUE(status.ok()) << static_cast<int>(encoding) << " " << size << " " << status.to_string();
      EXPECT_EQ(out, text);
    }
  }
}

TEST(Inflate, theLimitIsExact) {
  const std::string text = random_text(200000, 7);
  for (const Encoding encoding : kEncodings) {
    std::string out;
    EXPECT_TRUE(inflate(encoding, deflated(encoding, text), text.size(), out).ok());
    const Status status = inflate(encoding, deflated(encoding, text), text.size() - 1, out);
    EXPECT_EQ(status.code(), Code::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("199999"));
    EXPECT_EQ(out, "");
  }
}

TEST(Inflate, aBombCostsNoMoreThanTheLimit) {
  constexpr uint64_t kLimit = 256u << 10;
  const std::string zeros(1000 * kLimit / 8, '\0');
  for (const Encoding encoding : kCompressed) {
    const std::string bomb = deflated(encoding, zeros);
    ASSERT_LT(bomb.size() * 900, zeros.size());
    std::string out;
    EXPECT_EQ(inflate(encoding, bomb, kLimit, out).code(), Code::kResourceExhausted);
    EXPECT_LE(out.capacity(),
              2 * kLimit + 64);  // std::string grows by doubling; what lies beyond the limit is never touched
  }
}

TEST(Inflate, aBombOfManyMembersIsBoundedAcrossThem) {
  const std::string text(100000, 'x');
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kZstd}) {
    std::string many;
    for (int i = 0; i < 50; ++i) many += deflated(encoding, text);
    std::string out;
    EXPECT_EQ(inflate(encoding, many, 49 * text.size(), out).code(), Code::kResourceExhausted);
    ASSERT_TRUE(inflate(encoding, many, 50 * text.size(), out).ok());
    EXPECT_EQ(out.size(), 50 * text.size());
  }
}

TEST(Inflate, truncatedStreamsAreRefusedAtEveryByte) {
  const std::string text = random_text(300, 3);
  for (const Encoding encoding : kCompressed) {
    const std::string whole = deflated(encoding, text);
    for (size_t size = 0; size < whole.size(); ++size) {
      std::string out;
      EXPECT_EQ(inflate(encoding, std::string_view(whole).substr(0, size), 1000, out).code(), Code::kInvalidArgument)
          << static_cast<int>(encoding) << " cut at " << size << " of " << whole.size();
    }
  }
}

TEST(Inflate, garbageAfterTheEndIsRefused) {
  for (const Encoding encoding : kCompressed) {
    std::string out;
    const Status status = inflate(encoding, deflated(encoding, "hello") + "garbage", 1000, out);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << static_cast<int>(encoding);
    EXPECT_THAT(std::string(status.message()), HasSubstr("Content-Encoding"));
  }
}

TEST(Inflate,
     flippedBytesNeverPassAsOtherContentInGzip) {  // CRC-32 of the content; the header's own bytes may change freely
  const std::string text = random_text(300, 5);
  const std::string whole = deflated(Encoding::kGzip, text);
  for (size_t at = 10; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    std::string out;
    const bool taken = inflate(Encoding::kGzip, changed, 1000, out).ok();
    EXPECT_TRUE(!taken || out == text) << at;  // the padding of the last block
  }
}

TEST(Inflate, rawDeflateIsTaken) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::string text = random_text(seed * 20, seed);
    std::string out;
    ASSERT_TRUE(inflate(Encoding::kDeflate, raw_deflated(text), 2000, out).ok()) << seed;
    EXPECT_EQ(out, text);
  }
}

TEST(Inflate, zstdOfUnknownSizeAndSkippableFrames) {
  const std::string text = random_text(5000, 9);
  std::string skippable("\x50\x2a\x4d\x18\x04\x00\x00\x00skip", 12);
  std::string out;
  ASSERT_TRUE(inflate(Encoding::kZstd, zstd_streamed(text, 21) + skippable + zstd_streamed(text, 10), 10000, out).ok());
  EXPECT_EQ(out, text + text);
}

TEST(Inflate, zstdWindowsAreBounded) {
  const std::string text = random_text(5000, 9);
  std::string out;
  EXPECT_TRUE(inflate(Encoding::kZstd, zstd_streamed(text, 23), 10000, out).ok());
  EXPECT_EQ(inflate(Encoding::kZstd, zstd_streamed(text, 24), 10000, out).code(), Code::kResourceExhausted);
  EXPECT_TRUE(inflate(Encoding::kZstd, zstd_streamed(text, 26), 64u << 20, out).ok());
  EXPECT_EQ(inflate(Encoding::kZstd, zstd_streamed(text, 28), 1ull << 40, out).code(), Code::kResourceExhausted);
}

TEST(Inflate, anEmptyBodyIsNoCompressedStream) {
  for (const Encoding encoding : kCompressed) {
    std::string out;
    EXPECT_EQ(inflate(encoding, "", 10, out).code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace clew::otlp
