// The data directory of one replica: whose it is, and which data directories its peers had at first contact. Format:
// docs/format/replica.md. Blocking functions are for start-up and offloaded work.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/session_table.h"
#include "consensus/types.h"
#include "env/disk.h"
#include "env/random.h"

namespace clew::consensus {

struct Identity {
  uint64_t cluster = 0;
  NodeId node = kNobody;
  std::string protocol;
  Instance instance = kUnknownInstance;
  SessionLimits sessions;  // they decide what is applied, so they cannot change
  // Written before the log is made; the log is expected to be there only afterwards.
  bool complete = false;
  // So is the file of the peers; in directories that an earlier version made it came with the first of them.
  bool keeps_peers = false;

  uint64_t settings() const;   // what all members have in common beside the cluster, as a hash
  std::string encode() const;  // text, for people too
  static Result<Identity> parse(std::string_view text, const std::string& path);
};

class ReplicaDirectory {
 public:
  // Blocking. Takes the directory, makes its folders, and checks or (with `bootstrap`, in an empty one) makes the
  // identity: `wanted.instance` is drawn from `random` then. kFailedPrecondition: another process has it, it belongs to
  // somebody else, or it is empty and should not be. kDataLoss: it once held more than it does now.
  static Result<ReplicaDirectory> open(env::Disk& disk, const std::string& path, Identity wanted, bool bootstrap,
                                       env::Random& random);

  const Identity& identity() const { return identity_; }
  std::string log() const { return path_ + "/log"; }
  std::string snapshots() const { return path_ + "/snapshots"; }
  // The log was made: from now on it must be there, and the file of the peers. kResourceExhausted when it is not, for
  // want of room. Blocking.
  Status complete();

  // Peers by first contact; `save_peers` is for offloaded work.
  std::map<NodeId, Instance> peers;
  static std::string encode_peers(const std::map<NodeId, Instance>& peers);
  static Status save_peers(env::Disk& disk, const std::string& path, const std::string& encoded);
  const std::string& path() const { return path_; }

 private:
  ReplicaDirectory(env::Disk& disk, std::string path, std::unique_ptr<env::File> lock)
      : disk_(&disk), path_(std::move(path)), lock_(std::move(lock)) {}
  Status load_peers();
  bool has_log() const;

  env::Disk* disk_;  // not owned
  std::string path_;
  std::unique_ptr<env::File> lock_;
  Identity identity_;
};

}  // namespace clew::consensus
