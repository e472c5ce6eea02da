// Ed25519 signatures (RFC 8032) by OpenSSL: the keys with which members of a PBFT group sign what they say. Equal
// bytes and keys give equal signatures. Keys stand in files as PEM (PKCS #8, SubjectPublicKeyInfo), as `openssl` writes
// and reads them.
//
// Values; copies share the key. Any thread. Signing takes some 25 microseconds, checking three times as long.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_pkey_st;

namespace clew::os {

constexpr size_t kEd25519SignatureBytes = 64;

class Ed25519PublicKey {
 public:
  static Result<Ed25519PublicKey> from_pem(std::string_view pem);
  std::string to_pem() const;
  // Of untrusted bytes of any length.
  bool verify(std::string_view message, std::string_view signature) const;
  // The first half of the SHA-256 of the key, in hex: for people who compare keys.
  std::string fingerprint() const;
  friend bool operator==(const Ed25519PublicKey& a, const Ed25519PublicKey& b);

 private:
  friend class Ed25519Key;
  explicit Ed25519PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::string bytes() const;
  std::shared_ptr<evp_pkey_st> key_;
};

class Ed25519Key {
 public:
  static Result<Ed25519Key> generate();
  static Result<Ed25519Key> from_pem(std::string_view pem);  // no password
  std::string to_pem() const;                                // secret
  Ed25519PublicKey public_key() const { return Ed25519PublicKey(key_); }
  std::string sign(std::string_view message) const;  // kEd25519SignatureBytes

 private:
  explicit Ed25519Key(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace clew::os
