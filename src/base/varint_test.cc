#include "base/varint.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace clew {
namespace {

RC_GTEST_PROP(Varint, whatGoesInComesOut, (const std::vector<uint64_t>& values)) {
  std::string bytes;
  for (const uint64_t value : values) append_varint(bytes, value);
  ByteReader reader(bytes);
  for (const uint64_t value : values) RC_ASSERT(reader.varint() == value);
  RC_ASSERT(reader.ok());
  RC_ASSERT(reader.at_end());
}

TEST(Varint, edgesRoundTripInTheLengthThatTheyNeed) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t value : {(uint64_t{1} << bit) - 1, uint64_t{1} << bit, (uint64_t{1} << bit) + 1}) {
      std::string bytes;
      append_varint(bytes, value);
      const int used = value == 0 ? 1 : 64 - __builtin_clzll(value);
      EXPECT_EQ(bytes.size(), static_cast<size_t>((used + 6) / 7));
      EXPECT_EQ(ByteReader(bytes).varint(), value);
    }
  }
  std::string longest;
  append_varint(longest, UINT64_MAX);
  EXPECT_EQ(longest.size(), kMaxVarintBytes);
}

TEST(Varint, truncatedInputFailsAtEveryLength) {
  std::string bytes;
  append_varint(bytes, UINT64_MAX);
  for (size_t length = 0; length < bytes.size(); ++length) {
    ByteReader reader(std::string_view(bytes).substr(0, length));
    EXPECT_EQ(reader.varint(), 0u);
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Varint, overlongInputFails) {
  for (const std::string& bytes :
       {std::string(9, '\x80') + '\x02', std::string(10, '\x80') + '\x01', std::string(11, '\xff')}) {
    ByteReader reader(bytes);
    reader.varint();
    EXPECT_FALSE(reader.ok());
  }
}

RC_GTEST_PROP(Zigzag, isItsOwnInverseAndKeepsSmallNumbersSmall, (int64_t value)) {
  RC_ASSERT(unzigzag(zigzag(value)) == value);
  if (value > -64 && value < 64) RC_ASSERT(zigzag(value) < 128u);
}

TEST(Zigzag, takesTheExtremes) {
  EXPECT_EQ(unzigzag(zigzag(INT64_MIN)), INT64_MIN);
  EXPECT_EQ(unzigzag(zigzag(INT64_MAX)), INT64_MAX);
}

TEST(ByteReader, failsForGoodOnceAReadGoesPastTheEnd) {
  std::string bytes;
  append_fixed<uint32_t>(bytes, 7);
  append_bytes(bytes, "abc");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.fixed<uint32_t>(), 7u);
  EXPECT_EQ(reader.prefixed_bytes(), "abc");
  EXPECT_TRUE(reader.ok() && reader.at_end());
  EXPECT_EQ(reader.fixed<uint8_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.bytes(0), "");
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, aHugeLengthPrefixIsRefusedNotFollowed) {
  std::string bytes;
  append_varint(bytes, UINT64_MAX);
  bytes += "xyz";
  ByteReader reader(bytes);
  EXPECT_EQ(reader.prefixed_bytes(), "");
  EXPECT_FALSE(reader.ok());
}

RC_GTEST_PROP(ByteReader, arbitraryBytesNeverReadOutside, (const std::string& bytes)) {
  ByteReader reader(bytes);
  const char* const end = bytes.data() + bytes.size();
  while (reader.ok() && !reader.at_end()) {
    const std::string_view got = reader.prefixed_bytes();
    if (reader.ok()) RC_ASSERT(got.data() >= bytes.data() && got.data() + got.size() <= end);
    reader.fixed<uint16_t>();
  }
}

}  // namespace
}  // namespace clew
