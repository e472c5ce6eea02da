#include "consensus/paxos/proposer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/planted.h"

namespace clew::consensus::paxos {
namespace {

constexpr uint64_t kMostDoublings = 5;

// False: it is there already.
bool add(std::vector<NodeId>& ids, NodeId id) {
  if (std::find(ids.begin(), ids.end(), id) != ids.end() && !planted(Bug::kDecreeVoteCountedTwice)) return false;
  ids.push_back(id);
  return true;
}

}  // namespace

std::string_view attempt_end_name(Attempt::End end) {
  switch (end) {
    case Attempt::End::kUnderWay:
      return "under way";
    case Attempt::End::kChosen:
      return "chosen";
    case Attempt::End::kRefused:
      return "refused";
    case Attempt::End::kUnanswered:
      return "unanswered";
    case Attempt::End::kOvertaken:
      return "overtaken";
    case Attempt::End::kGivenUp:
      return "given up";
  }
  return "?";
}

void Proposer::send_all(const Message& message) {
  for (const NodeId to : options_.acceptors) orders_.push_back({to, message});
}

void Proposer::propose(Time now, std::string wish) {
  CHECK(phase_ == Phase::kIdle && options_.quorum.valid(options_.acceptors.size()));
  wish_ = std::move(wish);
  begin_ballot(now);
}

void Proposer::begin_ballot(Time now) {
  phase_ = Phase::kPrepare;
  phase_began_ = now;
  due_ = now + options_.answer_within;
  ++made_;
  if (attempts_.size() == kMaxAttempts) attempts_.erase(attempts_.begin());
  Attempt& attempt = attempts_.emplace_back();
  const NodeId whose = planted(Bug::kDecreeBallotOfNobody) ? options_.acceptors.front() : options_.self;
  attempt.ballot = {++round_, whose, options_.incarnation};
  Message prepare;
  prepare.kind = MessageKind::kPrepare;
  prepare.ballot = attempt.ballot;
  send_all(prepare);
}

void Proposer::receive(Time now, NodeId from, const Message& answer) {
  if (!std::binary_search(options_.acceptors.begin(), options_.acceptors.end(), from)) return;
  if (answer.kind == MessageKind::kRefusal) round_ = std::max(round_, answer.promised.round);
  if ((phase_ != Phase::kPrepare && phase_ != Phase::kAccept) || answer.ballot != attempts_.back().ballot) return;
  switch (answer.kind) {
    case MessageKind::kPromise:
      return on_promise(now, from, answer);
    case MessageKind::kAccepted:
      return on_accepted(now, from, answer);
    case MessageKind::kRefusal:
      if (planted(Bug::kDecreeRefusalAsPromise) && phase_ == Phase::kPrepare) return on_promise(now, from, answer);
      add(attempts_.back().refused, from);
      attempts_.back().refused_for = std::max(attempts_.back().refused_for, answer.promised);
      // Somebody is ahead: this ballot can only be in the way.
      return pause(now, Attempt::End::kRefused);
    case MessageKind::kPrepare:
    case MessageKind::kAccept:
    case MessageKind::kChosen:
      return;
  }
}

void Proposer::on_promise(Time now, NodeId from, const Message& promise) {
  if (phase_ != Phase::kPrepare) return;
  Attempt& attempt = attempts_.back();
  if (!add(attempt.promised, from)) return;
  const bool newer = planted(Bug::kDecreeHighestValue) ? promise.accepted.value > attempt.bound_to.value
                                                       : promise.accepted.ballot > attempt.bound_to.ballot;
  if (newer) attempt.bound_to = promise.accepted;
  if (attempt.promised.size() >= options_.quorum.prepare) begin_accept(now);
}

void Proposer::begin_accept(Time now) {
  end_phase(now, "promised", false);
  phase_ = Phase::kAccept;
  phase_began_ = now;
  due_ = now + options_.answer_within;
  const Attempt& attempt = attempts_.back();
  proposed_ = attempt.bound_to.ballot.none() ? wish_ : attempt.bound_to.value;
  Message accept;
  accept.kind = MessageKind::kAccept;
  accept.ballot = attempt.ballot;
  accept.value = proposed_;
  send_all(accept);
}

void Proposer::on_accepted(Time now, NodeId from, const Message& accepted) {
  if (phase_ != Phase::kAccept) return;
  Attempt& attempt = attempts_.back();
  add(attempt.accepted, from);
  if (attempt.accepted.size() >= options_.quorum.accept) stop(now, {accepted.ballot, proposed_});
}

void Proposer::end_phase(Time now, std::string_view result, bool failed) {
  if (phase_ != Phase::kPrepare && phase_ != Phase::kAccept) return;
  const Attempt& attempt = attempts_.back();
  const bool prepare = phase_ == Phase::kPrepare;
  phases_.push_back({prepare ? PhaseEnd::Phase::kPrepare : PhaseEnd::Phase::kAccept, attempt.ballot, phase_began_, now,
                     result, failed, prepare ? attempt.promised.size() : attempt.accepted.size()});
}

void Proposer::pause(Time now, Attempt::End end) {
  attempts_.back().end = end;
  end_phase(now, attempt_end_name(end), true);
  phase_ = Phase::kPause;
  Time length = options_.pause_min;
  if (options_.random_pauses) {
    const Time widest = options_.pause_max << std::min<uint64_t>(made_ - 1, kMostDoublings);
    length += static_cast<Time>(random_.below(static_cast<uint64_t>(widest - options_.pause_min) + 1));
  }
  due_ = now + length;
}

void Proposer::tick(Time now) {
  if (idle() || now < due_) return;
  if (phase_ == Phase::kPause) return begin_ballot(now);
  pause(now, Attempt::End::kUnanswered);
}

void Proposer::stop(Time now, const Proposal& chosen) {
  if (phase_ == Phase::kDone) return;
  if (!attempts_.empty() && attempts_.back().end == Attempt::End::kUnderWay) {
    attempts_.back().end = attempts_.back().ballot == chosen.ballot ? Attempt::End::kChosen : Attempt::End::kOvertaken;
    end_phase(now, attempt_end_name(attempts_.back().end), attempts_.back().end != Attempt::End::kChosen);
  }
  phase_ = Phase::kDone;
  chosen_ = chosen;
}

void Proposer::give_up(Time now) {
  if (idle()) return;
  end_phase(now, attempt_end_name(Attempt::End::kGivenUp), true);
  if (attempts_.back().end == Attempt::End::kUnderWay) attempts_.back().end = Attempt::End::kGivenUp;
  phase_ = Phase::kIdle;
}

}  // namespace clew::consensus::paxos
