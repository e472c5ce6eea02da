#include "sim/groups/group_process.h"

#include <utility>

#include "consensus/replica_records.h"
#include "sim/groups/log_damage.h"

namespace clew::sim::groups {

GroupProcess::GroupProcess(Machine& machine, Watcher& watcher, consensus::NodeId self, bool loses_appends)
    : machine_(machine),
      watcher_(watcher),
      self_(self),
      ledger_(loses_appends),
      transport_(machine, self, [this](consensus::NodeId to, std::string_view frame) {
        // The judges are shown what the protocol made: the replica marks it by a byte behind it.
        if (frame.empty() || frame.back() != consensus::kProtocolFrame) return;
        frame.remove_suffix(1);
        watcher_.on_sent(machine_.node, to, frame);
      }) {}

void GroupProcess::lie(std::shared_ptr<Liar> liar, std::function<bool()> lies) {
  transport_.lie([liar = std::move(liar), lies = std::move(lies)](consensus::NodeId to, std::string_view frame) {
    std::vector<std::string> instead;
    if (lies() && !frame.empty() && frame.back() == consensus::kSnapshotFrame) {
      instead.push_back(liar->twist_snapshot(frame.substr(0, frame.size() - 1)));
      instead.back().push_back(consensus::kSnapshotFrame);
      return instead;
    }
    if (!lies() || frame.empty() || frame.back() != consensus::kProtocolFrame) {
      instead.emplace_back(frame);
      return instead;
    }
    instead = liar->twist(to, frame.substr(0, frame.size() - 1));
    for (std::string& one : instead) one.push_back(consensus::kProtocolFrame);
    return instead;
  });
}

Status GroupProcess::open(consensus::ReplicaOptions options, consensus::ProtocolFactory factory,
                          const consensus::Verifier* verifier) {
  options.self = self_;
  options.directory = kDirectory;
  CLEW_ASSIGN(replica_, consensus::Replica::open({.loop = machine_.loop,
                                                  .disk = machine_.disk,
                                                  .random = machine_.random,
                                                  .transport = transport_,
                                                  .machine = ledger_,
                                                  .observer = this,
                                                  .verifier = verifier},
                                                 std::move(options), std::move(factory),
                                                 [this](Status status) { machine_.halt(std::move(status)); }));
  seen_ = replica_->applied();
  return {};
}

void GroupProcess::on_message(NodeIndex, std::string_view bytes) { transport_.on_message(bytes); }
void GroupProcess::on_connection(NodeIndex peer, bool up) { transport_.on_connection(peer, up); }

void GroupProcess::on_fact(const consensus::Fact& fact) { watcher_.on_fact(machine_.node, fact); }

void GroupProcess::on_record(consensus::LogSeq seq, std::string_view record) {
  watcher_.on_record(machine_.node, seq, record);
}

void GroupProcess::on_applied(consensus::Position position, const consensus::Entry& entry, std::string_view result) {
  const bool executed = ledger_.executed() == position;
  if (position != seen_ + 1) {  // a snapshot was installed within this event, and this follows it
    const uint64_t installs = replica_->stats().snapshots_installed;
    if (std::exchange(installs_, installs) != installs) seen_ = position - 1;
  }
  watcher_.on_applied(machine_.node, position, seen_, entry, executed, executed && changed_something(result),
                      replica_->digest());
  seen_ = position;
}

Scope GroupProcess::scope_of(const std::string& path, uint64_t offset, uint64_t size) const {
  watcher_.on_damage(machine_.node);
  const std::string directory = kDirectory;
  if (path.starts_with(directory + "/log/")) {
    if (path.ends_with(".spare")) return {.kind = Scope::Kind::kNothing, .items = {}};
    const auto lost = records_lost_with(*machine_.power, directory + "/log", path, offset, size);
    return lost ? watcher_.cost_of(machine_.node, *lost) : Scope{};
  }
  // A snapshot stands for everything up to its position; one that is being made, for everything so far.
  if (path.starts_with(directory + "/snapshots/")) {
    return {.kind = Scope::Kind::kItems, .items = {1, replica_->report().last}};
  }
  return {};  // who it is, and whom it knows
}

}  // namespace clew::sim::groups
