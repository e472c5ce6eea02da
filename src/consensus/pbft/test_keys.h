// Signatures for tests and simulated worlds: a keyed hash, whose keys anybody can compute. Who plays a liar in there
// has to keep to signing with its own. Cheap (a microsecond), deterministic, and nothing that a real group may use:
// that takes Ed25519 (os/ed25519.h).
#pragma once

#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/effects.h"
#include "consensus/signer.h"
#include "consensus/types.h"

namespace clew::consensus::pbft {

inline std::string test_signature(NodeId signer, std::string_view message) {
  std::string out;
  const Hash128 hash = stable_hash128(message);
  append_fixed(out, mix64(mix64(hash.lo, number(signer)), 0x5167));
  append_fixed(out, mix64(mix64(hash.hi, number(signer)), 0xed25));
  return out;
}

inline bool test_signature_holds(NodeId signer, std::string_view message, std::string_view signature) {
  return signature == test_signature(signer, message);
}
inline bool test_signature_holds(const VerifyRequest& request) {
  return test_signature_holds(request.signer, request.message, request.signature);
}

class TestSigner final : public Signer {
 public:
  explicit TestSigner(NodeId self) : self_(self) {}
  std::string sign(std::string_view message) const override { return test_signature(self_, message); }

 private:
  NodeId self_;
};

}  // namespace clew::consensus::pbft
