// Signer: makes signatures with this node's own key, for protocols whose members do not trust each other (PBFT). The
// other half, checking them, is asked for by Effects::verifications and done off the core by a Verifier (replica.h).
//
// Pure: equal bytes give equal signatures (as Ed25519 does, RFC 8032), and nothing else happens. Called on the thread
// of the core, some 20 microseconds each.
#pragma once

#include <string>
#include <string_view>

namespace clew::consensus {

class Signer {
 public:
  virtual ~Signer() = default;
  virtual std::string sign(std::string_view message) const = 0;
};

}  // namespace clew::consensus
