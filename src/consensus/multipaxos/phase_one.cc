// The proposer's phase 1, for all slots that it does not know as chosen at once (PMS §2.2 and §3; a scout of PMMC
// §2.3). The same code asks beforehand, prepares, and prepares the members of a new configuration within a reign.
#include <algorithm>
#include <utility>
#include <vector>

#include "consensus/multipaxos/multipaxos.h"
#include "consensus/planted.h"

namespace clew::consensus {
namespace {

constexpr uint64_t kBareVoteBytes = 64;

}  // namespace

using multipaxos::Acceptance;
using multipaxos::Ballot;
using multipaxos::kFarthest;
using multipaxos::kMaxHeldRuns;
using multipaxos::kMaxNumber;
using multipaxos::Prepare;
using multipaxos::Promise;

void MultiPaxos::forget_answers() {
  answers_.clear();
  found_.clear();
  found_bytes_ = 0;
}

void MultiPaxos::start_phase_one() {
  prepare_from_ = commit_ + 1;
  forget_answers();
  const Membership& voters = electorate();
  for (const Member& member : voters.members()) {
    if (!voters.votes(member.id)) continue;
    Answer answer;
    answer.from = member.id;
    answer.next = prepare_from_;
    answer.complete = member.id == options_.self;
    answer.commit = answer.complete ? commit_ : 0;
    answers_.push_back(answer);
    if (!answer.complete) ask(answer);
  }
  count_answers();
}

void MultiPaxos::ask(const Answer& answer) {
  Prepare request;
  request.pre = phase_ == Phase::kAsking;
  request.ballot = request.pre ? asked_ : promise_;
  request.reign = wished_by_;
  request.from = answer.next;
  const bool tells = !request.pre && !planted(Bug::kPaxosLastSeenValue);
  for (Position p = answer.next; p <= slots_.high() && tells; ++p) {
    const Acceptance* const vote = slots_.find(p);
    if (vote == nullptr) continue;
    if (!request.held.empty() && request.held.back().last + 1 == p && request.held.back().ballot == vote->ballot) {
      request.held.back().last = p;
      continue;
    }
    if (request.held.size() == kMaxHeldRuns) break;
    request.held.push_back({p, p, vote->ballot});
  }
  // The own promise first: a ballot that others heard of is never drawn again.
  const bool free = request.pre || planted(Bug::kPaxosBallotReused);
  send(answer.from, request, free ? After::kNothing : After::kState);
}

MultiPaxos::Answer* MultiPaxos::answer_of(NodeId from) {
  for (Answer& answer : answers_) {
    if (answer.from == from) return &answer;
  }
  return nullptr;
}

// Whether the own votes up to `floor`, under `ballot` or later ones, are for what was chosen there.
bool MultiPaxos::knows_chosen(Position floor, const Ballot& ballot) const {
  if (ballot.none()) return false;
  for (Position p = prepare_from_; p <= floor; ++p) {
    const Acceptance* const own = slots_.find(p);
    if (own == nullptr || own->bare || own->ballot < ballot) return false;
  }
  return true;
}

void MultiPaxos::handle(NodeId from, const Promise& promise) {
  const bool awaited = promise.pre ? phase_ == Phase::kAsking && promise.ballot == asked_
                                   : (phase_ == Phase::kPreparing || leading()) && promise.ballot == promise_;
  Answer* const answer = awaited ? answer_of(from) : nullptr;  // voters only: bounds the answers, too
  if (answer == nullptr || answer->complete || promise.from != answer->next) return;
  if (promise.floor >= prepare_from_ && !knows_chosen(promise.floor, promise.floor_ballot)) {
    // What it compacted it cannot tell; and it was chosen. A majority of others may do; else the snapshot that it
    // offers.
    if (leading() && settled_) return forget_answers();                 // learn_of(): the snapshot says who governs
    if (leading()) return resign("behind what others have compacted");  // another reign went on from the stop-sign
    answer->refused = true;
    return count_answers();
  }
  if (!promise.pre) {
    merge(*answer, promise);
    if (out_.halted() || phase_ == Phase::kFollower) return;
    if (promise.upto < kMaxNumber) {
      answer->next = promise.upto + 1;
      if (!leading()) reset_election_timer();  // a long answer is no silence
      return ask(*answer);
    }
  }
  answer->complete = true;
  answer->commit = promise.commit;
  if (!leading() || !settled_) return count_answers();
  if (learns_that_others_govern()) return resign("others govern by now");
  forget_answers();
}

// Somebody knows more as chosen than this leader has proposed: there was another reign, behind a stop-sign that this
// one does not know as chosen and may never get chosen again.
void MultiPaxos::learn_of(NodeId other) {
  if (const Peer* const asked = answers_.empty() ? nullptr : peer(answers_.front().from)) {
    if (now_ - asked->heard <= options_.election_max) return;
  }
  prepare_from_ = commit_ + 1;
  forget_answers();
  Answer& answer = answers_.emplace_back();
  answer.from = other;
  answer.next = prepare_from_;
  ask(answer);
}

// In each slot the value of the highest ballot that anybody accepted (PMS §2.2, P2c); not the last that was heard of,
// nor the greatest (scenario 28).
void MultiPaxos::merge(const Answer& from, const Promise& promise) {
  const auto place = static_cast<size_t>(&from - answers_.data());
  for (const auto& [position, vote] : promise.votes) {
    if (position <= commit_) continue;
    const Acceptance* const own = slots_.find(position);
    if (own != nullptr && vote.ballot <= own->ballot && !planted(Bug::kPaxosLastSeenValue)) {
      if (vote.ballot == own->ballot && !vote.bare && !own->bare && !(vote.entry == own->entry)) {
        halt("two values were accepted in slot " + std::to_string(position) + " under ballot " +
             to_string(vote.ballot) + "; a proposer spoke with two tongues, compare the logs of " +
             std::to_string(number(options_.self)) + " and its peers");
      }
      continue;
    }
    Found& found = found_[position];
    if (vote.bare) {
      const auto told =
          std::find_if(found.bare.begin(), found.bare.end(), [&](const auto& b) { return b.first == place; });
      if (told == found.bare.end()) {
        found_bytes_ += kBareVoteBytes;
        found.bare.emplace_back(place, vote.ballot);
      } else {
        told->second = std::max(told->second, vote.ballot);
      }
      continue;
    }
    const bool chosen = position <= promise.commit;
    if (found.vote && !planted(Bug::kPaxosLastSeenValue)) {
      const bool better = !found.chosen && (chosen || vote.ballot > found.vote->ballot);
      if (!better) continue;
    }
    if (found.vote) found_bytes_ -= cost(found.vote->entry);
    found_bytes_ += cost(vote.entry);
    found.vote = vote;
    found.chosen = chosen;
  }
  if (found_bytes_ > options_.max_log_bytes) resign("the open slots do not fit into the log's memory");
}

// Witnesses alone tell of the newest votes in this slot, and their value may have been chosen: somebody has to tell it.
// Who has it may have lost it, and then nobody ever does; so it matters whether it can have been. A ballot above those
// of all that was told with commands can have chosen something only if a quorum voted there, or above; of those who
// answered only witnesses did. If with everybody who did not answer they are no quorum, then nothing was chosen above
// the newest vote with commands, whose value is the one if anything was chosen up to there (PMS §2.2).
bool MultiPaxos::lacks_value(Position position, const Found& found) const {
  if (found.chosen || planted(Bug::kPaxosBareVoteForgotten)) return false;
  const Acceptance* const own = slots_.find(position);
  const Ballot known = found.vote ? found.vote->ballot : own != nullptr ? own->ballot : Ballot();
  const auto votes_above = [&](size_t place) {
    return std::any_of(found.bare.begin(), found.bare.end(),
                       [&](const auto& bare) { return bare.first == place && bare.second > known; });
  };
  if (std::none_of(found.bare.begin(), found.bare.end(), [&](const auto& bare) { return bare.second > known; })) {
    return false;
  }
  return has_quorum(electorate(), [&](NodeId id) {
    for (size_t place = 0; place < answers_.size(); ++place) {
      if (answers_[place].from == id) return votes_above(place) || !answers_[place].complete;
    }
    return true;
  });
}

bool MultiPaxos::values_known() const {
  return std::none_of(found_.begin(), found_.end(),
                      [&](const auto& found) { return lacks_value(found.first, found.second); });
}

void MultiPaxos::count_answers() {
  const auto vote_of = [&](NodeId id) {
    for (const Answer& answer : answers_) {
      if (answer.from != id) continue;
      if (answer.refused && !answer.complete) return consensus::Vote::kRefused;
      // Within a reign the new members have to know that the stop-sign before their configuration was chosen.
      const bool knows = !leading() || answer.commit + 1 >= prepare_from_;
      return answer.complete && knows ? consensus::Vote::kGranted : consensus::Vote::kNone;
    }
    return consensus::Vote::kNone;
  };
  switch (tally(electorate(), vote_of)) {
    case Tally::kPending:
      return;
    case Tally::kLost:
      if (leading()) return;  // asked again with each heartbeat
      if (phase_ == Phase::kAsking) fact(FactKind::kElectionLost, 0, kNobody, 0, "refused by too many");
      return resign("refused by too many");
    case Tally::kWon:
      if (phase_ == Phase::kAsking) return campaign(false, wished_by_);
      // The own promise counts like any other, once its record is durable: durable() asks again.
      if (!state_dirty_ && out_.state_durable() && values_known()) finish_phase_one();
  }
}

// Whether somebody who answered knows others as chosen to govern than those who were asked. Their promises allow
// nothing then, and a member that was removed and missed it may have got them: it would propose a stop-sign whose next
// members cannot decide any more, for ever. What is known as chosen is so, whoever governs there: it is learned
// instead.
bool MultiPaxos::learns_that_others_govern() {
  Position told = 0;
  for (const Answer& answer : answers_) {
    if (answer.complete) told = std::max(told, answer.commit);
  }
  std::vector<Acceptance> chosen;
  Membership governs = governing();
  bool others = false;
  for (Position p = commit_ + 1; p <= told; ++p) {
    const Acceptance* vote = slots_.find(p);  // as new as that of who knows, where it was not told again
    if (const auto found = found_.find(p); found != found_.end()) {
      vote = found->second.chosen ? &*found->second.vote : nullptr;
    }
    if (vote == nullptr || vote->bare) break;
    chosen.push_back({promise_, vote->entry, false});
    if (vote->entry.kind != EntryKind::kMembership) continue;
    Result<Membership> next = Membership::parse(vote->entry.payload.view());
    if (!next.ok() || !governs.can_become(*next).ok()) break;
    others = others || governs.enter_joint(*next).joint();
    governs = std::move(next).value();
  }
  if (!others) return false;
  appended_now_ += chosen.size();
  Position upto = commit_;
  for (Acceptance& vote : chosen) accept_here(++upto, std::move(vote));
  commit_to(upto);
  return true;
}

// Phase 2 begins: every slot that may have been chosen is proposed again under the own ballot, gaps are filled by
// no-ops (PMS §3), and new values come only above.
void MultiPaxos::finish_phase_one() {
  if (learns_that_others_govern()) {
    return leading() || !may_campaign() ? resign("others govern by now") : campaign(false, wished_by_);
  }
  const bool first_time = !leading();
  const std::vector<Answer> answers = answers_;
  std::map<Position, Found> found;
  found.swap(found_);
  found_bytes_ = 0;
  answers_.clear();
  Position end = std::max(slots_.high(), commit_);
  if (!found.empty()) end = std::max(end, found.rbegin()->first);
  if (end > std::max(slots_.high(), commit_) + found.size() + 2 * options_.max_open_slots + kFarthest) {
    return resign("votes too far ahead were told");  // no leader proposes like that
  }
  if (first_time) become_leader();
  settled_ = true;
  for (const Answer& answer : answers) {
    Peer* const other = answer.complete ? peer(answer.from) : nullptr;
    if (other == nullptr) continue;
    other->heard = now_;
    if (other->known) continue;
    other->known = true;
    other->match = std::max(other->match, std::min(answer.commit, commit_));
    other->next = other->match + 1;
  }
  if (planted(Bug::kPaxosSuffixForgotten)) end = commit_;
  last_ = commit_;
  pending_.reset();
  while (last_ < end && !pending_) {  // a stop-sign ends what this configuration may decide
    const Position p = ++last_;
    Acceptance vote;
    if (const auto told = found.find(p); told != found.end() && told->second.vote) {
      vote = *told->second.vote;
    } else if (const Acceptance* const own = slots_.find(p); own != nullptr) {
      vote = *own;
    } else {
      vote.entry.epoch = promise_.round;
    }
    vote.ballot = promise_;
    uncommitted_bytes_ += cost(vote.entry);
    ++appended_now_;
    accept_here(p, std::move(vote));
  }
  // What was told of the slots above is told again once it is known who governs them.
  stopped_short_ = last_ < end;
  reign_start_ = last_;
  update_view();
  sync_peers();
  // The very first value of a group is its founding membership, so that whoever learns from the beginning knows who
  // governs.
  if (last_ == 0) {
    std::string founding;
    governing().append_to(founding);
    append_own(EntryKind::kMembership, Payload(std::move(founding)));
    reign_start_ = last_;
  }
  beat();
  tell_removed();
  release_deferred_reads();
  if (commit_ < last_) advance_commit();  // a group of one
  if (!first_time) leave_if_removed();
  count_told();
}

}  // namespace clew::consensus
