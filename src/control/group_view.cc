#include "control/group_view.h"

#include <algorithm>
#include <utility>

#include "consensus/protocols.h"
#include "consensus/quorum.h"

namespace clew::control {
namespace {

using consensus::kNobody;
using consensus::Member;
using consensus::NodeId;

const consensus::Report::Peer* peer_of(const consensus::Report& report, NodeId id) {
  const auto at =
      std::find_if(report.peers.begin(), report.peers.end(), [&](const auto& peer) { return peer.id == id; });
  return at == report.peers.end() ? nullptr : &*at;
}

std::string named(const MemberStatus& member) {
  std::string text = "member " + std::to_string(number(member.record.id));
  if (!member.record.name.empty()) text += " (" + member.record.name + ")";
  return text;
}

class Description {
 public:
  explicit Description(const GroupView& view)
      : view_(view), leads_(view.report.standing == consensus::Standing::kLeader) {}

  GroupStatus describe() {
    status_.cluster = view_.cluster;
    status_.founding = view_.founding;
    status_.self = view_.self;
    status_.protocol = view_.protocol;
    status_.consensus = view_.report;
    status_.applied = view_.applied;
    status_.state_bytes = view_.state_bytes;
    status_.quota_bytes = view_.quota_bytes;
    status_.leader_view = leads_;
    status_.changing = view_.membership.joint();
    if (view_.system != nullptr) status_.alarms = view_.system->alarms;
    for (const Member& member : view_.membership.members()) status_.members.push_back(describe(member));
    name_problems();
    return std::move(status_);
  }

 private:
  MemberStatus describe(const Member& member) const {
    MemberStatus status;
    if (view_.system != nullptr) {
      const auto record = view_.system->records.find(member.id);
      if (record != view_.system->records.end()) status.record = record->second;
    }
    if (member.id == view_.self) status.record = view_.own;
    status.record.id = member.id;
    if (!member.address.empty()) {  // the membership's is the one that is in use, and stands first
      std::erase(status.record.peer_urls, "http://" + member.address);
      status.record.peer_urls.insert(status.record.peer_urls.begin(), "http://" + member.address);
    }
    status.role = member.id == view_.report.leader           ? MemberRole::kPrimary
                  : member.role == consensus::Role::kWitness ? MemberRole::kWitness
                  : member.role == consensus::Role::kLearner ? MemberRole::kLearner
                                                             : MemberRole::kSecondary;
    judge(member, status);
    return status;
  }

  void judge(const Member& member, MemberStatus& status) const {
    if (member.id == view_.self) {
      status.acknowledged = view_.report.durable_position;
      status.state = MemberState::kOnline;
      if (!view_.halted.empty()) {
        status.state = MemberState::kError;
        status.problem = view_.halted;
      } else if (view_.report.standing == consensus::Standing::kRecovering) {
        status.state = MemberState::kSyncing;
        status.problem =
            "damage took a part of its log; it fetches that from the other members, and does not lead before it is "
            "whole. If this lasts, look whether enough of them run and can be reached; else replace it "
            "(docs/operations.md, Damage)";
      } else if (member.role == consensus::Role::kLearner) {
        status.state = MemberState::kSyncing;
      }
      return;
    }
    const consensus::Report::Peer* peer = peer_of(view_.report, member.id);
    const bool recent = peer != nullptr ? peer->recent : view_.heard(member.id);
    if (peer != nullptr) {
      status.acknowledged = peer->acknowledged;
      status.behind = view_.report.last - std::min(view_.report.last, peer->acknowledged);
    }
    if (view_.strangers_disks.contains(member.id)) {
      status.state = MemberState::kError;
      status.problem =
          "its data directory is not the one that it had; remove this member and add a new one (docs/operations.md, "
          "Replacing a dead machine)";
    } else if (!recent) {
      status.state = MemberState::kOffline;
      status.problem = status.record.name.empty() && member.role == consensus::Role::kLearner
                           ? "never heard of; start it with --join"
                           : "not heard of; look whether it runs and whether its peer port is reachable";
      if (const std::string why = view_.unreached(member.id); !why.empty()) {
        status.problem += " (from member " + std::to_string(number(view_.self)) + ": " + why + ")";
      }
    } else if (member.role == consensus::Role::kLearner || status.behind > kSyncedWithin) {
      status.state = MemberState::kSyncing;
    } else {
      status.state = MemberState::kOnline;
    }
  }

  // Voters that answer, and how many of them decide, in the electorate that is hardest to satisfy.
  struct Votes {
    size_t all = 0;
    size_t reachable = 0;
    size_t needed = 0;
  };
  Votes count(bool outgoing) const {
    Votes votes;
    for (const Member& member : view_.membership.members()) {
      if (!(outgoing ? member.outgoing : member.incoming && member.role != consensus::Role::kLearner)) continue;
      ++votes.all;
      const auto at = std::find_if(status_.members.begin(), status_.members.end(),
                                   [&](const MemberStatus& one) { return one.record.id == member.id; });
      if (at->state == MemberState::kOnline || at->state == MemberState::kSyncing) ++votes.reachable;
    }
    votes.needed = consensus::quorum_of(view_.protocol, votes.all);
    return votes;
  }

  void problem(std::string text) { status_.problems.push_back(std::move(text)); }

  void name_problems() {
    if (!view_.halted.empty()) problem("this member has stopped for good: " + view_.halted);
    const Votes incoming = count(false);
    const Votes outgoing = view_.membership.joint() ? count(true) : incoming;
    const Votes& votes =
        outgoing.reachable + incoming.needed < incoming.reachable + outgoing.needed ? outgoing : incoming;
    const std::string reach = std::to_string(votes.reachable) + " of " + std::to_string(votes.all) +
                              (votes.all == 1 ? " voter" : " voters") + (votes.reachable == 1 ? " is " : " are ") +
                              "reachable from here, " + std::to_string(votes.needed) + " needed";
    if (view_.membership.empty()) {
      problem("this member has not heard of its group yet; is its peer port reachable, and was it added?");
    } else if (!view_.membership.contains(view_.self)) {
      problem("this member was removed from the group; stop it");
    } else if (view_.report.leader == kNobody) {
      problem(
          "no leader: " + reach +
          (votes.reachable >= votes.needed ? "; an election is under way" : "; start the others, or mend the network"));
    } else if (votes.reachable < votes.needed) {
      problem("no quorum: " + reach + "; start the others, or mend the network");
    } else if (votes.reachable < votes.all) {
      const size_t spare = votes.reachable - votes.needed;
      problem(std::to_string(votes.all - votes.reachable) + " of " + std::to_string(votes.all) +
              " voters cannot be reached; " +
              (spare == 0
                   ? std::string("one more failure stops all writes")
                   : std::to_string(spare) + (spare == 1 ? " more failure is" : " more failures are") + " tolerated"));
    }
    for (const Alarm& alarm : status_.alarms) {
      if (alarm.kind == AlarmKind::kNoSpace) {
        problem("alarm NOSPACE of member " + std::to_string(number(alarm.member)) + ": the state has " +
                std::to_string(view_.state_bytes >> 20) + " MiB of " + std::to_string(view_.quota_bytes >> 20) +
                " MiB; delete keys, compact, then disarm the alarm");
      } else {
        problem("alarm CORRUPT of member " + std::to_string(number(alarm.member)) +
                ": its state differs from the others'; replace it, then disarm the alarm");
      }
    }
    for (const MemberStatus& member : status_.members) {
      if (!member.problem.empty()) problem(named(member) + ": " + member.problem);
    }
    if (view_.system != nullptr) {
      for (const NodeId id : disagreeing(*view_.system, view_.membership, view_.own)) {
        problem("member " + std::to_string(number(id)) +
                " has other custom commands registered; none are accepted until all members run the same program");
      }
    }
    if (view_.membership.joint()) problem("a change of the membership is under way");
  }

  const GroupView& view_;
  const bool leads_;
  GroupStatus status_;
};

}  // namespace

GroupStatus group_status(const GroupView& view) { return Description(view).describe(); }

void note_own_problem(GroupStatus& status, std::string_view problem) {
  if (problem.empty()) return;
  for (MemberStatus& member : status.members) {
    if (member.record.id != status.self) continue;
    if (member.problem.empty()) member.problem = problem;
    status.problems.push_back(named(member) + ": " + std::string(problem));
  }
}

std::set<NodeId> disagreeing(const SystemView::State& system, const consensus::Membership& membership,
                             const MemberRecord& own) {
  std::set<NodeId> others;
  for (const auto& [id, record] : system.records) {
    const Member* member = membership.find(id);
    if (member != nullptr && member->role != consensus::Role::kWitness && id != own.id &&
        record.custom_commands != own.custom_commands) {
      others.insert(id);
    }
  }
  return others;
}

}  // namespace clew::control
