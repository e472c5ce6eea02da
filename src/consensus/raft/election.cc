// Elections: Raft §5.2 and §5.4.1, pre-vote (thesis §9.6), check-quorum (thesis §6.2), votes withheld while a leader
// lives (thesis §4.2.3).
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::Progress;
using raft::VoteReply;
using raft::VoteRequest;

void Raft::reset_election_timer() {
  const Time range = options_.election_max - options_.election_min;
  election_timeout_ = options_.election_min + static_cast<Time>(random_.below(static_cast<uint64_t>(range))) +
                      static_cast<Time>(options_.priority) * range;
  if (planted(Bug::kTimeoutNotRedrawn)) election_timeout_ = options_.election_min;
  election_deadline_ = std::max(now_ + election_timeout_, leased_until_);
}

void Raft::become_follower(Epoch term, NodeId leader, std::string_view reason) {
  const Phase before = phase_;
  const NodeId old_leader = leader_;
  phase_ = Phase::kFollower;
  leader_ = leader;
  ballots_.clear();
  transferred_ = false;
  if (term > term_) {
    term_ = term;
    vote_ = kNobody;
    state_dirty_ = true;
    ack_.reset();
    withheld_until_ = 0;  // whoever was heard, its term is over; a lease is not lifted by that
    fact(FactKind::kEpochRaised);
  }
  if (before == Phase::kLeader) {
    if (transfer_ && !transfer_->sent) abort_transfer("the leader stepped down");
    transfer_.reset();
    drop_leader_reads();
    peers_.clear();
    uncommitted_bytes_ = 0;
    heartbeat_due_ = kNever;
    quorum_check_due_ = kNever;
    fact(FactKind::kSteppedDown, 0, kNobody, 0, reason);
  } else if (before == Phase::kCandidate && leader == kNobody) {
    fact(FactKind::kElectionLost, 0, kNobody, 0, reason);
  }
  if (leader_ != old_leader) {
    refuse_forwarded_reads();
    if (leader_ != kNobody) fact(FactKind::kBecameFollower, 0, leader_);
  }
  if (before != Phase::kFollower) reset_election_timer();
}

void Raft::resign(std::string_view reason) { become_follower(term_, kNobody, reason); }

void Raft::follow(NodeId leader) {
  if (phase_ != Phase::kFollower || leader_ != leader) become_follower(term_, leader, "the term has a leader");
  if (planted(Bug::kHeartbeatClearsVote)) vote_ = kNobody;
  withheld_until_ = now_ + options_.election_min;
  reset_election_timer();
}

bool Raft::may_campaign() const {
  if (planted(Bug::kWitnessLeads)) return membership().votes(options_.self);
  if (is_witness()) return false;
  if (membership().may_lead(options_.self)) return true;
  // A member that is not part of the newest membership is needed until that is committed: it may be the only one that
  // has it, and then nobody else can be elected (thesis §4.2.2).
  return configs_.newest().position > commit_ && configs_.at(commit_).membership.may_lead(options_.self);
}

void Raft::campaign(bool pre, bool transfer) {
  leader_ = kNobody;
  refuse_forwarded_reads();
  reset_election_timer();
  // A hole: acknowledged entries are missing here, and a leader has to have them (raft.h).
  if (!may_campaign() || log_.has_hole()) {
    phase_ = Phase::kFollower;
    return;
  }
  phase_ = pre ? Phase::kPreCandidate : Phase::kCandidate;
  transferred_ = transfer;
  if (!planted(Bug::kElectedByOldVotes) || pre) ballots_.clear();
  ballots_.push_back({options_.self, Vote::kGranted});
  if (!pre) {
    ++term_;
    vote_ = options_.self;
    state_dirty_ = true;
    ack_.reset();
  }
  out_.fact({FactKind::kElectionStarted, now_, pre ? term_ + 1 : term_, 0, kNobody, pre ? 1u : 0u, {}});
  const VoteRequest request{pre ? term_ + 1 : term_, pre, transfer, log_.last(), log_.last_epoch()};
  for (const Member& member : electorate().members()) {
    // The request names the own log: it waits until that is durable, or a candidate that crashes could count votes for
    // a log that it lost.
    if (member.id == options_.self || !electorate().votes(member.id)) continue;
    send(member.id, request, pre ? After::kNothing : After::kEverything);
  }
  count_votes();
}

void Raft::count_votes() {
  const auto vote_of = [&](NodeId id) {
    for (const Ballot& ballot : ballots_) {
      if (ballot.voter == id) return ballot.vote;
    }
    return Vote::kNone;
  };
  Tally outcome = tally(electorate(), vote_of);
  if (planted(Bug::kVoteCountedTwice) && !electorate().joint()) {
    const auto granted = std::count_if(ballots_.begin(), ballots_.end(),
                                       [](const Ballot& ballot) { return ballot.vote == Vote::kGranted; });
    if (static_cast<size_t>(granted) >= majority(electorate().voters())) outcome = Tally::kWon;
  }
  switch (outcome) {
    case Tally::kPending:
      return;
    case Tally::kLost:
      fact(FactKind::kElectionLost, 0, kNobody, 0, "refused by too many");
      phase_ = Phase::kFollower;  // until the timer, or a leader
      ballots_.clear();
      return;
    case Tally::kWon:
      if (phase_ == Phase::kPreCandidate) {
        campaign(false, transferred_);
      } else {
        become_leader();
      }
  }
}

bool Raft::withholds_vote(const VoteRequest& request) const {
  if (request.transfer || planted(Bug::kNoVoteWithholding)) return false;
  // A leader hears a quorum, or check_quorum() would have ended its reign.
  return leading() || now_ < std::max(withheld_until_, leased_until_);
}

bool Raft::log_up_to_date(Position last, Epoch last_epoch) const {
  if (planted(Bug::kVoteWithoutLogCheck)) return true;
  if (planted(Bug::kVoteByLengthOnly)) return last >= log_.true_last();
  // Raft §5.4.1; by what was once held, also where damage took it.
  return last_epoch != log_.true_last_epoch() ? last_epoch > log_.true_last_epoch() : last >= log_.true_last();
}

void Raft::handle(NodeId from, const VoteRequest& request) {
  const bool up_to_date = log_up_to_date(request.last, request.last_epoch);
  if (request.pre) {
    const bool granted = request.term > term_ && up_to_date;
    // Changes nothing here, so that nothing has to be durable for it.
    send(from, VoteReply{granted ? request.term : term_, true, granted}, After::kNothing);
    return;
  }
  const bool free = vote_ == from || (vote_ == kNobody && leader_ == kNobody) || planted(Bug::kVoteTwice);
  // Also a term that came another way does not lift a lease.
  const bool leased = now_ < leased_until_ && !request.transfer && !planted(Bug::kNoVoteWithholding);
  const bool granted = free && up_to_date && !leased && phase_ == Phase::kFollower;
  if (granted) {
    if (vote_ != from) state_dirty_ = true;
    vote_ = from;
    reset_election_timer();
    fact(FactKind::kVoteGranted, 0, from);
  } else {
    fact(FactKind::kVoteRefused, 0, from, 0,
         !up_to_date ? "its log is behind"
         : leased    ? "a lease may rest on this node"
                     : "another one has it");
  }
  send(from, VoteReply{term_, false, granted}, planted(Bug::kVoteBeforeDurable) ? After::kNothing : After::kState);
}

void Raft::handle(NodeId from, const VoteReply& reply) {
  if (reply.pre) {
    if (phase_ != Phase::kPreCandidate || (reply.granted && reply.term != term_ + 1)) return;
  } else if (phase_ != Phase::kCandidate) {
    return;
  }
  for (const Ballot& ballot : ballots_) {
    if (ballot.voter == from && !planted(Bug::kVoteCountedTwice)) return;
  }
  if (!electorate().votes(from)) return;  // bounds the ballots, too
  ballots_.push_back({from, reply.granted ? Vote::kGranted : Vote::kRefused});
  count_votes();
}

void Raft::become_leader() {
  phase_ = Phase::kLeader;
  leader_ = options_.self;
  ballots_.clear();
  election_deadline_ = kNever;
  withheld_until_ = 0;
  forwarded_.rest();
  lease_forfeited_ = false;
  stop_fetching();
  fact(FactKind::kBecameLeader, log_.last());
  peers_.clear();
  sync_peers(log_.last() + 1);
  uncommitted_bytes_ = 0;
  for (Position p = commit_ + 1; p <= log_.last(); ++p) uncommitted_bytes_ += cost(log_.at(p));
  // Tells what of earlier terms is committed, and lets reads begin (Raft §8). The very first entry of a group is its
  // founding membership, so that whoever gets the log from the beginning knows who governs it from there.
  if (log_.last() == 0) {
    std::string founding;
    membership().append_to(founding);
    append_own(EntryKind::kMembership, Payload(std::move(founding)));
  } else {
    append_own(EntryKind::kNoop, {});
  }
  reign_start_ = log_.last();
  if (planted(Bug::kReadRoundOfOldReign)) gate_ = ReadGate(options_.max_waiting_reads);
  quorum_check_due_ = now_ + options_.election_max;
  beat();
}

void Raft::check_quorum() {
  quorum_check_due_ = now_ + options_.election_min;
  if (planted(Bug::kNoCheckQuorum)) return;
  const bool heard = has_quorum(electorate(), [&](NodeId id) {
    if (id == options_.self) return true;
    const Progress* const peer = progress(id);
    return peer != nullptr && now_ - peer->heard <= options_.election_max;
  });
  if (!heard) resign("no quorum was heard for an election timeout");
}

}  // namespace clew::consensus
