// Spaces: the strong key-value spaces of one consensus group as one replicated state machine. Each has a store, an
// engine, leases, revisions and watchers of its own; they share the log, the sessions and the snapshot, so that "after
// this position" means the same in all of them.
//
//   kUser    what clients of the etcd API and of our own protocol see
//   kSystem  what Clew keeps for itself: members' records, settings that are cluster-wide, alarms. Not reachable by the
//            etcd API, so that a user's "every key" is the user's.
//
// A command or a query is one byte of space and kv/command.h's bytes. docs/format/kv.md has the grammar of the
// snapshot.
//
// Deterministic; on the replica's loop. Costs what KvStateMachine costs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "consensus/state_machine.h"
#include "kv/custom.h"
#include "kv/engine.h"
#include "kv/state_machine.h"

namespace clew::kv {

enum class Space : uint8_t { kUser = 0, kSystem = 1 };
constexpr size_t kSpaces = 2;
std::string_view space_name(Space space);  // "user", "system"

class Spaces final : public consensus::StateMachine {
 public:
  using Engines = std::array<std::unique_ptr<Engine>, kSpaces>;
  // `registry` outlives it; custom commands are the user space's and the system space's alike. Fails when an engine
  // holds what no store wrote.
  static Result<std::unique_ptr<Spaces>> open(Engines engines, const CustomRegistry& registry);

  static std::string command(Space space, const Request& request);  // the bytes to submit

  std::string apply(const consensus::Applied& at, std::string_view command) override;
  // Of an empty request: nothing. A host in the same process asks for a barrier by that and then reads machine().
  std::string query(std::string_view request) const override;
  UniqueFunction<Status(consensus::SnapshotSink&)> freeze() override;
  // As freeze(), for whoever wants the state and is not the replica: freeze() also says that a snapshot is being made,
  // and with it which results need not be kept any more.
  UniqueFunction<Status(consensus::SnapshotSink&)> copy() const;
  Status restore(consensus::SnapshotSource& source) override;
  consensus::Position ahead() const override;
  Hash128 digest() const override;

  uint64_t bytes() const;  // Store::bytes() of all spaces

  KvStateMachine& machine(Space space) { return *machines_[static_cast<size_t>(space)]; }
  const KvStateMachine& machine(Space space) const { return *machines_[static_cast<size_t>(space)]; }

 private:
  explicit Spaces(Engines engines) : engines_(std::move(engines)) {}

  Engines engines_;
  std::array<std::unique_ptr<KvStateMachine>, kSpaces> machines_;
};

}  // namespace clew::kv
