// The follower's side of replication: Raft §5.3, Figure 2 (AppendEntries RPC, receiver).
#include <algorithm>

#include "consensus/planted.h"
#include "consensus/raft/raft.h"

namespace clew::consensus {

using raft::AppendReply;
using raft::AppendRequest;
using raft::Heartbeat;
using raft::HeartbeatReply;

bool Raft::takes(bool without_commands) const {
  // Entries without commands are for witnesses, and for a newcomer that has yet to learn that it is one.
  return !without_commands || is_witness() || !membership().contains(options_.self);
}

void Raft::handle(NodeId from, AppendRequest& request) {
  if (!takes(request.without_commands)) {
    fact(FactKind::kMessageRefused, 0, from, 0, "entries without commands for a member with data");
    return;
  }
  if (log_.bytes() > options_.max_log_bytes) {
    fact(FactKind::kMessageRefused, 0, from, 0, "the log's memory is full");
    return;  // it comes again
  }
  size_t skip = 0;
  if (request.prev < commit_ && !planted(Bug::kStaleTermAccepted)) {
    // What is committed is the same everywhere; it may be compacted here, so that it is not looked at.
    skip = std::min<uint64_t>(commit_ - request.prev, request.entries.size());
    request.prev += skip;
    if (request.prev < commit_) {
      acknowledge(commit_);
      return;
    }
    if (skip > 0) request.prev_epoch = request.entries[skip - 1].epoch;
  }
  const bool known = log_.contains(request.prev, request.prev_epoch) ||
                     (planted(Bug::kPrevNotChecked) && request.prev >= log_.base() && request.prev <= log_.last());
  if (!known) {
    reject(from, request);
    return;
  }
  const bool had_hole = log_.has_hole();
  const Position last_before = log_.last();
  const size_t count = request.entries.size() - skip;
  std::optional<Position> cut;
  if (request.without_commands && count > 0) metadata_only_ = true;
  for (size_t i = 0; i < count; ++i) {
    const auto went = log_.take(request.prev + 1 + i, std::move(request.entries[skip + i]));
    if (went && (!cut || *went < *cut)) cut = went;
  }
  if (cut) note_cut(*cut);
  take_memberships(std::min(cut.value_or(last_before + 1), last_before + 1));
  if (had_hole && !log_.has_hole()) fact(FactKind::kHoleFilled, log_.last());
  if (log_.last() > last_before) appended_now_ += log_.last() - last_before;
  // Only what this message has verified: what stands behind it may be another leader's (Raft, Figure 2, step 5).
  const Position verified = request.prev + count;
  const Position commit = std::min(request.commit, verified);
  if (commit > commit_) commit_to(commit);
  acknowledge(verified);
}

void Raft::note_cut(Position from) {
  if (!planted(Bug::kMembershipNotUndone) && configs_.truncate(from)) fact(FactKind::kMembershipUndone, from);
  while (!placed_.empty() && placed_.back().position >= from) {
    out_.refused(placed_.back().id, Refusal::kLost, leader_);
    placed_.pop_back();
  }
  fact(FactKind::kTruncated, from);
}

void Raft::take_memberships(Position from) {
  for (Position p = std::max(from, log_.first()); p <= log_.last(); ++p) {
    const Entry& entry = log_.at(p);
    if (entry.kind == EntryKind::kMembership && p > configs_.newest().position) membership_appended(p, entry.payload);
  }
}

void Raft::acknowledge(Position match) { ack_ = std::max(ack_.value_or(0), match); }

void Raft::reject(NodeId from, const AppendRequest& request) {
  AppendReply reply{term_, AppendReply::Outcome::kRejected, request.prev, 0, 0};
  if (log_.has_hole() && request.prev > log_.last()) {
    reply.outcome = AppendReply::Outcome::kLost;
    reply.hint = log_.last();
  } else {
    reply.hint = log_.back_off(request.prev, request.prev_epoch);
  }
  reply.hint_epoch = log_.epoch_at(reply.hint).value_or(0);
  send(from, reply);
}

void Raft::handle(NodeId from, const Heartbeat& beat) {
  // A promise to the leader; bounded, whatever the message says.
  const Time lease = static_cast<Time>(std::min<uint64_t>(beat.lease_ns, static_cast<uint64_t>(options_.election_max)));
  leased_until_ = std::max(leased_until_, now_ + lease);
  election_deadline_ = std::max(election_deadline_, leased_until_);
  // The leader names only what this node acknowledged, and damage may have taken some of that.
  const Position commit = std::min(beat.commit, planted(Bug::kHoleSkipped) ? log_.true_last() : log_.last());
  if (commit > commit_) commit_to(commit);
  if (!beat.wants_reply) return;
  send(from, HeartbeatReply{term_, beat.round, beat.stamp});
  // A leader that has nothing to send would not find out.
  if (log_.has_hole()) send(from, AppendReply{term_, AppendReply::Outcome::kLost, 0, log_.last(), log_.last_epoch()});
}

}  // namespace clew::consensus
