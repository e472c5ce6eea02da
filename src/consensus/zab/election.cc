// Elections: fast leader election as ZooKeeper has it (Medeiros 2012, §4.1), in rounds of notifications. Each member
// that looks for a leader proposes the most recent history that it has heard of; who sees a quorum agree on one goes
// over to discovery. Nothing here is durable and nothing is owed: an election may err, discovery does not.
//
// Two rules more than there, so that no member keeps the group from a leader (docs/decisions/0012-zab.md):
// a member proposes only whom it hears and who hears it (else one that is heard and hears nobody is elected for ever),
// and for a while not one that it followed in vain.
#include <algorithm>
#include <tuple>

#include "consensus/planted.h"
#include "consensus/zab/zab.h"

namespace clew::consensus {

using zab::Ballot;
using zab::Credentials;
using zab::Notification;

namespace {

constexpr uint64_t kUsualRank = uint64_t{1} << 31;

bool better(const Ballot& a, const Ballot& b) {
  if (planted(Bug::kZabVoteByIdOnly)) return a.leader > b.leader;
  if (planted(Bug::kZabVoteIgnoresEpoch)) {
    return std::tie(a.credentials.last.counter, a.rank, a.leader) >
           std::tie(b.credentials.last.counter, b.rank, b.leader);
  }
  return a > b;
}

}  // namespace

Time Zab::patience() {
  const Time range = options_.election_max - options_.election_min;
  return options_.election_min + static_cast<Time>(random_.below(static_cast<uint64_t>(range)));
}

Zab::Contact* Zab::contact(NodeId id) {
  const auto found = contacts_.find(id);
  if (found != contacts_.end()) return &found->second;
  if (contacts_.size() >= 2 * kMaxMembers) {
    std::erase_if(contacts_, [&](const auto& item) {
      return !electorate_.contains(item.first) && now_ - item.second.heard > options_.election_max;
    });
    if (contacts_.size() >= 2 * kMaxMembers) return nullptr;
  }
  return &contacts_[id];
}

// A hole: acknowledged transactions are missing here, and a leader has to have them.
bool Zab::may_stand() const { return !log_.has_hole() && electorate_.may_lead(options_.self); }

bool Zab::active_voter() const { return electorate_.votes(options_.self); }

Ballot Zab::own_ballot() const {
  if (!may_stand()) return {};
  Ballot own{credentials(), kUsualRank - std::min<uint64_t>(options_.priority, kUsualRank - 1), options_.self};
  if (favoured_) own.rank = zab::kHandedOver;
  if (avoids(options_.self)) own.rank = 0;
  return own;
}

bool Zab::avoids(NodeId id) const {
  const auto found = contacts_.find(id);
  return found != contacts_.end() && now_ < found->second.avoided_until;
}

bool Zab::eligible(const Ballot& ballot) const {
  if (ballot.leader == kNobody) return false;
  if (ballot.leader == options_.self) return may_stand();
  const auto found = contacts_.find(ballot.leader);
  if (found == contacts_.end()) return false;
  // A member that knows that it is replaced votes for nobody who would step back before its history: those two would
  // elect and depose each other for ever, and each time take the epoch that a leader of the members to come has just
  // begun. Whoever lacks what is committed, perhaps the very membership that replaced this node, would step back, too.
  if (!may_stand() && !log_.has_hole()) {
    const Credentials& theirs = ballot.credentials;
    if (theirs.current < current_ || theirs.last < zxid_at(commit_)) return false;
  }
  const Contact& other = found->second;
  return other.hears_me && now_ - other.heard <= options_.election_max && !avoids(ballot.leader);
}

// Whatever this node was, it is not any more.
void Zab::leave(std::string_view reason) {
  if (leading()) {
    if (transfer_) abort_transfer("the leader stepped down");
    drop_leader_reads();
    fact(FactKind::kSteppedDown, 0, kNobody, 0, reason);
    peers_.clear();
    reign_ = 0;
    uncommitted_bytes_ = 0;
    heartbeat_due_ = quorum_check_due_ = establish_until_ = kNever;
  } else if (phase_ == Phase::kFollowing) {
    refuse_forwarded_reads();
    ack_.reset();
    if (stage_ == Stage::kBroadcast) fact(FactKind::kBecameFollower, 0, kNobody, 0, reason);
    patience_until_ = join_due_ = kNever;
  }
  phase_ = Phase::kLooking;
  stage_ = Stage::kDiscovery;
  leader_ = kNobody;
}

void Zab::begin_round(uint64_t round) {
  round_ = round;
  for (auto& [id, other] : contacts_) other.voted = false;
  ballot_ = own_ballot();
  settle_due_ = kNever;
  notify_due_ = look_deadline_ = kNever;
  if (!active_voter()) return;  // waits to be invited
  look_deadline_ = now_ + patience();
  out_.fact({FactKind::kElectionStarted, now_, accepted_ + 1, 0, kNobody, 0, {}});
}

void Zab::look(std::string_view reason, NodeId avoid) {
  if (phase_ == Phase::kLooking && active_voter()) fact(FactKind::kElectionLost, 0, kNobody, 0, reason);
  leave(reason);
  if (avoid != kNobody) {
    if (Contact* const other = contact(avoid)) other->avoided_until = now_ + 2 * options_.election_max;
  }
  begin_round(round_ + 1);
  notify_all();
  count();
}

void Zab::notify(NodeId to) {
  Contact* const other = contact(to);
  if (other == nullptr) return;
  Notification m;
  m.epoch = current_;
  m.round = round_;
  m.hears_you = other->heard > 0 && now_ - other->heard <= options_.election_max;
  other->told = m.hears_you;
  other->told_at = now_;
  if (phase_ == Phase::kLooking) {
    m.ballot = ballot_;
  } else {
    m.state = leading() ? Notification::State::kLeading : Notification::State::kFollowing;
    m.ballot.leader = leader_;
  }
  send(to, m, After::kNothing);
}

void Zab::notify_all() {
  notify_due_ = kNever;
  if (!active_voter()) return;  // any more, perhaps: a snapshot that came while it looked may say so
  notify_due_ =
      now_ + options_.heartbeat + static_cast<Time>(random_.below(static_cast<uint64_t>(options_.heartbeat / 2)));
  for (const Member& member : electorate_.members()) {
    if (member.id != options_.self && electorate_.votes(member.id)) notify(member.id);
  }
  // Members of a membership that this node has yet to learn.
  for (const auto& [id, other] : contacts_) {
    if (id != options_.self && !electorate_.votes(id) && now_ - other.heard <= options_.election_max) notify(id);
  }
}

void Zab::handle(NodeId from, const Notification& m) {
  Contact* const other = contact(from);
  if (other == nullptr) return;
  other->heard = now_;
  other->hears_me = m.hears_you;
  if (m.state != Notification::State::kLooking) return settled(from, m);
  if (leading()) {
    if (zab::FollowerProgress* const member = peer(from)) ping(*member, true);  // an invitation
    return;
  }
  bool news = false;
  if (phase_ == Phase::kFollowing) {
    if (from != leader_) return;
    // It gave its reign up, or never had it; not a word from before that reign.
    const bool gave_up = stage_ == Stage::kBroadcast ? m.epoch == current_ : m.round > round_;
    if (!gave_up) return;
    if (leased_to_ == from) leased_until_ = 0;
    leave("the leader gave up");
    begin_round(std::max(round_ + 1, m.round));
    news = true;
  } else if (m.round > round_) {
    begin_round(m.round);
    news = true;
  } else if (m.round < round_) {
    notify(from);
    return;
  }
  if (m.round == round_ && (!other->voted || better(m.ballot, other->ballot))) {
    other->voted = true;
    other->ballot = m.ballot;
  }
  if (revise()) news = true;
  // A newcomer may be a voter of a membership that it has yet to learn: it speaks when it is spoken to.
  const bool asked = !active_voter() && (news || now_ - other->told_at >= options_.heartbeat / 2);
  if (news && active_voter()) {
    notify_all();
  } else if (!other->told || asked) {
    notify(from);
  }
  count();
}

bool Zab::revise() {
  Ballot best = own_ballot();
  for (const auto& [id, other] : contacts_) {
    if (other.voted && eligible(other.ballot) && better(other.ballot, best)) best = other.ballot;
  }
  if (!better(best, ballot_)) return false;
  ballot_ = best;
  return true;
}

void Zab::count() {
  if (phase_ != Phase::kLooking || ballot_.leader == kNobody) return;
  size_t agree = 0;
  const bool quorum = has_quorum(electorate_, [&](NodeId id) {
    const auto found = contacts_.find(id);
    const bool same = id == options_.self || (found != contacts_.end() && found->second.voted &&
                                              found->second.ballot.leader == ballot_.leader);
    if (same) ++agree;
    return same;
  });
  if (!quorum) {
    settle_due_ = kNever;
    return;
  }
  if (!electorate_.joint() && agree == electorate_.voters()) return decide();
  // A better one may still be heard of.
  if (settle_due_ == kNever || settling_for_ != ballot_.leader) settle_due_ = now_ + options_.heartbeat / 2;
  settling_for_ = ballot_.leader;
}

void Zab::decide() {
  settle_due_ = kNever;
  if (ballot_.leader == options_.self) {
    lead();
  } else {
    follow(ballot_.leader);
  }
}

void Zab::follow(NodeId leader) {
  phase_ = Phase::kFollowing;
  stage_ = Stage::kDiscovery;
  leader_ = leader;
  favoured_ = false;
  notify_due_ = look_deadline_ = settle_due_ = kNever;
  fact(FactKind::kDiscoveryStarted, 0, leader);
  heard_leader();
  join();
}

void Zab::heard_leader() { patience_until_ = now_ + patience(); }

// Somebody who has a leader, or is one.
void Zab::settled(NodeId, const Notification& m) {
  if (leading() && m.epoch > current_) resign("a member follows the leader of a later epoch");
}

}  // namespace clew::consensus
