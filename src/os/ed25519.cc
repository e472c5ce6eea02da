#include "os/ed25519.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "base/hex.h"
#include "base/sha256.h"

namespace clew::os {
namespace {

constexpr size_t kMaxPemBytes = 16 << 10;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Bio reading(std::string_view pem) { return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all}; }

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

const uint8_t* octets(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

// OpenSSL asks the terminal for a password unless it is given one.
int no_password(char*, int, int, void*) { return 0; }

Result<std::shared_ptr<EVP_PKEY>> checked(EVP_PKEY* key, const char* what) {
  std::shared_ptr<EVP_PKEY> owned(key, EVP_PKEY_free);
  ERR_clear_error();
  if (key == nullptr)
    return Error{Code::kInvalidArgument, "no " + std::string(what) + " in PEM, or one with a password"};
  if (EVP_PKEY_id(key) != EVP_PKEY_ED25519) {
    return Error{Code::kInvalidArgument, "a " + std::string(what) + " of another kind: Ed25519 is needed"};
  }
  return owned;
}

}  // namespace

Result<Ed25519PublicKey> Ed25519PublicKey::from_pem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return Error{Code::kInvalidArgument, "too long for a public key"};
  CLEW_ASSIGN(auto key, checked(PEM_read_bio_PUBKEY(reading(pem).get(), nullptr, no_password, nullptr), "public key"));
  return Ed25519PublicKey(std::move(key));
}

std::string Ed25519PublicKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
  CHECK(PEM_write_bio_PUBKEY(bio.get(), key_.get()) == 1);
  return text_of(bio.get());
}

std::string Ed25519PublicKey::bytes() const {
  std::string raw(32, '\0');
  size_t size = raw.size();
  CHECK(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<uint8_t*>(raw.data()), &size) == 1);
  return raw;
}

bool Ed25519PublicKey::verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != kEd25519SignatureBytes) return false;
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  CHECK(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  const bool valid =
      EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) == 1;
  if (!valid) ERR_clear_error();
  return valid;
}

std::string Ed25519PublicKey::fingerprint() const {
  std::string text;
  for (const uint8_t byte : sha256(bytes()).bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  text.resize(text.size() / 2);
  return text;
}

bool operator==(const Ed25519PublicKey& a, const Ed25519PublicKey& b) { return a.bytes() == b.bytes(); }

Result<Ed25519Key> Ed25519Key::generate() {
  EVP_PKEY* const made = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (made == nullptr) {
    ERR_clear_error();
    return Error{Code::kUnavailable, "the system gives no random bytes for a key"};
  }
  return Ed25519Key(std::shared_ptr<EVP_PKEY>(made, EVP_PKEY_free));
}

Result<Ed25519Key> Ed25519Key::from_pem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return Error{Code::kInvalidArgument, "too long for a private key"};
  CLEW_ASSIGN(auto key,
              checked(PEM_read_bio_PrivateKey(reading(pem).get(), nullptr, no_password, nullptr), "private key"));
  return Ed25519Key(std::move(key));
}

std::string Ed25519Key::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
  CHECK(PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio.get());
}

std::string Ed25519Key::sign(std::string_view message) const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  std::string signature(kEd25519SignatureBytes, '\0');
  size_t size = signature.size();
  CHECK(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, octets(message),
                       message.size()) == 1);
  return signature;
}

}  // namespace clew::os
