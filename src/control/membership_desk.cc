#include "control/membership_desk.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "consensus/protocols.h"
#include "control/group_view.h"

namespace clew::control {
namespace {

using consensus::Member;
using consensus::NodeId;
using consensus::Position;
using consensus::Role;

CallError refusal(Code code, std::string message) { return {code, std::move(message), false, {}, {}}; }
CallError not_now(std::string message) { return refusal(Code::kUnavailable, std::move(message)); }

// etcd's words, which its clients compare.
CallError not_found() { return refusal(Code::kNotFound, "etcdserver: member not found"); }
CallError address_taken() { return refusal(Code::kFailedPrecondition, "etcdserver: Peer URLs already exists"); }
CallError not_learner() { return refusal(Code::kFailedPrecondition, "etcdserver: can only promote a learner member"); }
CallError not_in_sync() {
  return refusal(Code::kFailedPrecondition,
                 "etcdserver: can only promote a learner member which is in sync with leader");
}
CallError not_enough_started() {
  return refusal(Code::kFailedPrecondition, "etcdserver: re-configuration failed due to not enough started members");
}

CallError from(const consensus::RequestError& error) {
  return {error.code, error.message, error.code == Code::kDeadlineExceeded, error.leader, {}};
}

}  // namespace

template <typename T>
bool MembershipDesk::begin(Done<T>& done) {
  if (busy_ || membership().joint()) {
    done(not_now("another change of the membership is under way"));
    return false;
  }
  busy_ = true;
  done = ending<T>(std::move(done));
  return true;
}

template <typename T>
Done<T> MembershipDesk::ending(Done<T> done) {
  return [this, done = std::move(done)](std::variant<T, CallError> answer) mutable {
    busy_ = false;
    done(std::move(answer));
  };
}

// --- Adding ---

void MembershipDesk::add(Service::NewMember member, Done<NodeId> done) {
  if (!begin(done)) return;
  if (member.replaces != consensus::kNobody) {
    const Member* const old = membership().find(member.replaces);
    if (old == nullptr) return done(not_found());
    if (member.peer_address.empty()) member.peer_address = old->address;
    // One that was to be promoted is followed by another one that is.
    member.catch_up_first = old->role == Role::kLearner && system_.now().promotions.contains(old->id);
    member.role = member.catch_up_first ? Role::kVoter : old->role;
  }
  if (member.peer_address.empty() || member.peer_address.size() > consensus::kMaxAddressBytes) {
    return done(refusal(Code::kInvalidArgument, "a member needs the address of its peer port, as host:port"));
  }
  NodeId next{1};
  for (const Member& one : membership().members()) {
    if (one.address == member.peer_address && one.id != member.replaces) return done(address_taken());
    next = std::max(next, NodeId{number(one.id) + 1});
  }
  if (membership().votes(member.replaces) && !decides(with(next, member))) return done(not_enough_started());
  if (member.replaces == consensus::kNobody && membership().members().size() >= consensus::kMaxMembers) {
    return done(refusal(Code::kFailedPrecondition, "etcdserver: too many members in cluster"));
  }
  const std::string& counter = system_.now().next_member;
  next = std::max(next, NodeId{next_id()});

  // The id is taken, and the wish stands, before the member is there: a leader that dies in between wastes a number.
  kv::TxnRequest take;
  kv::Compare unchanged;
  unchanged.key = kNextMemberKey;
  unchanged.target = counter.empty() ? kv::Compare::Target::kVersion : kv::Compare::Target::kValue;
  unchanged.value = counter;
  take.compare.push_back(std::move(unchanged));
  const auto put = [&](std::string key, std::string value) {
    kv::PutRequest request;
    request.key = std::move(key);
    request.value = std::move(value);
    take.success.push_back({std::move(request)});
  };
  put(std::string(kNextMemberKey), std::to_string(number(next) + 1));
  if (member.role == Role::kVoter && member.catch_up_first) put(promote_key(next), "");
  propose_(std::move(take), [this, next, member = std::move(member),
                             done = std::move(done)](std::variant<CallReply, CallError> answer) mutable {
    if (auto* error = std::get_if<CallError>(&answer)) return done(std::move(*error));
    if (!std::get<kv::TxnResponse>(std::get<CallReply>(answer).response).succeeded) {
      return done(not_now("another leader added a member meanwhile; ask again"));
    }
    added(next, member, std::move(done));
  });
}

std::vector<Member> MembershipDesk::with(NodeId id, const Service::NewMember& member) const {
  std::vector<Member> members = membership().members();
  std::erase_if(members, [&](const Member& one) { return one.id == member.replaces; });
  Member made;
  made.id = id;
  made.role = member.role == Role::kVoter && member.catch_up_first ? Role::kLearner : member.role;
  made.incoming = made.role != Role::kLearner;
  made.address = member.peer_address;
  members.push_back(std::move(made));
  return members;
}

void MembershipDesk::added(NodeId id, const Service::NewMember& member, Done<NodeId> done) {
  reconfigure(with(id, member), [this, id, replaced = member.replaces,
                                 done = std::move(done)](std::variant<Position, CallError> answer) mutable {
    if (auto* error = std::get_if<CallError>(&answer)) return done(std::move(*error));
    if (replaced != consensus::kNobody) forget(replaced, true);
    done(id);
  });
}

// --- Removing ---

// Without those that are gone, the members that answer must still decide, or nobody could undo it.
bool MembershipDesk::decides(const std::vector<Member>& rest) const {
  const consensus::Report report = replica_->report();
  size_t voters = 0, alive = 0;
  for (const Member& member : rest) {
    if (member.role == Role::kLearner) continue;
    ++voters;
    const bool recent = std::any_of(report.peers.begin(), report.peers.end(), [&](const auto& peer) {
      return peer.id == member.id && peer.recent && peer.acknowledged > 0;
    });
    if (recent || member.id == report.leader) ++alive;
  }
  return alive >= consensus::quorum_of(replica_->protocol().name(), voters);
}

void MembershipDesk::remove(NodeId id, Done<Position> done) {
  if (!begin(done)) return;
  if (!membership().contains(id)) return done(not_found());
  std::vector<Member> rest = membership().members();
  std::erase_if(rest, [&](const Member& member) { return member.id == id; });
  if (membership().votes(id) && !decides(rest)) return done(not_enough_started());
  auto removed = [this, id, done = std::move(done)](std::variant<Position, CallError> answer) mutable {
    if (std::holds_alternative<Position>(answer)) forget(id, true);
    done(std::move(answer));
  };
  if (number(id) < next_id()) return reconfigure(std::move(rest), std::move(removed));
  // The highest number of all: once it is gone, only the counter knows that it was given away.
  kv::PutRequest count;
  count.key = kNextMemberKey;
  count.value = std::to_string(number(id) + 1);
  propose_(std::move(count), [this, rest = std::move(rest),
                              removed = std::move(removed)](std::variant<CallReply, CallError> answer) mutable {
    if (auto* error = std::get_if<CallError>(&answer)) return removed(std::move(*error));
    reconfigure(std::move(rest), std::move(removed));
  });
}

uint64_t MembershipDesk::next_id() {
  const std::string& counter = system_.now().next_member;
  uint64_t stored = 0;
  std::from_chars(counter.data(), counter.data() + counter.size(), stored);
  return stored;
}

// What is left of it if this fails is void: tick() and the status pass over those who are no members.
void MembershipDesk::forget(NodeId id, bool record) {
  kv::TxnRequest clear;
  const auto erase = [&](std::string key) {
    kv::DeleteRangeRequest request;
    request.key = std::move(key);
    clear.success.push_back({std::move(request)});
  };
  erase(promote_key(id));
  if (record) {
    erase(member_key(id));
    for (const Alarm& alarm : system_.now().alarms) {
      if (alarm.member == id) erase(alarm_key(alarm));
    }
  }
  clearing_ = true;
  propose_(std::move(clear), [this](const std::variant<CallReply, CallError>&) { clearing_ = false; });
}

// --- Promoting, moving ---

bool MembershipDesk::caught_up(NodeId id) const {
  const consensus::Report report = replica_->report();
  return std::any_of(report.peers.begin(), report.peers.end(), [&](const auto& peer) {
    return peer.id == id && peer.recent && peer.acknowledged > 0 && peer.acknowledged + kSyncedWithin >= report.last;
  });
}

void MembershipDesk::promote(NodeId id, Done<Position> done) {
  if (!begin(done)) return;
  std::vector<Member> members = membership().members();
  const auto at = std::find_if(members.begin(), members.end(), [&](const Member& member) { return member.id == id; });
  if (at == members.end()) return done(not_found());
  if (at->role != Role::kLearner) return done(not_learner());
  if (!caught_up(id)) return done(not_in_sync());
  at->role = Role::kVoter;
  at->incoming = true;
  reconfigure(std::move(members), [this, id, done = std::move(done)](std::variant<Position, CallError> answer) mutable {
    if (std::holds_alternative<Position>(answer) && system_.now().promotions.contains(id)) forget(id, false);
    done(std::move(answer));
  });
}

void MembershipDesk::update(NodeId id, std::string address, Done<Position> done) {
  if (!begin(done)) return;
  std::vector<Member> members = membership().members();
  Member* changed = nullptr;
  for (Member& member : members) {
    if (member.id == id) {
      changed = &member;
    } else if (member.address == address) {
      return done(address_taken());
    }
  }
  if (changed == nullptr) return done(not_found());
  if (changed->address == address) return done(replica_->report().committed);
  changed->address = std::move(address);
  reconfigure(std::move(members), std::move(done));
}

void MembershipDesk::reconfigure(std::vector<Member> members, Done<Position> done) {
  auto target = consensus::Membership::make(std::move(members));
  if (!target.ok()) return done(refusal(Code::kFailedPrecondition, target.error().message));
  if (const Status can = membership().can_become(*target); !can.ok()) {
    return done(refusal(Code::kFailedPrecondition, std::string(can.message())));
  }
  replica_->reconfigure(*target,
                        [done = std::move(done)](std::variant<Position, consensus::RequestError> answer) mutable {
                          if (const auto* error = std::get_if<consensus::RequestError>(&answer)) {
                            return done(from(*error));
                          }
                          done(std::get<Position>(answer));
                        });
}

void MembershipDesk::tick() {
  if (busy_ || clearing_ || membership().joint()) return;
  for (const NodeId id : system_.now().promotions) {
    const Member* member = membership().find(id);
    if (member == nullptr) {
      // Its member may be on the way: who was asked to add it leads no more, and was heard all the same. Ids rise, and
      // members come one after the other.
      if (membership().members().empty() || id > membership().members().back().id) continue;
      return forget(id, false);
    }
    if (member->role != Role::kLearner) return forget(id, false);
    if (caught_up(id)) return promote(id, [](const std::variant<Position, CallError>&) {});
  }
}

}  // namespace clew::control
