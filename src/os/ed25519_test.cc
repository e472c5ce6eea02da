#include "os/ed25519.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clew::os {
namespace {

using ::testing::HasSubstr;

// RFC 8032 §7.1, test 2, as PEM.
constexpr char kRfcKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

TEST(Ed25519, signsAsTheRfcSays) {
  const auto key = Ed25519Key::from_pem(kRfcKey);
  ASSERT_TRUE(key.ok()) << key.error().message;
  const std::string expected = from_hex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_EQ(key->sign("r"), expected);
  EXPECT_TRUE(key->public_key().verify("r", expected));
}

TEST(Ed25519, keysComeBackFromTheirFiles_andOtherSignaturesAreRefused) {
  const auto key = Ed25519Key::generate();
  const auto other = Ed25519Key::generate();
  ASSERT_TRUE(key.ok() && other.ok());
  const auto again = Ed25519Key::from_pem(key->to_pem());
  const auto open = Ed25519PublicKey::from_pem(key->public_key().to_pem());
  ASSERT_TRUE(again.ok() && open.ok());
  EXPECT_EQ(*open, again->public_key());
  EXPECT_EQ(open->fingerprint(), key->public_key().fingerprint());
  EXPECT_EQ(open->fingerprint().size(), 32u);
  EXPECT_NE(open->fingerprint(), other->public_key().fingerprint());

  std::string signature = again->sign("said");
  EXPECT_TRUE(open->verify("said", signature));
  EXPECT_FALSE(open->verify("said not", signature));
  EXPECT_FALSE(other->public_key().verify("said", signature));
  EXPECT_FALSE(open->verify("said", signature + '\0'));
  EXPECT_FALSE(open->verify("said", ""));
  signature[10] = static_cast<char>(signature[10] ^ 1);
  EXPECT_FALSE(open->verify("said", signature));
}

TEST(Ed25519, whatIsNoKey_isRefusedInWords) {
  EXPECT_THAT(Ed25519Key::from_pem("nonsense").error().message, HasSubstr("no private key"));
  EXPECT_THAT(Ed25519PublicKey::from_pem("").error().message, HasSubstr("no public key"));
  EXPECT_THAT(Ed25519PublicKey::from_pem(std::string(1 << 20, 'x')).error().message, HasSubstr("too long"));
  // P-256.
  constexpr char kOther[] =
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
      "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
      "-----END PUBLIC KEY-----\n";
  EXPECT_THAT(Ed25519PublicKey::from_pem(kOther).error().message, HasSubstr("of another kind"));
}

}  // namespace
}  // namespace clew::os
