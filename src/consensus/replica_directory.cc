#include "consensus/replica_directory.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/hex.h"
#include "consensus/planted.h"
#include "consensus/sealed_text.h"

namespace clew::consensus {
namespace {

constexpr std::string_view kIdentityFile = "identity";
constexpr std::string_view kPeersFile = "peers";
constexpr std::string_view kIdentityTitle = "clew replica 1";
constexpr std::string_view kPeersTitle = "clew peers 1";
constexpr uint64_t kMaxFileBytes = 64 << 10;

// Nothing but the lock.
Result<bool> is_empty(env::Disk& disk, const std::string& path) {
  CLEW_ASSIGN(const auto names, disk.list(path));
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name == "LOCK" || name.ends_with(".tmp");  // a first start that was cut short
  });
}

Status same(const std::string& path, const Identity& found, const Identity& wanted) {
  const auto refuse = [&](const std::string& what, const std::string& has, const std::string& wants) -> Status {
    return Error{Code::kFailedPrecondition, path + " belongs to " + what + " " + has + ", not to " + wants +
                                                "; check the path, or start with the identity that it was made for"};
  };
  if (found.cluster != wanted.cluster) return refuse("cluster", hex16(found.cluster), hex16(wanted.cluster));
  if (found.node != wanted.node) {
    return refuse("node", std::to_string(number(found.node)), std::to_string(number(wanted.node)));
  }
  if (found.protocol != wanted.protocol) {
    return Error{Code::kFailedPrecondition, path + " belongs to a group that runs " + found.protocol + ", not to " +
                                                wanted.protocol + "; set control.consensus (--consensus) to " +
                                                found.protocol + ", or check the path"};
  }
  if (found.sessions != wanted.sessions) {
    return Error{
        Code::kFailedPrecondition,
        path + " was made with other session limits; they are the same on all members for the life of a group"};
  }
  return {};
}

}  // namespace

uint64_t Identity::settings() const {
  const uint64_t counts = mix64(sessions.max_sessions, sessions.max_kept_results);
  const uint64_t limits = mix64(counts, mix64(sessions.max_kept_bytes, static_cast<uint64_t>(sessions.idle_ns)));
  return mix64(stable_hash64(protocol), limits);
}

std::string Identity::encode() const {
  std::string text(kIdentityTitle);
  text += "\ncluster " + hex16(cluster);
  text += "\nnode " + std::to_string(number(node));
  text += "\nprotocol " + protocol;
  text += "\ninstance " + hex16(static_cast<uint64_t>(instance));
  text += "\nmax_sessions " + std::to_string(sessions.max_sessions);
  text += "\nmax_kept_results " + std::to_string(sessions.max_kept_results);
  text += "\nmax_kept_bytes " + std::to_string(sessions.max_kept_bytes);
  text += "\nsession_idle_ns " + std::to_string(sessions.idle_ns);
  text += std::string("\nstate ") + (complete ? "complete" : "new") + "\n";
  if (keeps_peers) text += "peers kept\n";
  return seal(std::move(text));
}

Result<Identity> Identity::parse(std::string_view text, const std::string& path) {
  CLEW_ASSIGN(const auto lines, unseal(text, kIdentityTitle, path));
  Identity identity;
  uint64_t node = 0, instance = 0;
  bool sound = true;
  for (const auto& [key, value] : lines) {
    if (key == "cluster") {
      sound &= parse_number(value, 16, identity.cluster);
    } else if (key == "node") {
      sound &= parse_number(value, 10, node);
    } else if (key == "protocol") {
      identity.protocol = std::string(value);
    } else if (key == "instance") {
      sound &= parse_number(value, 16, instance);
    } else if (key == "max_sessions") {
      sound &= parse_number(value, 10, identity.sessions.max_sessions);
    } else if (key == "max_kept_results") {
      sound &= parse_number(value, 10, identity.sessions.max_kept_results);
    } else if (key == "max_kept_bytes") {
      sound &= parse_number(value, 10, identity.sessions.max_kept_bytes);
    } else if (key == "session_idle_ns") {
      sound &= parse_number(value, 10, identity.sessions.idle_ns);
    } else if (key == "state") {
      identity.complete = value == "complete";
    } else if (key == "peers") {
      identity.keeps_peers = value == "kept";
    } else {
      sound = false;
    }
  }
  sound &= lines.size() == (identity.keeps_peers ? 10 : 9);
  if (!sound || node == 0 || instance == 0) return broken_text(path, "says what makes no sense");
  identity.node = NodeId{node};
  identity.instance = Instance{instance};
  return identity;
}

Result<ReplicaDirectory> ReplicaDirectory::open(env::Disk& disk, const std::string& path, Identity wanted,
                                                bool bootstrap, env::Random& random) {
  CLEW_TRY(disk.make_dirs(path));
  CLEW_ASSIGN(auto lock, disk.lock_dir(path));
  ReplicaDirectory directory(disk, path, std::move(lock));
  const std::string identity_path = path + "/" + std::string(kIdentityFile);
  auto text = env::read_file(disk, identity_path, kMaxFileBytes);
  if (text.ok()) {
    CLEW_ASSIGN(directory.identity_, Identity::parse(*text, identity_path));
    CLEW_TRY(same(path, directory.identity_, wanted));
  } else {
    if (text.status().code() != Code::kNotFound) return text.error();
    CLEW_ASSIGN(const bool empty, is_empty(disk, path));
    if (!empty) {
      return Error{Code::kDataLoss, identity_path + " is missing though " + path +
                                        " holds data; restore it, or replace this member by a new one"};
    }
    if (!bootstrap && !planted(Bug::kWipedDiskVotes)) {
      return Error{Code::kFailedPrecondition,
                   path +
                       " is empty: the disk was lost, or the path is wrong. A member that lost its data must not "
                       "vote as its old self: remove it from the group and add a new one"};
    }
    directory.identity_ = std::move(wanted);
    directory.identity_.complete = directory.identity_.keeps_peers = false;
    do {
      directory.identity_.instance = Instance{random.next()};
    } while (directory.identity_.instance == kUnknownInstance);
    CLEW_TRY(env::write_file_atomically(disk, path, std::string(kIdentityFile), directory.identity_.encode()));
  }
  if (directory.identity_.complete && !directory.has_log()) {
    return Error{Code::kDataLoss, directory.log() +
                                      " holds no log any more, and with it the promises that this "
                                      "member gave; replace it by a new one"};
  }
  CLEW_TRY(disk.make_dirs(directory.log()));
  CLEW_TRY(disk.make_dirs(directory.snapshots()));
  CLEW_TRY(directory.load_peers());
  return directory;
}

bool ReplicaDirectory::has_log() const {
  const auto names = disk_->list(log());
  return names.ok() &&
         std::any_of(names->begin(), names->end(), [](const std::string& name) { return name.ends_with(".wal"); });
}

Status ReplicaDirectory::complete() {
  if (identity_.complete && identity_.keeps_peers) return {};
  // A log that waits for room would be taken for a lost one by the next start.
  if (!has_log()) return Error{Code::kResourceExhausted, log() + ": no room for a log; make some and start again"};
  if (peers.empty()) CLEW_TRY(save_peers(*disk_, path_, encode_peers(peers)));
  identity_.complete = identity_.keeps_peers = true;
  return env::write_file_atomically(*disk_, path_, std::string(kIdentityFile), identity_.encode());
}

std::string ReplicaDirectory::encode_peers(const std::map<NodeId, Instance>& peers) {
  std::string text = std::string(kPeersTitle) + "\n";
  for (const auto& [peer, instance] : peers) {
    text += std::to_string(number(peer)) + " " + hex16(static_cast<uint64_t>(instance)) + "\n";
  }
  return seal(std::move(text));
}

Status ReplicaDirectory::save_peers(env::Disk& disk, const std::string& path, const std::string& encoded) {
  return env::write_file_atomically(disk, path, std::string(kPeersFile), encoded);
}

Status ReplicaDirectory::load_peers() {
  const std::string path = path_ + "/" + std::string(kPeersFile);
  auto text = env::read_file(*disk_, path, kMaxFileBytes);
  if (!text.ok()) {
    if (text.status().code() != Code::kNotFound) return text.status();
    if (!identity_.keeps_peers) return {};
    // Without it a peer that lost its disk, and what it promised, would be taken for the one that it was.
    return broken_text(path, "is missing, and with it which data directories the other members have");
  }
  CLEW_ASSIGN(const auto lines, unseal(*text, kPeersTitle, path));
  for (const auto& [key, value] : lines) {
    uint64_t peer = 0, instance = 0;
    if (!parse_number(key, 10, peer) || !parse_number(value, 16, instance)) {
      return broken_text(path, "says what makes no sense");
    }
    peers[NodeId{peer}] = Instance{instance};
  }
  return {};
}

}  // namespace clew::consensus
