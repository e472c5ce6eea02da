// KvStateMachine: the strong spaces as what a consensus group replicates. Commands and queries are command.h's
// requests, results its responses; semantics, codes and messages are etcd v3's, seen from the API.
//
// Deterministic. A command that is refused changes nothing but the replicated time. Bytes that are no request, or a
// query sent as a command, are answered with an error; so are custom commands that are not registered, which is why the
// members compare their registries' fingerprints when they meet.
//
// With a persistent engine the state survives a restart at some applied position. The replica then replays the log from
// its newest snapshot: restore() of a snapshot that is older than the engine keeps the engine's state, and apply() of a
// position that the engine has answers with the result it kept, so that the session table is rebuilt as it was. Results
// up to a freeze() are given up after the next one: the host freezes again only when the snapshot before is durable.
//
// On the replica's loop. apply: O(log keys) for a put, plus up to kSweepPerCommand records of compaction's work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/state_machine.h"
#include "kv/command.h"
#include "kv/custom.h"
#include "kv/engine.h"
#include "kv/lease.h"
#include "kv/store.h"

namespace clew::kv {

// Constants of the replicated state: changing one is a new version of the commands.
constexpr size_t kSweepPerCommand = 256;
constexpr size_t kMaxExpiredPerCommand = 1'000;

class KvStateMachine final : public consensus::StateMachine {
 public:
  // `registry` and `engine` outlive it. Fails when the engine holds what no store wrote.
  static Result<std::unique_ptr<KvStateMachine>> open(Engine& engine, const CustomRegistry& registry);

  std::string apply(const consensus::Applied& at, std::string_view command) override;
  std::string query(std::string_view request) const override;
  UniqueFunction<Status(consensus::SnapshotSink&)> freeze() override;
  Status restore(consensus::SnapshotSource& source) override;
  Hash128 digest() const override;

  // As query(), without the bytes; for a host in the same process. The request is valid (validate.h).
  Result<Response> read(const Request& request) const;
  // The same of a request that LongRead does not take.
  Result<Response> read_at_once(const Request& request) const;

  const Store& store() const { return store_; }
  const LeaseTable& leases() const { return leases_; }
  const DigestTree& digest_tree() const { return entries_.digest(); }
  int64_t time_ns() const { return time_ns_; }
  uint64_t reign() const { return reign_; }
  consensus::Position applied() const { return entries_.engine().mark().position; }

  // Called after each command that made revisions, and after restore(): the watch hub. At most one of each.
  void on_commit(Task task) { on_commit_ = std::move(task); }
  void on_restore(Task task) { on_restore_ = std::move(task); }

 private:
  KvStateMachine(Engine& engine, const CustomRegistry& registry);
  Result<Response> execute(const consensus::Applied& at, std::string_view command);
  Result<Response> change(const consensus::Applied& at, const Request& request);
  LeaseExpireResponse expire(const LeaseExpireRequest& request);
  void revoke(LeaseId id);
  void append_mark_state(std::string& out) const;
  void keep_result(consensus::Position position, const std::string& result);
  Status load();

  const CustomRegistry& registry_;
  Entries entries_;
  LeaseTable leases_;
  Store store_;
  int64_t time_ns_ = 0;
  uint64_t reign_ = 0;
  // Persistent engines: results at these positions and above are kept; below `superfluous` they need not be.
  consensus::Position results_from_ = 0;
  consensus::Position results_superfluous_below_ = 0;
  consensus::Position frozen_at_ = 0;
  EngineMark mark_;  // of the command that is applied: its room is used again
  Task on_commit_;
  Task on_restore_;
};

}  // namespace clew::kv
