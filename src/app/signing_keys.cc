#include "app/signing_keys.h"

#include "app/certificates.h"
#include "app/process_stats.h"

namespace clew::app {
namespace {

Result<os::Ed25519PublicKey> read_public_key(const std::string& directory, consensus::NodeId member) {
  const std::string path = directory + "/" + signing_key_name(member) + ".pub";
  CLEW_ASSIGN(const std::string pem, read_whole_file(path));
  auto key = os::Ed25519PublicKey::from_pem(pem);
  if (!key.ok()) return Error{key.error().code, path + ": " + key.error().message};
  return key;
}

}  // namespace

std::string signing_key_name(consensus::NodeId member) { return "signing-" + std::to_string(number(member)); }

Result<std::unique_ptr<SigningKeys>> SigningKeys::open(consensus::NodeId self, const std::string& key_file,
                                                       std::string directory) {
  CLEW_ASSIGN(const std::string pem, read_whole_file(key_file));
  auto key = os::Ed25519Key::from_pem(pem);
  if (!key.ok()) return Error{key.error().code, key_file + ": " + key.error().message};
  CLEW_ASSIGN(const auto own, read_public_key(directory, self));
  if (!(own == key->public_key())) {
    return Error{Code::kFailedPrecondition, key_file + " is not the key of node " + std::to_string(number(self)) +
                                                ", as " + directory + "/" + signing_key_name(self) +
                                                ".pub has it: the others would believe nothing that it says"};
  }
  return std::unique_ptr<SigningKeys>(new SigningKeys(std::move(*key), std::move(directory)));
}

std::string SigningKeys::sign(std::string_view message) const {
  const int64_t before = thread_cpu_ns();
  std::string signature = key_.sign(message);
  count(made_, before);
  return signature;
}

bool SigningKeys::verify(consensus::NodeId signer, std::string_view message, std::string_view signature) const {
  const auto key = key_of(signer);
  if (!key) return false;
  const int64_t before = thread_cpu_ns();
  const bool right = key->verify(message, signature);
  count(checked_, before);
  return right;
}

void SigningKeys::count(std::atomic<uint64_t>& kind, int64_t since_cpu_ns) const {
  kind.fetch_add(1, std::memory_order_relaxed);
  cpu_ns_.fetch_add(thread_cpu_ns() - since_cpu_ns, std::memory_order_relaxed);
}

SignatureWork SigningKeys::work() const { return {.made = made_, .checked = checked_, .cpu_ns = cpu_ns_}; }

std::optional<os::Ed25519PublicKey> SigningKeys::key_of(consensus::NodeId member) const {
  const MutexLock lock(mutex_);
  const auto known = members_.find(member);
  if (known != members_.end()) return known->second;
  const auto key = read_public_key(directory_, member);
  if (!key.ok()) return std::nullopt;
  return members_.emplace(member, *key).first->second;
}

}  // namespace clew::app
