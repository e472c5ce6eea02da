#include "base/sha256.h"

#include <openssl/sha.h>

namespace clew {

Digest256 sha256(std::string_view bytes) {
  Digest256 digest;
  static_assert(sizeof digest.bytes == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), digest.bytes.data());
  return digest;
}

}  // namespace clew
