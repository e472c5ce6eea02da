#include "os/ed25519.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace clew::os {
namespace {

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

}  // namespace

void Ed25519Key::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<Ed25519Key> Ed25519Key::from_secret(std::string_view secret) {
  if (secret.size() != kEd25519KeyBytes) {
    return Error{Code::kInvalidArgument,
                 "an Ed25519 key has 32 bytes, this one " + std::to_string(secret.size()) + "; make a new one"};
  }
  EVP_PKEY* const key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(secret), secret.size());
  if (key == nullptr) return Error{Code::kInternal, "OpenSSL refuses an Ed25519 key; is the library built without it?"};
  return Ed25519Key(key);
}

std::string Ed25519Key::public_key() const {
  std::string out(kEd25519KeyBytes, '\0');
  size_t size = out.size();
  const int got = EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(out.data()), &size);
  CHECK(got == 1 && size == out.size());
  return out;
}

std::string Ed25519Key::sign(std::string_view message) const {
  const Context context(EVP_MD_CTX_new());
  std::string out(kEd25519SignatureBytes, '\0');
  size_t size = out.size();
  const bool done = context != nullptr &&
                    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
                    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes(message),
                                   message.size()) == 1;
  CHECK(done && size == out.size());
  return out;
}

bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != kEd25519KeyBytes || signature.size() != kEd25519SignatureBytes) return false;
  EVP_PKEY* const key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(public_key), public_key.size());
  if (key == nullptr) return false;
  const Context context(EVP_MD_CTX_new());
  const bool holds =
      context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message), message.size()) == 1;
  EVP_PKEY_free(key);
  return holds;
}

}  // namespace clew::os
