// The operator of a group of nodes, as its manual has it (docs/operations.md): moves leadership, starts again what
// halted, adds and removes members, replaces a machine whose disk is gone; all through the control plane.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "control/bootstrap.h"
#include "sim/nodes/node_scenario.h"

namespace clew::sim::nodes {

using consensus::Member;
using consensus::Membership;
using consensus::NodeId;
using control::CallError;

namespace {

// How long a change that nobody answered for may still come into force: what waits for a leader gives up before that.
constexpr int64_t kUnclearNs = 8'000'000'000;

}  // namespace

control::CallOptions NodeScenario::patience() const {
  control::CallOptions options;
  options.timeout_ns = 3'000'000'000;
  return options;
}

// The newest reign that somebody who is up believes to have.
std::optional<NodeIndex> NodeScenario::leader() const {
  std::optional<NodeIndex> best;
  consensus::Epoch newest = 0;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex machine{i};
    const NodeProcess* const process = node(machine);
    if (process == nullptr || world_->paused(machine)) continue;
    const consensus::Report report = process->replica().report();
    if (report.standing != consensus::Standing::kLeader || report.epoch < newest) continue;
    newest = report.epoch;
    best = machine;
  }
  return best;
}

NodeIndex NodeScenario::machine_at(const std::string& address) const {
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    if (peer_address(NodeIndex{i}) == address) return NodeIndex{i};
  }
  CHECK(false);
}

const Member* NodeScenario::member_at(NodeIndex machine) const {
  const auto& members = truth_.canon().membership().members();
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Member& member) { return member.address == peer_address(machine); });
  return found == members.end() ? nullptr : &*found;
}

void NodeScenario::update_tolerance() {
  const Membership& committed = truth_.canon().membership();
  if (unclear_ && world_->now_ns() > unclear_until_ns_) unclear_ = false;
  // Those that decide now, or may yet: old ones do until every member has the new one. Who is down comes back with what
  // it knew.
  std::vector<const Membership*> electorates = {&committed};
  for (uint32_t i = 0; i < hosts_.size() && family_.governs_later; ++i) {
    Host& host = hosts_[i];
    const NodeProcess* const process = node(NodeIndex{i});
    if (process != nullptr) host.governs = process->replica().protocol().membership();
    if (!host.governs.empty() && committed.contains(host.id)) electorates.push_back(&host.governs);
  }
  size_t least = SIZE_MAX;
  for (const Membership* electorate : electorates) {
    least = std::min(least, family_.losses(*electorate, errand_ || unclear_ ? 1 : 0));
  }
  world_->atlas().tolerate(least);
  // What has no data loses nothing.
  for (uint32_t i = 0; i < world_->nodes(); ++i) {
    const bool member = is_node(NodeIndex{i}) && hosts_[i].id != consensus::kNobody;
    if (!member && world_->atlas().damaged(NodeIndex{i})) world_->atlas().restored(NodeIndex{i});
  }
  // A replaced machine is a full copy again when nobody counts on its old self any more, and it has what was committed.
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex machine{i};
    const Member* const member = member_at(machine);
    Host& host = hosts_[i];
    host.counted = host.counted || (member != nullptr && member->id == host.id);
    const NodeProcess* const process = node(machine);
    if (!world_->atlas().damaged_partly(machine) || process == nullptr) continue;
    const consensus::Report report = process->replica().report();
    if (!world_->atlas().damaged(machine)) {  // damage shows at a start only, and is gone when all is there again
      const bool whole = report.standing != consensus::Standing::kRecovering &&
                         report.durable_position == report.last && report.last >= truth_.last();
      if (whole && host.starts > host.damaged_in) world_->atlas().repaired(machine, {1, UINT64_MAX});
      continue;
    }
    const bool stale = std::any_of(electorates.begin(), electorates.end(), [&](const Membership* electorate) {
      return std::any_of(electorate->members().begin(), electorate->members().end(),
                         [&](const Member& one) { return one.address == peer_address(machine) && one.id != host.id; });
    });
    if (stale || committed.joint() || host.replaced_in <= host.damaged_in) continue;
    const bool caught_up = member == nullptr || member->role == consensus::Role::kWitness ||
                           process->replica().applied() >= truth_.canon().membership_at();
    const bool counts =
        !family_.governs_later || !committed.votes(host.id) || report.standing != consensus::Standing::kLearner;
    if (caught_up && counts) world_->atlas().restored(machine);
  }
}

// --- What he does ---

void NodeScenario::transfer(NodeIndex to, NodeIndex door) {
  const NodeId id = is_node(to) ? hosts_[at(to)].id : consensus::kNobody;
  switchboard_->call<NodeId>(
      door, patience().timeout_ns,
      [id, options = patience()](control::Service& service, control::Done<NodeId> done) {
        service.transfer_leadership(id, options, std::move(done));
      },
      [](const std::variant<NodeId, CallError>&) {});
}

void NodeScenario::end_errand(const char* what, const CallError* error) {
  errand_ = false;
  if (error == nullptr) return;
  if (world_->journal().on()) world_->journal().say(kNoNode, std::string(what) + ": " + error->message);
  unclear_ = unclear_ || error->uncertain;
  unclear_until_ns_ = world_->now_ns() + kUnclearNs;
}

void NodeScenario::remove(NodeIndex machine, NodeIndex door) {
  const NodeId id = hosts_[at(machine)].id;
  errand_ = true;
  update_tolerance();
  if (world_->journal().on())
    world_->journal().say(machine, "is to be removed as member " + std::to_string(number(id)));
  switchboard_->call<consensus::Position>(
      door, patience().timeout_ns,
      [id, options = patience()](control::Service& service, control::Done<consensus::Position> done) {
        service.remove_member(id, options, std::move(done));
      },
      [this](const std::variant<consensus::Position, CallError>& answer) {
        end_errand("removing", std::get_if<CallError>(&answer));
      });
}

// In one step, where the group may not be smaller in between; the machine joins as whoever that is.
void NodeScenario::replace(NodeIndex machine, NodeIndex door) {
  const NodeId id = hosts_[at(machine)].id;
  errand_ = true;
  update_tolerance();
  if (world_->journal().on()) {
    world_->journal().say(machine, "is to be replaced as member " + std::to_string(number(id)));
  }
  switchboard_->call<NodeId>(
      door, patience().timeout_ns,
      [id, options = patience()](control::Service& service, control::Done<NodeId> done) {
        control::Service::NewMember member;
        member.replaces = id;
        service.add_member(std::move(member), options, std::move(done));
      },
      [this](const std::variant<NodeId, CallError>& answer) {
        end_errand("replacing", std::get_if<CallError>(&answer));
      });
}

void NodeScenario::join(NodeIndex machine, NodeIndex door) {
  errand_ = true;
  update_tolerance();
  if (world_->journal().on()) world_->journal().say(machine, "asks to join");
  switchboard_->call<control::Belonging>(
      door, 2 * patience().timeout_ns,
      [address = peer_address(machine), protocol = std::string(family_.name), options = patience()](
          control::Service& service, control::Done<control::Belonging> done) {
        control::join(service, address, consensus::Role::kVoter, protocol, options.timeout_ns, std::move(done));
      },
      [this, machine](const std::variant<control::Belonging, CallError>& answer) {
        end_errand("joining", std::get_if<CallError>(&answer));
        if (const auto* const found = std::get_if<control::Belonging>(&answer)) joined(machine, found->node);
      });
}

void NodeScenario::joined(NodeIndex machine, NodeId id) {
  Host& host = hosts_[at(machine)];
  if (!host.lost && host.id != consensus::kNobody) return;
  const auto known = machine_of_.find(id);
  if (known != machine_of_.end()) {
    return world_->fail("member id " + std::to_string(number(id)) + " was given to " + sim::name(machine) +
                        " and before to " + sim::name(known->second));
  }
  own_.replaced += host.lost;
  host.id = id;
  host.founder = host.initialised = host.lost = host.counted = false;
  host.replaced_in = host.starts + 1;
  machine_of_[id] = machine;
  if (!world_->up(machine)) return;
  world_->kill(machine);
  world_->start(machine);
}

// Whether its vote counts still, as somebody knows who belongs to the group.
bool NodeScenario::decides(NodeId id) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const Host& host) {
    return truth_.canon().membership().contains(host.id) && host.governs.votes(id);
  });
}

void NodeScenario::retire(NodeIndex machine) {
  Host& host = hosts_[at(machine)];
  if (world_->journal().on()) world_->journal().say(machine, "is a member no more");
  world_->kill(machine);
  world_->wipe(machine);
  host.id = consensus::kNobody;
  host.founder = host.initialised = host.counted = false;
  host.held = 0;
  world_->atlas().holds(machine, {});
  world_->start(machine);
}

bool NodeScenario::mend(NodeIndex door) {
  if (errand_) return false;
  bool all = true;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex machine{i};
    Host& host = hosts_[i];
    const Member* const member = member_at(machine);
    if (host.lost && member != nullptr && member->id == host.id) {
      const bool smallest = member->incoming && truth_.canon().membership().voters() <= family_.least_voters;
      smallest ? replace(machine, door) : remove(machine, door);
      return false;
    }
    if (host.lost || (host.id == consensus::kNobody && member != nullptr)) {
      join(machine, door);
      return false;
    }
    // Who was removed may not know it, and may still be needed.
    const bool removed = host.counted && member == nullptr && !unclear_ && !decides(host.id);
    if (removed) retire(machine);
    if (member == nullptr || (member->id == host.id && member->role != consensus::Role::kLearner)) continue;
    all = waits(machine, "to vote, in " + truth_.canon().membership().to_string());
  }
  return all;
}

void NodeScenario::act(Generator random) {
  // What halted is started again by and by.
  const NodeIndex some{static_cast<uint32_t>(random.below(world_->nodes()))};
  if (world_->halted(some)) return world_->start(some);
  const NodeIndex door = switchboard_->door(random);
  if (static_cast<int>(random.below(100)) >= profile_.world.admin.membership) return transfer(some, door);
  if (errand_ || !mend(door) || errand_ || unclear_ || !is_node(some)) return;
  // Everything is as the membership says: it is changed.
  const Membership& now = truth_.canon().membership();
  if (now.joint() || world_->atlas().damaged_nodes() != 0 || world_->paused(some) || !world_->up(some)) return;
  if (hosts_[at(some)].id == consensus::kNobody) return join(some, door);
  if (now.votes(hosts_[at(some)].id) && now.voters() > std::max<size_t>(3, family_.least_voters)) remove(some, door);
}

}  // namespace clew::sim::nodes
