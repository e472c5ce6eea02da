#include "base/sha256.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/hex.h"

namespace clew {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const uint8_t byte : sha256(bytes).bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

// FIPS 180-4's examples, and lengths at which the padding takes a block of its own.
TEST(Sha256, givesThePublishedValues) {
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(hex(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST(Sha256, isTheSameOfPieces) {
  std::string whole;
  for (int i = 0; i < 1'000; ++i) whole += std::to_string(i);
  Sha256 pieces;
  EXPECT_EQ(pieces.digest(), sha256(""));
  for (size_t at = 0, size = 1; at < whole.size(); at += size++) {
    pieces.add(std::string_view(whole).substr(at, size));
    const size_t so_far = std::min(at + size, whole.size());
    ASSERT_EQ(pieces.digest(), sha256(std::string_view(whole).substr(0, so_far)));  // and it goes on from there
  }
  EXPECT_EQ(pieces.digest(), sha256(whole));
}

}  // namespace
}  // namespace clew
