#include "base/sha256.h"

#include <openssl/evp.h>

#include <cstring>

#include "base/check.h"
#include "base/varint.h"

namespace clew {
namespace {

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

// Looked up once: OpenSSL 3's own lookup costs more than hashing what is short.
const EVP_MD* algorithm() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(found != nullptr);
  return found;
}

Digest256 finish(EVP_MD_CTX* context) {
  Digest256 digest;
  CHECK(EVP_DigestFinal_ex(context, digest.bytes.data(), nullptr) == 1);
  return digest;
}

}  // namespace

Digest256 sha256(std::string_view bytes) {
  Digest256 digest;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.bytes.data(), nullptr, algorithm(), nullptr) == 1);
  return digest;
}

Digest256 read_digest(ByteReader& in) {
  Digest256 digest;
  const std::string_view bytes = in.bytes(digest.bytes.size());
  if (in.ok()) std::memcpy(digest.bytes.data(), bytes.data(), bytes.size());
  return digest;
}

struct Sha256::State {
  Context context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  CHECK(EVP_DigestInit_ex(state_->context.get(), algorithm(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest256 Sha256::digest() const {
  const Context copy(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  CHECK(EVP_MD_CTX_copy_ex(copy.get(), state_->context.get()) == 1);
  return finish(copy.get());
}

}  // namespace clew
