#include "sim/groups/group_process.h"

#include <utility>

namespace clew::sim::groups {

GroupProcess::GroupProcess(Machine& machine, Watcher& watcher, consensus::NodeId self, bool loses_appends)
    : machine_(machine),
      watcher_(watcher),
      self_(self),
      ledger_(loses_appends),
      transport_(machine, self, [this](consensus::NodeId to, std::string_view frame) {
        watcher_.on_sent(machine_.node, to, frame);
      }) {}

Status GroupProcess::open(consensus::ReplicaOptions options, consensus::ProtocolFactory factory) {
  options.self = self_;
  options.directory = kDirectory;
  CLEW_ASSIGN(replica_, consensus::Replica::open({.loop = machine_.loop,
                                                  .disk = machine_.disk,
                                                  .random = machine_.random,
                                                  .transport = transport_,
                                                  .machine = ledger_,
                                                  .observer = this},
                                                 std::move(options), std::move(factory),
                                                 [this](Status status) { machine_.halt(std::move(status)); }));
  transport_.set_instance(replica_->instance());
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
  watcher_.on_applied(machine_.node, position, seen_, entry, executed,
                      executed && changed_something(result), replica_->digest());
  seen_ = position;
}

Scope GroupProcess::scope_of(const std::string&, uint64_t, uint64_t) const { return {}; }

}  // namespace clew::sim::groups
