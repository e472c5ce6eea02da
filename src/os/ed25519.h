// Ed25519 (RFC 8032) by OpenSSL: keys that sign what members of a group say to each other when they do not trust each
// other (consensus/pbft). Deterministic: equal messages give equal signatures, so that a core that signs stays pure.
//
// Signing takes some 25 microseconds, verifying some 70: off the loop when there are many. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_pkey_st;

namespace clew::os {

constexpr size_t kEd25519KeyBytes = 32;
constexpr size_t kEd25519SignatureBytes = 64;

class Ed25519Key {
 public:
  // `secret`: 32 bytes from a random source; they are the key.
  static Result<Ed25519Key> from_secret(std::string_view secret);
  std::string public_key() const;  // 32 bytes
  std::string sign(std::string_view message) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit Ed25519Key(evp_pkey_st* key) : key_(key) {}
  std::unique_ptr<evp_pkey_st, Free> key_;
};

// False as well for a key or a signature of another length. Untrusted input.
bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace clew::os
