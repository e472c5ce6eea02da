// Linearizable reads without ordering anything (PBFT §4.1, read-only requests): each voter answers how far it has
// executed, once all that it had prepared is. A write that anybody was told of had 2f + 1 commits, so f + 1 honest
// members had prepared it, and one of them is among any 2f + 1 who answer: the highest of 2f + 1 answers is a barrier,
// whichever 2f + 1 they are. So the lowest such barrier is taken, and reached before the read is answered: a liar who
// names what does not exist makes it wait at worst. What has not ended by then is ordered like a command.
//
// Members that were replaced may not know it, and agree among each other about the past. But 2f + 1 of them signed the
// checkpoint at which they were, so that one of any 2f + 1 honestly answers with it or more: who gets there learns that
// others decide now, and asks them. For that the answers are sequence numbers, which null requests raise, too.
#include <algorithm>

#include "consensus/pbft/pbft.h"
#include "consensus/planted.h"

namespace clew::consensus {

using pbft::ReadReply;
using pbft::ReadRequest;

void Pbft::read(Time now, ReadId id, ReadBarrier) {
  advance_clock(now);
  if (!running() || !view_members_.contains(options_.self) || lacks_state_) return refuse_read(id, Refusal::kNotLeader);
  if (planted(Bug::kPbftReadAlone)) {
    out_.read(id, ledger_.position);
    return;
  }
  if (!gate_.add({id, kNobody, 0})) refuse_read(id, Refusal::kOverloaded);
}

void Pbft::refuse_read(ReadId id, Refusal why) {
  const NodeId primary = active_ ? primary_of(view_) : kNobody;
  out_.read_refused(id, why, primary);
  fact(FactKind::kReadRefused, 0, primary, 0, refusal_name(why));
}

Pbft::Sequence Pbft::highest_prepared() const {
  for (auto at = slots_.rbegin(); at != slots_.rend() && at->first > executed_; ++at) {
    if (at->second.prepared || at->second.committed) return at->first;
  }
  return executed_;
}

void Pbft::start_read_round() {
  if (open_round_ != 0 || !gate_.waiting()) return;
  const uint64_t round = gate_.start_round();
  if (round == 0) return;
  open_round_ = round;
  round_due_ = now_ + 2 * options_.heartbeat;
  ask_round();
}

void Pbft::ask_round() {
  const uint64_t round = open_round_;
  answers_.clear();
  round_members_ = governs_from_;
  // Answers to the members before say nothing about the round that begins anew with those after.
  context_base_ += uint64_t{1} << 32;
  for (const Member& member : governing_.members()) {
    if (!governing_.votes(member.id)) continue;
    if (member.id != options_.self) {
      send(member.id, ReadRequest{context_base_ + round}, After::kNothing);
    } else if (may_vote()) {
      asked_reads_.push_back({options_.self, context_base_ + round, highest_prepared()});
    }
  }
}

void Pbft::handle(NodeId from, ReadRequest& message) {
  if (!may_vote() || asked_reads_.size() >= options_.max_waiting_reads) return;
  asked_reads_.push_back({from, message.context, highest_prepared()});
}

void Pbft::handle(NodeId from, ReadReply& message) {
  if (open_round_ != 0 && message.context == context_base_ + open_round_ && governing_.votes(from)) {
    answers_[from] = message.executed;
  }
}

void Pbft::check_reads() {
  std::erase_if(asked_reads_, [&](const Asked& asked) {
    if (executed_ < asked.after) return false;
    if (asked.from != options_.self) {
      send(asked.from, ReadReply{asked.context, executed_}, After::kNothing);
    } else if (open_round_ != 0 && asked.context == context_base_ + open_round_) {
      answers_[options_.self] = executed_;
    }
    return true;
  });
  if (open_round_ == 0 || answers_.size() < quorum()) return;
  std::vector<Sequence> all;
  for (const auto& [member, executed] : answers_) {
    if (governing_.votes(member)) all.push_back(executed);
  }
  if (all.size() < quorum()) return;
  std::sort(all.begin(), all.end());
  if (all[quorum() - 1] > executed_ || switching_at_ != 0) return;
  if (round_members_ != governs_from_) return ask_round();
  for (const ReadGate::Waiting& waiting : gate_.confirmed(open_round_)) {
    out_.read(waiting.id, ledger_.position);
  }
  open_round_ = 0;
  round_due_ = kNever;
}

void Pbft::order_reads() {
  const uint64_t round = std::exchange(open_round_, 0);
  round_due_ = kNever;
  const uint64_t timestamp = submit(EntryKind::kNoop, {});
  if (timestamp != 0) {
    ordered_reads_[timestamp] = round;
    return;
  }
  for (const ReadGate::Waiting& waiting : gate_.confirmed(round)) refuse_read(waiting.id, Refusal::kOverloaded);
}

}  // namespace clew::consensus
