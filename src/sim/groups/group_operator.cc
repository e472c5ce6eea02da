// The operator of a simulated group: see group_scenario.h.
#include <algorithm>
#include <utility>

#include "sim/groups/group_scenario.h"

namespace clew::sim::groups {

using consensus::Member;
using consensus::Membership;
using consensus::Role;

namespace {

constexpr int64_t kChangeTakesNs = 2'000'000'000;
constexpr uint64_t kElectorateAnew = 5;  // the last of the kinds of changes: draw_target()

Member voter(consensus::NodeId id) { return {.id = id, .address = name(machine_of(id))}; }
Member learner(consensus::NodeId id) {
  return {.id = id, .role = Role::kLearner, .incoming = false, .address = name(machine_of(id))};
}

}  // namespace

// How many whole nodes may be lost while this membership decides.
size_t GroupScenario::tolerance(const Membership& membership) const {
  const size_t most = family_.losses(membership);
  return most - std::min(most, shape_.liars);
}

// The newest reign that somebody who is up believes to have.
std::optional<NodeIndex> GroupScenario::leader() const {
  std::optional<NodeIndex> best;
  consensus::Epoch newest = 0;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex node{i};
    if (!world_->up(node) || world_->paused(node)) continue;
    const consensus::Report report = process(node)->replica().report();
    if (report.standing != consensus::Standing::kLeader || report.epoch < newest) continue;
    newest = report.epoch;
    best = node;
  }
  return best;
}

// A machine that comes back without its disk is another member. Whoever was asked to take in its old self may still do
// so, long after the machine is back: what nobody answers for then is one voter less.
bool GroupScenario::counts_on_old_self(const Membership& membership, NodeIndex node) const {
  return std::any_of(membership.members().begin(), membership.members().end(), [&](const Member& member) {
    return groups::machine_of(member.id) == node && member.id != hosts_[at(node)].id;
  });
}

void GroupScenario::update_tolerance() {
  const Membership& committed = canon_.membership();
  std::erase_if(open_targets_,
                [&](const Membership& target) { return committed == target && open_targets_.back() == target; });
  if (!committed.joint() && (open_targets_.empty() || committed == open_targets_.back())) open_targets_.clear();
  // Those that decide now, or may yet: old ones do until every member has the new one. Who is down comes back with what
  // it knew.
  std::vector<const Membership*> electorates = {&committed};
  for (const Membership& target : open_targets_) electorates.push_back(&target);
  for (uint32_t i = 0; i < hosts_.size() && family_.governs_later; ++i) {
    if (world_->up(NodeIndex{i})) hosts_[i].governs = process(NodeIndex{i})->replica().protocol().membership();
    if (!hosts_[i].governs.empty() && committed.contains(hosts_[i].id)) electorates.push_back(&hosts_[i].governs);
  }
  size_t least = SIZE_MAX;
  for (const Membership* electorate : electorates) least = std::min(least, tolerance(*electorate));
  world_->atlas().tolerate(least);
  // A replaced machine is a full copy again when nobody counts on its old self any more, and it has what was committed.
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const NodeIndex node{i};
    if (!world_->atlas().damaged_partly(node) || !world_->up(node)) continue;
    const GroupProcess& member = *process(node);
    if (!world_->atlas().damaged(node)) {  // damage shows at a start only, and is gone when all is there again
      const consensus::Report report = member.replica().report();
      const bool whole = report.standing != consensus::Standing::kRecovering &&
                         report.durable_position == report.last && report.last >= canon_.last();
      if (whole && hosts_[i].starts > hosts_[i].damaged_in) world_->atlas().repaired(node, {1, UINT64_MAX});
      continue;
    }
    const bool stale = std::any_of(electorates.begin(), electorates.end(),
                                   [&](const Membership* electorate) { return counts_on_old_self(*electorate, node); });
    if (stale || committed.joint() || hosts_[i].replaced_in <= hosts_[i].damaged_in) continue;
    const bool caught_up = !committed.contains(hosts_[i].id) || committed.find(hosts_[i].id)->role == Role::kWitness ||
                           member.replica().applied() >= canon_.membership_at();
    const bool counts = !family_.governs_later || !committed.votes(hosts_[i].id) ||
                        member.replica().report().standing != consensus::Standing::kLearner;
    if (caught_up && counts) world_->atlas().restored(node);
  }
}

void GroupScenario::replace_lost(std::vector<Member>& members) const {
  for (Member& member : members) {
    const Host& host = hosts_[at(groups::machine_of(member.id))];
    if (host.id != member.id) member.id = host.id;
  }
}

Membership GroupScenario::draw_target(const Membership& now, Generator& random) const {
  std::vector<Member> members = now.members();
  replace_lost(members);
  // A witness's directory stays one: it has no commands, and comes back with data only as a new member.
  const auto was_witness = [&](NodeIndex node) { return witnesses_.contains(hosts_[at(node)].id); };
  const auto healthy = [&](NodeIndex node) {
    return world_->up(node) && !world_->atlas().damaged(node) && !was_witness(node);
  };
  std::vector<NodeIndex> outside;
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const bool inside =
        std::any_of(members.begin(), members.end(), [&](const Member& m) { return m.id == hosts_[i].id; });
    if (!inside && healthy(NodeIndex{i})) outside.push_back(NodeIndex{i});
  }
  const auto count = [&](Role role) {
    return static_cast<size_t>(
        std::count_if(members.begin(), members.end(), [&](const Member& m) { return m.role == role; }));
  };
  const size_t voters = count(Role::kVoter) + count(Role::kWitness);
  const size_t least = std::max<size_t>(random.one_in(4) ? 2 : 3, family_.least_voters);
  Member* const any = members.empty() ? nullptr : &members[random.below(members.size())];
  const bool anew =
      profile_.admin.electorates != 0 && random.below(100) < static_cast<uint64_t>(profile_.admin.electorates);
  switch (anew ? kElectorateAnew : random.below(kElectorateAnew + 1)) {
    case 0:
      if (!outside.empty()) members.push_back(learner(hosts_[at(outside[random.below(outside.size())])].id));
      break;
    case 1:
      if (!outside.empty()) members.push_back(voter(hosts_[at(outside[random.below(outside.size())])].id));
      break;
    case 2:  // all learners
      for (Member& member : members) {
        if (member.role == Role::kLearner) member = voter(member.id);
      }
      break;
    case 3:
      if (any->role == Role::kVoter && voters > least && count(Role::kVoter) > 1) *any = learner(any->id);
      break;
    case 4:
      if (any->role == Role::kLearner || (voters > least && (any->role == Role::kWitness || count(Role::kVoter) > 1))) {
        members.erase(members.begin() + (any - members.data()));
      }
      break;
    default: {  // the electorate anew
      members.clear();
      for (uint32_t i = 0; i < hosts_.size(); ++i) {
        const Member* const before = now.find(hosts_[i].id);
        if (before != nullptr && before->role == Role::kWitness) {
          members.push_back(*before);
        } else if (healthy(NodeIndex{i}) && !random.one_in(3)) {
          members.push_back(random.one_in(4) ? learner(hosts_[i].id) : voter(hosts_[i].id));
        }
      }
      const auto chosen = count(Role::kVoter) + count(Role::kWitness);
      if (chosen < least) return now;
    }
  }
  auto target = Membership::make(std::move(members));
  if (!target.ok() || !now.can_become(*target).ok()) return now;
  // Those who lie are among the f that the members who decide tolerate, few as these may become.
  const auto liars = std::count_if(target->members().begin(), target->members().end(), [&](const Member& member) {
    const Host& host = hosts_[at(groups::machine_of(member.id))];
    return host.liar && host.id == member.id && target->votes(member.id);
  });
  if (static_cast<size_t>(liars) > family_.tolerates(target->voters())) return now;
  // Nobody shrinks a group onto members that may never come back.
  const auto doubtful = std::count_if(target->members().begin(), target->members().end(), [&](const Member& member) {
    const NodeIndex node = groups::machine_of(member.id);
    return target->votes(member.id) && (hosts_[at(node)].id != member.id || world_->atlas().damaged_partly(node));
  });
  return static_cast<size_t>(doubtful) <= tolerance(*target) ? std::move(target).value() : now;
}

void GroupScenario::note_witnesses(const Membership& members) {
  for (const Member& member : members.members()) {
    if (member.role == Role::kWitness) witnesses_.insert(member.id);
  }
}

void GroupScenario::reconfigure(NodeIndex leader, const Membership& target) {
  open_targets_.push_back(target);
  note_witnesses(target);
  change_until_ns_ = world_->now_ns() + kChangeTakesNs;
  update_tolerance();
  if (world_->journal().on()) world_->journal().say(leader, "is asked for the membership " + target.to_string());
  post(leader, [target](consensus::Replica& replica) {
    replica.reconfigure(target, [](const std::variant<consensus::Position, consensus::RequestError>&) {});
  });
}

void GroupScenario::change_membership(Generator& random) {
  const auto at_leader = leader();
  // Now and then he does not wait for the change before to end: the group has to refuse.
  const bool hasty = profile_.admin.hasty || random.one_in(3);
  if (!at_leader || (world_->now_ns() < change_until_ns_ && !hasty)) return;
  const Membership newest = process(*at_leader)->replica().protocol().membership();
  if (newest.empty() || (newest.joint() && !hasty)) return;
  const Membership now = newest.joint() ? newest.leave_joint() : newest;
  const Membership target = draw_target(now, random);
  if (!(target == now)) reconfigure(*at_leader, target);
}

void GroupScenario::act(Generator random) {
  if (world_->healing()) return;
  // What halted is started again by and by; who lost his disk comes back so as another member.
  const NodeIndex some{static_cast<uint32_t>(random.below(hosts_.size()))};
  if (world_->halted(some)) {
    world_->start(some);
    return;
  }
  const auto dice = static_cast<int>(random.below(100));
  if (dice < profile_.admin.membership) return change_membership(random);
  if (dice < profile_.admin.membership + profile_.admin.transfer) {
    const auto at_leader = leader();
    if (!at_leader) return;
    const consensus::NodeId to = random.one_in(3) ? consensus::kNobody : hosts_[at(some)].id;
    return post(*at_leader, [to](consensus::Replica& replica) { replica.transfer(to); });
  }
  post(some, [](consensus::Replica& replica) { replica.take_snapshot(); });
}

bool GroupScenario::waits(NodeIndex node, const std::string& what) const {
  if (world_->journal().on()) world_->journal().say(node, "is waited for: " + what);
  return false;
}

bool GroupScenario::repair() {
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    if (!world_->up(NodeIndex{i})) world_->start(NodeIndex{i});
  }
  const auto at_leader = leader();
  if (!at_leader) return waits(kNoNode, "nobody leads");
  const Membership now = process(*at_leader)->replica().protocol().membership();
  if (now.joint() || !(now == canon_.membership())) return waits(*at_leader, "membership " + now.to_string());
  std::vector<Member> members = now.members();
  replace_lost(members);
  auto target = Membership::make(std::move(members));
  if (target.ok() && *target == now) return true;
  if (target.ok() && world_->now_ns() >= change_until_ns_) reconfigure(*at_leader, *target);
  return waits(*at_leader, "replacing lost members");
}

bool GroupScenario::converged() const {
  for (const Member& member : canon_.membership().members()) {
    const NodeIndex node = groups::machine_of(member.id);
    if (!world_->up(node) || hosts_[at(node)].id != member.id) return waits(node, "to be a member");
    const consensus::Replica& replica = process(node)->replica();
    if (replica.report().leader == consensus::kNobody) return waits(node, "to follow somebody");
    if (member.role == Role::kWitness) continue;
    if (replica.applied() != canon_.last()) {
      return waits(node, "has applied " + std::to_string(replica.applied()) + " of " + std::to_string(canon_.last()));
    }
  }
  return true;
}

}  // namespace clew::sim::groups
