#include "os/ed25519.h"

#include <gtest/gtest.h>

#include <string>

#include "base/hex.h"

namespace clew::os {
namespace {

std::string bytes_of(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(hex_value(hex[i]) << 4 | hex_value(hex[i + 1])));
  }
  return out;
}

// RFC 8032, section 7.1, test 2.
TEST(Ed25519, givesThePublishedSignature) {
  const auto key =
      Ed25519Key::from_secret(bytes_of("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->public_key(), bytes_of("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
  const std::string signature = key->sign("\x72");
  EXPECT_EQ(signature, bytes_of("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
  EXPECT_TRUE(ed25519_verify(key->public_key(), "\x72", signature));
  EXPECT_FALSE(ed25519_verify(key->public_key(), "\x73", signature));
  EXPECT_FALSE(ed25519_verify(key->public_key(), "\x72", signature.substr(1)));
  EXPECT_FALSE(ed25519_verify(std::string(32, '\xff'), "\x72", signature));
}

TEST(Ed25519, refusesAKeyOfAnotherLength) { EXPECT_FALSE(Ed25519Key::from_secret("short").ok()); }

}  // namespace
}  // namespace clew::os
