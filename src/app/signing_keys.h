// SigningKeys: what a member of a group under PBFT signs with, and the public keys by which it knows the others. Each
// organisation makes its own key (`clew keys signing ID`) and gives the others signing-ID.pub; the directories in which
// the members keep these files are what they trust.
//
// Verifying: any thread. A member's file is read when its signature is checked first, so that the key of one who joins
// only has to be there before he is added; a key that was read stays until the process ends.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/status.h"
#include "consensus/replica.h"
#include "consensus/signer.h"
#include "os/ed25519.h"

namespace clew::app {

// "signing-3": its files are that with .key and .pub.
std::string signing_key_name(consensus::NodeId member);

class SigningKeys final : public consensus::Signer, public consensus::Verifier {
 public:
  // `directory` has to hold the public key of `self`, and it has to be the other half of the one in `key_file`.
  // kFailedPrecondition, or what reading says, with what to do.
  static Result<std::unique_ptr<SigningKeys>> open(consensus::NodeId self, const std::string& key_file,
                                                   std::string directory);

  std::string sign(std::string_view message) const override { return key_.sign(message); }
  bool verify(consensus::NodeId signer, std::string_view message, std::string_view signature) const override;

 private:
  SigningKeys(os::Ed25519Key key, std::string directory) : key_(std::move(key)), directory_(std::move(directory)) {}

  std::optional<os::Ed25519PublicKey> key_of(consensus::NodeId member) const;

  const os::Ed25519Key key_;
  const std::string directory_;
  mutable Mutex mutex_;
  mutable std::map<consensus::NodeId, os::Ed25519PublicKey> members_ CLEW_GUARDED_BY(mutex_);  // that were read
};

}  // namespace clew::app
