// SigningKeys: what a member of a group under PBFT signs with, and the public keys by which it knows the others. Each
// organisation makes its own key (`clew keys signing ID`) and gives the others signing-ID.pub; the directories in which
// the members keep these files are what they trust.
//
// Verifying: any thread. A member's file is read when its signature is checked first, so that the key of one who joins
// only has to be there before he is added; a key that was read stays until the process ends.
#pragma once

#include <atomic>
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

// What signatures have cost since the keys were opened.
struct SignatureWork {
  uint64_t made = 0;
  uint64_t checked = 0;  // right ones and wrong ones
  int64_t cpu_ns = 0;    // of the threads that made and checked them
};

class SigningKeys final : public consensus::Signer, public consensus::Verifier {
 public:
  // `directory` has to hold the public key of `self`, and it has to be the other half of the one in `key_file`.
  // kFailedPrecondition, or what reading says, with what to do.
  static Result<std::unique_ptr<SigningKeys>> open(consensus::NodeId self, const std::string& key_file,
                                                   std::string directory);

  std::string sign(std::string_view message) const override;
  bool verify(consensus::NodeId signer, std::string_view message, std::string_view signature) const override;
  SignatureWork work() const;  // any thread; its parts may be of slightly different moments

 private:
  SigningKeys(os::Ed25519Key key, std::string directory) : key_(std::move(key)), directory_(std::move(directory)) {}

  std::optional<os::Ed25519PublicKey> key_of(consensus::NodeId member) const;
  void count(std::atomic<uint64_t>& kind, int64_t since_cpu_ns) const;

  const os::Ed25519Key key_;
  const std::string directory_;
  mutable Mutex mutex_;
  mutable std::map<consensus::NodeId, os::Ed25519PublicKey> members_ CLEW_GUARDED_BY(mutex_);  // that were read
  mutable std::atomic<uint64_t> made_{0}, checked_{0};
  mutable std::atomic<int64_t> cpu_ns_{0};
};

}  // namespace clew::app
