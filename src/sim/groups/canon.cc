#include "sim/groups/canon.h"

#include <string>

#include "consensus/replica_command.h"

namespace clew::sim::groups {

using consensus::EntryKind;
using consensus::Position;

namespace {

Status broken(std::string_view promise, consensus::NodeId node, Position position, const std::string& what) {
  return {Code::kInternal, std::string(promise) + ": node " + std::to_string(number(node)) + " at position " +
                               std::to_string(position) + ": " + what};
}

}  // namespace

void Canon::proposed(std::string_view command) { proposed_.try_emplace(stable_hash64(command)); }

std::optional<Canon::Execution> Canon::execution_of(uint64_t command_hash) const {
  const auto found = proposed_.find(command_hash);
  return found == proposed_.end() ? std::nullopt : found->second;
}

std::optional<Position> Canon::executed_at(consensus::SessionId session, uint64_t sequence) const {
  const auto found = executed_.find({session, sequence});
  if (found == executed_.end()) return std::nullopt;
  return found->second;
}

Status Canon::deliver(const Delivered& delivered) {
  const Position position = delivered.position;
  if (position != delivered.after + 1) {
    return broken("gapless delivery", delivered.node, position, "delivered after " + std::to_string(delivered.after));
  }
  if (position > entries_.size()) return first(delivered);
  const Known& known = entries_[position - 1];
  if (!(known.id == identity(delivered.entry))) {
    return broken("agreement", delivered.node, position,
                  "delivered an entry of epoch " + std::to_string(delivered.entry.epoch) +
                      "; before, another one of epoch " + std::to_string(known.id.epoch) + " was delivered there");
  }
  if (known.executed != delivered.executed) {
    return broken("determinism", delivered.node, position,
                  delivered.executed ? "executed a command that others took for repeated"
                                     : "took a command for repeated that others executed");
  }
  return compare(delivered.node, position, delivered.digest);
}

Status Canon::first(const Delivered& delivered) {
  const Position position = delivered.position;
  if (position != entries_.size() + 1) {
    return broken("gapless delivery", delivered.node, position,
                  "nobody has delivered position " + std::to_string(entries_.size() + 1));
  }
  if (delivered.entry.kind == EntryKind::kMembership) {
    CLEW_ASSIGN(membership_, consensus::Membership::parse(delivered.entry.payload.view()));
    membership_at_ = position;
  } else if (delivered.entry.kind == EntryKind::kCommand) {
    auto command = consensus::decode_command(delivered.entry.payload.view());
    if (!command.ok()) return broken("validity", delivered.node, position, "a command that cannot be read");
    const bool applies = command->header.kind == consensus::CommandKind::kApply;
    if (applies) {
      const auto found = proposed_.find(stable_hash64(command->body));
      if (found == proposed_.end())
        return broken("validity", delivered.node, position, "a command that nobody proposed");
      if (delivered.executed && !found->second) found->second = Execution{position, delivered.changed};
    }
    if (applies && delivered.executed && command->header.session != consensus::kNoSession) {
      const auto [before, once] = executed_.try_emplace({command->header.session, command->header.sequence}, position);
      if (!once) {
        return broken("exactly once", delivered.node, position,
                      "command " + std::to_string(command->header.sequence) + " of session " +
                          std::to_string(static_cast<uint64_t>(command->header.session)) +
                          " was executed at position " + std::to_string(before->second) + " already");
      }
    }
  }
  entries_.push_back({identity(delivered.entry), delivered.digest, delivered.executed});
  return {};
}

Status Canon::compare(consensus::NodeId node, Position position, Hash128 digest) const {
  if (position == 0) return {};
  if (position > entries_.size()) {
    return broken("gapless delivery", node, position, "its state is ahead of all that was delivered");
  }
  if (entries_[position - 1].digest == digest) return {};
  return broken("equal digests", node, position, "its state differs from the one that others had here");
}

}  // namespace clew::sim::groups
