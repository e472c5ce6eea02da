// The acceptor: PMS §2.2, for all slots at once. It promises, it accepts, and it tells a proposer what it accepted.
#include <algorithm>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {

using multipaxos::Accept;
using multipaxos::Acceptance;
using multipaxos::Accepted;
using multipaxos::Ballot;
using multipaxos::encode;
using multipaxos::Heartbeat;
using multipaxos::HeartbeatReply;
using multipaxos::kMaxNumber;
using multipaxos::Prepare;
using multipaxos::Promise;
using multipaxos::Refused;

Position MultiPaxos::upto() const { return std::max(commit_, verified_); }

void MultiPaxos::raise_promise(const Ballot& ballot) {
  become_follower(kNobody, "a higher ballot");
  promise_ = ballot;
  seen_round_ = std::max(seen_round_, ballot.round);
  state_dirty_ = !planted(Bug::kPaxosBallotReused) || ballot.proposer != options_.self;
  // What was accepted above the watermark was accepted under an older ballot, and may be overwritten.
  verified_ = commit_;
  durable_position_ = std::min(durable_position_, commit_);
  for (Write& write : writes_) write.upto = std::min(write.upto, commit_);
  ack_ = false;
  safe_ = 0;            // told of votes under the old ballot
  withheld_until_ = 0;  // whoever was heard, its reign is over; a lease is not lifted by that
  fact(FactKind::kEpochRaised);
}

void MultiPaxos::accept_here(Position position, Acceptance vote) {
  note_pending(position, vote);
  slots_.put(position, std::move(vote));
  extend_verified();
}

void MultiPaxos::extend_verified() {
  verified_ = std::max(verified_, commit_);
  for (const Acceptance* vote = slots_.find(verified_ + 1); vote != nullptr && vote->ballot == promise_;
       vote = slots_.find(verified_ + 1)) {
    ++verified_;
  }
}

Time MultiPaxos::leased_against(const Ballot& reign) const {
  return leased_by_ == reign ? older_lease_until_ : leased_until_;
}

bool MultiPaxos::withholds(const Prepare& request) const {
  if (planted(Bug::kNoVoteWithholding)) return false;
  // The leader of that reign gave its lease up; one that came after it did not, nor one before it, whom members of a
  // configuration that is over may have passed by.
  if (!request.reign.none() && promise_ <= request.reign) return now_ < leased_against(request.reign);
  // Whoever was heard to lead under a ballot was followed, whatever lease there was: it may have been elected by
  // members of a configuration that is over, who knew of none. For what is new it needs this promise, and waits.
  if (request.ballot == promise_) {
    const bool given_up = !request.reign.none() && leased_by_ == request.reign;
    return now_ < leased_against(given_up ? request.reign : request.ballot);
  }
  // A leader hears a quorum, or check_quorum() would have ended its reign.
  return leading() || now_ < std::max(withheld_until_, leased_until_);
}

void MultiPaxos::refuse(NodeId from, const Ballot& asked, bool pre) {
  send(from, Refused{promise_, asked, pre}, pre ? After::kNothing : After::kState);
}

void MultiPaxos::handle(NodeId from, const Prepare& request) {
  if (request.ballot.proposer != from) {
    fact(FactKind::kMessageRefused, 0, from, 0, "proposes under another's ballot");
    return;
  }
  const bool repeated = request.ballot == promise_ && !request.pre;
  const bool higher = request.ballot > promise_;
  std::string_view why;
  if (!repeated && !higher) {
    why = "a higher ballot was promised";
  } else if (withholds(request)) {
    why = "the leader lives";
  } else if (abstains() && !planted(Bug::kPaxosAmnesiacPromises)) {
    // What it voted for below is forgotten, and a promise would say that there was nothing.
    why = "votes were lost with damaged records";
  }
  if (!why.empty()) {
    fact(FactKind::kVoteRefused, 0, from, 0, why);
    return refuse(from, request.ballot, request.pre);
  }
  if (request.from <= slots_.base() && snapshot_.position > 0) offer_snapshot(from, is_witness(from));
  if (request.pre) {
    // Changes nothing here, so that nothing has to be durable for it.
    Promise answer;
    answer.ballot = request.ballot;
    answer.pre = true;
    answer.from = request.from;
    answer.upto = kMaxNumber;
    answer.commit = commit_;
    answer.floor = floor();
    answer.floor_ballot = recovering() ? Ballot() : floor_ballot_;
    return send(from, answer, After::kNothing);
  }
  if (higher) {
    raise_promise(request.ballot);
    reset_election_timer();
    fact(FactKind::kVoteGranted, 0, from);
  }
  // With everything that it tells of: the watermark counts as an acknowledgement.
  send(from, promise_page(request), planted(Bug::kPaxosPromiseBeforeDurable) ? After::kNothing : After::kEverything);
}

Promise MultiPaxos::promise_page(const Prepare& request) const {
  Promise page;
  page.ballot = request.ballot;
  page.from = request.from;
  page.upto = kMaxNumber;
  page.commit = commit_;
  page.floor = planted(Bug::kPaxosAmnesiacPromises) ? slots_.base() : floor();
  page.floor_ballot = recovering() ? Ballot() : floor_ballot_;
  if (planted(Bug::kPaxosPromiseWithoutVotes)) return page;
  auto held = request.held.begin();
  uint64_t bytes = 0;
  for (Position p = std::max(request.from, slots_.first()); p <= slots_.high(); ++p) {
    const Acceptance* const vote = slots_.find(p);
    if (vote == nullptr) continue;
    while (held != request.held.end() && held->last < p) ++held;
    const bool known = held != request.held.end() && held->first <= p && vote->ballot <= held->ballot;
    if (known) continue;
    if (bytes > 0 && bytes + cost(vote->entry) > options_.max_message_bytes) {
      page.upto = p - 1;
      break;
    }
    bytes += cost(vote->entry);
    page.votes.emplace_back(p, *vote);
  }
  return page;
}

bool MultiPaxos::takes(bool without_commands) const {
  // Values without commands are for witnesses, and for a newcomer that has yet to learn that it is one.
  return !without_commands || is_witness() || !view_.contains(options_.self);
}

void MultiPaxos::handle(NodeId from, Accept& message) {
  if (!takes(message.without_commands)) {
    fact(FactKind::kMessageRefused, 0, from, 0, "values without commands for a member with data");
    return;
  }
  // It comes again, when the slots before are there.
  if (message.first > upto() + options_.max_open_slots || slots_.bytes() > options_.max_log_bytes) {
    fact(FactKind::kMessageRefused, message.first, from, 0,
         message.first > upto() + options_.max_open_slots ? "slots too far ahead" : "the log's memory is full");
    return;
  }
  if (message.without_commands && !message.values.empty()) metadata_only_ = true;
  const Position high_before = slots_.high();
  for (size_t i = 0; i < message.values.size(); ++i) {
    const Position p = message.first + i;
    if (p <= commit_ || p <= slots_.base()) continue;  // chosen: the same everywhere
    Acceptance& value = message.values[i];
    const Acceptance* const own = slots_.find(p);
    if (own != nullptr && own->ballot == value.ballot) {
      if (own->bare || value.bare || own->entry == value.entry) continue;
      halt("ballot " + to_string(value.ballot) + " has two values for slot " + std::to_string(p) + "; node " +
           std::to_string(number(from)) + " used a ballot twice");
      return;
    }
    accept_here(p, std::move(value));
  }
  if (slots_.high() > high_before) appended_now_ += slots_.high() - high_before;
  // Only what was accepted under this ballot: an older vote in a chosen slot may be for another value.
  const Position commit = std::min(message.commit, planted(Bug::kPaxosCommitByOlderVote) ? slots_.high() : upto());
  if (commit > commit_) commit_to(commit);
  acknowledge();
}

void MultiPaxos::handle(NodeId from, const Heartbeat& beat) {
  // A promise to the leader; bounded, whatever the message says.
  const Time lease = static_cast<Time>(std::min<uint64_t>(beat.lease_ns, static_cast<uint64_t>(options_.election_max)));
  if (leased_by_ != beat.ballot) {
    leased_by_ = beat.ballot;
    older_lease_until_ = leased_until_;
  }
  leased_until_ = std::max(leased_until_, now_ + lease);
  election_deadline_ = std::max(election_deadline_, leased_until_);
  const Position commit = std::min(beat.commit, planted(Bug::kPaxosCommitByOlderVote) ? slots_.high() : upto());
  if (commit > commit_) commit_to(commit);
  safe_ = std::min(beat.safe, commit_);
  if (beat.told && beat.commit >= untold_) untold_ = 0;
  if (!beat.wants_reply) return;
  send(from, HeartbeatReply{promise_, beat.round, beat.stamp, commit_});
  if (beat.known != upto()) {
    told_lost_ |= beat.known > upto() && beat.known < kMaxNumber;
    acknowledge();
  }
}

LogSeq MultiPaxos::needed_for(Position position) const { return position <= durable_position_ ? 0 : votes_seq_; }

void MultiPaxos::send_acknowledgement() {
  const bool lost = std::exchange(told_lost_, false);
  if (!std::exchange(ack_, false) || leader_ == kNobody || leading()) return;
  Accepted message{promise_, upto(), 0, lost};
  if (slots_.high() > upto()) {
    for (Position p = upto() + 2; p <= slots_.high(); ++p) {
      const Acceptance* const vote = slots_.find(p);
      if (vote == nullptr || vote->ballot != promise_) continue;
      message.beyond = p;
      break;
    }
  }
  out_.send(leader_, encode(message), After::kState, planted(Bug::kAckBeforeDurable) ? 0 : needed_for(message.upto));
}

}  // namespace clew::consensus
