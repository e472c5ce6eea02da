#include "consensus/telemetry.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace clew::consensus {
namespace {

constexpr size_t kMaxTimedAppends = 4'096;
constexpr size_t kMaxReasons = 64;

std::string label(std::string_view key, std::string_view value) {
  std::string text = std::string(key) + "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.push_back(c == '\n' ? ' ' : c);
  }
  return text + "\"";
}

// Values of one metric after another.
class Lines {
 public:
  explicit Lines(std::vector<MetricValue>& out) : out_(out) {}
  void counter(std::string_view name, std::string_view help, uint64_t value, std::string labels = {}) {
    out_.push_back({name, help, MetricType::kCounter, std::move(labels), static_cast<double>(value)});
  }
  void gauge(std::string_view name, std::string_view help, uint64_t value, std::string labels = {}) {
    out_.push_back({name, help, MetricType::kGauge, std::move(labels), static_cast<double>(value)});
  }
  void histogram(std::string_view name, std::string_view help, const DurationCounts& durations) {
    uint64_t below = 0;
    for (size_t i = 0; i <= DurationCounts::kBuckets; ++i) {
      below += durations.counts[i];
      char bound[32] = "+Inf";
      if (i < DurationCounts::kBuckets) std::snprintf(bound, sizeof bound, "%g", DurationCounts::bound_seconds(i));
      out_.push_back({name, help, MetricType::kHistogramBucket, label("le", bound), static_cast<double>(below)});
    }
    out_.push_back({name, help, MetricType::kHistogramSum, {}, durations.sum_seconds});
    out_.push_back({name, help, MetricType::kHistogramCount, {}, static_cast<double>(below)});
  }

 private:
  std::vector<MetricValue>& out_;
};

}  // namespace

const SpanNames& span_names(std::string_view protocol) {
  static constexpr std::array kNames = {
      SpanNames{"raft", "raft", "raft_pre_vote", "raft_election", "raft_append", "committed", "term", "index"},
      SpanNames{"multipaxos", "paxos", "paxos_ask", "paxos_prepare", "paxos_accept", "chosen", "ballot", "slot", true},
      SpanNames{"zab", "zab", "zab_election", "zab_election", "zab_propose", "committed", "epoch", "position"},
      SpanNames{"pbft", "pbft", "pbft_view_change", "pbft_view_change", "pbft_prepare", "committed", "view", "position",
                false, "sequence", "pbft_commit", "entered"},
  };
  for (const SpanNames& names : kNames) {
    if (names.protocol == protocol) return names;
  }
  return kNames.front();
}

double DurationCounts::bound_seconds(size_t bucket) { return 1e-4 * static_cast<double>(uint64_t{1} << bucket); }

void DurationCounts::add(int64_t ns) {
  const double seconds = static_cast<double>(std::max<int64_t>(ns, 0)) / 1e9;
  size_t bucket = 0;
  while (bucket < kBuckets && seconds > bound_seconds(bucket)) ++bucket;
  ++counts[bucket];
  sum_seconds += seconds;
}

Telemetry::Telemetry(const env::Clock& clock, TelemetryOptions options, Emit emit)
    : clock_(clock), options_(options), names_(span_names(options.protocol)), emit_(std::move(emit)) {}

// Facts carry monotonic times; spans are for people and other machines.
int64_t Telemetry::wall(Time at) const { return clock_.wall_ns() - (clock_.mono_ns() - at); }

Hash128 Telemetry::trace_id(uint64_t of) const { return {mix64(options_.cluster, of), mix64(of, ~options_.cluster)}; }

// "3.1": two proposers may use one round.
std::string Telemetry::ballot_of(const Fact& fact) const {
  if (!names_.ballots || fact.epoch == 0) return {};
  const NodeId proposer = fact.kind == FactKind::kElectionStarted ? options_.self : proposer_;
  const std::string round = std::to_string(fact.epoch);
  return proposer == kNobody ? round : round + "." + std::to_string(number(proposer));
}

SpanValue Telemetry::begin(std::string_view name, const Fact& fact, uint64_t trace_of) const {
  SpanValue span;
  span.name = std::string(name);
  span.trace_id = trace_id(trace_of);
  span.start_ns = wall(fact.at);
  span.epoch_name = names_.epoch;
  span.epoch = fact.epoch;
  span.ballot = ballot_of(fact);
  span.position_name = names_.position;
  span.position = fact.position;
  span.peer = fact.peer;
  span.count = fact.value;
  return span;
}

void Telemetry::finish(SpanValue span, Time at, std::string_view result, bool failed, std::string_view reason) {
  if (!emit_) return;
  span.span_id = mix64(mix64(number(options_.self), ++spans_), static_cast<uint64_t>(span.start_ns)) | 1;
  span.end_ns = std::max(span.start_ns, wall(at));
  span.result = result;
  span.failed = failed;
  if (!reason.empty()) span.reason = reason;
  emit_(std::move(span));
}

std::string Telemetry::named(std::string_view what) const {
  return std::string(names_.prefix) + "_" + std::string(what);
}

void Telemetry::point(std::string_view what, const Fact& fact, std::string_view result, bool failed) {
  finish(begin(named(what), fact, fact.epoch), fact.at, result, failed, fact.reason);
}

void Telemetry::end_election(const Fact& fact, std::string_view result, bool failed) {
  if (!election_) return;
  election_seconds_.add(fact.at - election_->since);
  if (!std::exchange(election_told_, false)) {
    finish(std::move(election_->span), fact.at, result, failed, fact.reason);
  }
  election_.reset();
}

// ZAB's election chooses whom to follow; who leads is certain only when an epoch is agreed on and histories are equal.
void Telemetry::discovering(const Fact& fact) {
  end_discovery(fact, "given up", true);
  const bool here = fact.peer == options_.self;
  if (election_ && !std::exchange(election_told_, true)) {
    finish(std::move(election_->span), fact.at, here ? "won" : "followed", false);
  }
  discovery_ = Open{begin(named("discovery"), fact, fact.epoch), 0, fact.at};
}

void Telemetry::end_discovery(const Fact& fact, std::string_view result, bool failed) {
  if (!discovery_) return;
  if (!failed) {  // the epoch that was agreed on
    discovery_->span.epoch = fact.epoch;
    discovery_->span.trace_id = trace_id(fact.epoch);
  }
  finish(std::move(discovery_->span), fact.at, result, failed, fact.reason);
  discovery_.reset();
}

void Telemetry::on_fact(const Fact& fact) {
  ++facts_[static_cast<size_t>(fact.kind)];
  if (fact.kind == FactKind::kEpochRaised) proposer_ = kNobody;
  if (fact.kind == FactKind::kBecameLeader) proposer_ = options_.self;
  if (fact.kind == FactKind::kBecameFollower) proposer_ = fact.peer;
  switch (fact.kind) {
    case FactKind::kElectionStarted:
      end_discovery(fact, "given up", true);
      end_election(fact, "gone on", false);  // a pre-vote that was won, or a try that got no answer
      election_ = Open{begin(fact.value == 1 ? names_.asking : names_.election, fact, fact.epoch), 0, fact.at};
      election_->span.count = 0;
      if (pbft()) {
        election_->span.position_name = names_.sequence;
        leave_view(fact);
      }
      break;
    case FactKind::kElectionLost:
      end_discovery(fact, "given up", true);
      end_election(fact, "lost", true);
      break;
    case FactKind::kVoteGranted:
      end_discovery(fact, "done", false);
      break;
    case FactKind::kBecameFollower:
      end_discovery(fact, "done", false);
      if (names_.entered.empty()) {
        end_election(fact, "lost", true);
      } else {
        end_election(fact, names_.entered, false);
      }
      if (pbft()) new_view(fact);
      break;
    case FactKind::kDiscoveryStarted:
      discovering(fact);
      break;
    case FactKind::kBecameLeader:
      end_discovery(fact, "done", false);
      end_election(fact, "won", false);
      if (pbft()) return new_view(fact);
      reign_ = Open{begin("become_leader", fact, fact.epoch), fact.position + 1, fact.at};
      break;
    case FactKind::kSteppedDown:
      end_discovery(fact, "given up", true);
      end_election(fact, "lost", true);
      if (reign_) finish(std::move(reign_->span), fact.at, "given up", true, fact.reason);
      reign_.reset();
      end_synchronisations(fact);
      point("step_down", fact, "done", false);
      break;
    case FactKind::kAppended:
      appended(fact);
      break;
    case FactKind::kCommitted:
      committed(fact);
      break;
    case FactKind::kTruncated:
      overwritten(fact);
      break;
    case FactKind::kMembershipProposed:
      if (!change_) change_ = Open{begin(named("membership_change"), fact, fact.epoch), 0, fact.at};
      change_->until = fact.position;
      break;
    case FactKind::kMembershipTaken:
      // Elsewhere it governs at once, or is told at its commit; here long after that.
      if (pbft() && change_) {
        finish(std::move(change_->span), fact.at, "done", false);
        change_.reset();
      }
      break;
    case FactKind::kMembershipUndone:
      if (change_) finish(std::move(change_->span), fact.at, "overwritten", true);
      change_.reset();
      break;
    case FactKind::kLeadershipMoved:
      point("transfer", fact, fact.reason.empty() ? "done" : "refused", !fact.reason.empty());
      break;
    case FactKind::kSnapshotSaved:
      point("snapshot_saved", fact, "done", false);
      break;
    case FactKind::kSnapshotOffered:
      point("snapshot_offered", fact, "done", false);
      break;
    case FactKind::kSnapshotInstalled:
      point("snapshot_installed", fact, "done", false);
      break;
    case FactKind::kHoleFound:
      point("hole_found", fact, "done", true);
      break;
    case FactKind::kHoleFilled:
      point("hole_filled", fact, "done", false);
      break;
    case FactKind::kSyncStarted:
      end_discovery(fact, "done", false);
      synchronising(fact);
      break;
    case FactKind::kSynchronised:
      if (const auto open = synchronisations_.find(fact.peer); open != synchronisations_.end()) {
        finish(std::move(open->second.span), fact.at, "done", false);
        synchronisations_.erase(open);
      }
      break;
    case FactKind::kPrePrepared:
      pre_prepared(fact);
      break;
    case FactKind::kPrepared:
      prepared(fact);
      break;
    case FactKind::kCommittedLocal:
      committed_local(fact);
      break;
    case FactKind::kCheckpointTaken:
      checkpoint_taken(fact);
      break;
    case FactKind::kCheckpointStable:
      checkpoint_stable(fact);
      break;
    case FactKind::kMessageRefused:
      if (messages_refused_.contains(fact.reason) || messages_refused_.size() < kMaxReasons) {
        ++messages_refused_[fact.reason];
      }
      break;
    case FactKind::kHalted:
      point("halted", fact, "done", true);
      break;
    default:
      break;
  }
}

// --- Single-decree Paxos ---

namespace {

std::string_view span_name(paxos::PhaseEnd::Phase phase) {
  return phase == paxos::PhaseEnd::Phase::kPrepare ? "paxos_prepare" : "paxos_accept";
}

}  // namespace

void Telemetry::on_decree_fact(const Fact& fact) {
  if (decree_refusals_.contains(fact.reason) || decree_refusals_.size() < kMaxReasons) ++decree_refusals_[fact.reason];
}

void Telemetry::on_decree_phase(const std::string& decree, const paxos::PhaseEnd& phase) {
  ++decree_phases_[{phase.phase, phase.result}];
  if (!emit_) return;
  SpanValue span;
  span.name = span_name(phase.phase);
  span.trace_id = trace_id(stable_hash64(decree));
  span.start_ns = wall(phase.began);
  span.epoch_name = "ballot";
  span.epoch = phase.ballot.round;
  span.ballot = paxos::ballot_text(phase.ballot);
  span.decree = decree;
  span.count = phase.answers;
  finish(std::move(span), phase.ended, phase.result, phase.failed);
}

void Telemetry::on_applied(Position, const Entry&, std::string_view) { ++entries_applied_; }

void Telemetry::appended(const Fact& fact) {
  entries_appended_ += fact.value;
  if (waiting_.size() < kMaxTimedAppends) waiting_.push_back({fact.position, fact.at});
  if (!emit_ || options_.append_one_in == 0 || mix64(fact.position, 0) % options_.append_one_in != 0) return;
  if (appends_.size() >= options_.max_open) {
    ++spans_dropped_;
    return;
  }
  Open open{begin(names_.append, fact, mix64(fact.position, ~uint64_t{0})), fact.position, fact.at};
  appends_.push_back(std::move(open));
}

void Telemetry::committed(const Fact& fact) {
  entries_committed_ += fact.value;
  if (pbft()) return;  // its batches, views and memberships have facts of their own
  while (!waiting_.empty() && waiting_.front().until <= fact.position) {
    commit_seconds_.add(fact.at - waiting_.front().since);
    waiting_.pop_front();
  }
  while (!appends_.empty() && appends_.front().until <= fact.position) {
    finish(std::move(appends_.front().span), fact.at, names_.committed, false);
    appends_.pop_front();
  }
  if (reign_ && fact.position >= reign_->until) {
    finish(std::move(reign_->span), fact.at, "done", false);
    reign_.reset();
  }
  if (change_ && fact.position >= change_->until) {
    finish(std::move(change_->span), fact.at, "committed", false);
    change_.reset();
  }
}

void Telemetry::overwritten(const Fact& fact) {
  if (const auto batch = batches_.find(fact.position); batch != batches_.end()) {
    end_phase(batch->second, fact, "overwritten", true);
    batches_.erase(batch);
  }
  while (!waiting_.empty() && waiting_.back().until >= fact.position) waiting_.pop_back();
  while (!appends_.empty() && appends_.back().until >= fact.position) {
    finish(std::move(appends_.back().span), fact.at, "overwritten", true);
    appends_.pop_back();
  }
}

// --- PBFT: several batches are in agreement at once, each by itself ---

void Telemetry::begin_phase(Batch& batch, std::string_view name, const Fact& fact, uint64_t commands) {
  batch.phase = begin(name, fact, mix64(fact.position, ~uint64_t{0}));
  batch.phase->position_name = names_.sequence;
  batch.phase->count = commands;
  ++open_phases_;
}

bool Telemetry::end_phase(Batch& batch, const Fact& fact, std::string_view result, bool failed,
                          std::string_view reason) {
  if (!batch.phase) return false;
  finish(std::move(*batch.phase), fact.at, result, failed, reason);
  batch.phase.reset();
  --open_phases_;
  return true;
}

// In a later view the same batch may be accepted once more: its commit is timed from the first time on.
void Telemetry::pre_prepared(const Fact& fact) {
  entries_appended_ += fact.value;
  auto found = batches_.find(fact.position);
  if (found == batches_.end()) {
    if (batches_.size() >= kMaxTimedAppends) return;
    found = batches_.emplace(fact.position, Batch{fact.at, {}}).first;
  }
  end_phase(found->second, fact, "given up", true);
  if (!emit_ || options_.append_one_in == 0 || mix64(fact.position, 0) % options_.append_one_in != 0) return;
  if (open_phases_ >= options_.max_open) {
    ++spans_dropped_;
    return;
  }
  begin_phase(found->second, names_.append, fact, fact.value);
}

void Telemetry::prepared(const Fact& fact) {
  const auto found = batches_.find(fact.position);
  if (found == batches_.end() || !found->second.phase) return;
  const uint64_t commands = found->second.phase->count;
  end_phase(found->second, fact, "prepared", false);
  begin_phase(found->second, names_.commit, fact, commands);
}

void Telemetry::committed_local(const Fact& fact) {
  const auto found = batches_.find(fact.position);
  if (found != batches_.end()) {
    commit_seconds_.add(fact.at - found->second.since);
    end_phase(found->second, fact, names_.committed, false);  // also of one whose proof came before it was prepared
    batches_.erase(found);
  }
  if (reign_ && fact.position == reign_->until) {
    finish(std::move(reign_->span), fact.at, "done", false);
    reign_.reset();
  }
}

// What is prepared stays so, but nothing is agreed on before another view begins.
void Telemetry::leave_view(const Fact& fact) {
  for (auto& [sequence, batch] : batches_) end_phase(batch, fact, "given up", true, "another view");
  if (reign_) finish(std::move(reign_->span), fact.at, "given up", true, "another view");
  reign_.reset();
}

void Telemetry::new_view(const Fact& fact) {
  leave_view(fact);
  SpanValue span = begin(named("new_view"), fact, fact.epoch);
  span.position_name = names_.sequence;
  span.position = fact.value;
  span.count = 0;
  if (fact.value == 0) return finish(std::move(span), fact.at, "done", false);  // nothing is to be ordered anew
  reign_ = Open{std::move(span), fact.value, fact.at};
}

void Telemetry::checkpoint_taken(const Fact& fact) {
  if (checkpoints_.size() >= options_.max_open) {
    ++spans_dropped_;
    return;
  }
  Open open{begin(named("checkpoint"), fact, mix64(fact.position, ~uint64_t{0})), fact.position, fact.at};
  open.span.position_name = names_.sequence;
  checkpoints_.insert_or_assign(fact.position, std::move(open));
}

// Everything below is settled with it; where its state was fetched, batches are, too, that were not committed here.
void Telemetry::checkpoint_stable(const Fact& fact) {
  const auto above = checkpoints_.upper_bound(fact.position);
  for (auto at = checkpoints_.begin(); at != above; at = checkpoints_.erase(at)) {
    finish(std::move(at->second.span), fact.at, at->first == fact.position ? "stable" : "overtaken", false);
  }
  const auto open = batches_.upper_bound(fact.position);
  for (auto at = batches_.begin(); at != open; at = batches_.erase(at)) {
    end_phase(at->second, fact, "overtaken", false);
  }
}

// One a follower at a time: what began before is given up.
void Telemetry::synchronising(const Fact& fact) {
  if (synchronised_by_.contains(fact.reason) || synchronised_by_.size() < kMaxReasons) ++synchronised_by_[fact.reason];
  const auto open = synchronisations_.find(fact.peer);
  if (open != synchronisations_.end()) {
    finish(std::move(open->second.span), fact.at, "given up", true);
    synchronisations_.erase(open);
  } else if (synchronisations_.size() >= options_.max_open) {
    ++spans_dropped_;
    return;
  }
  SpanValue span = begin(named("sync"), fact, fact.epoch);
  span.reason = fact.reason;
  synchronisations_[fact.peer] = Open{std::move(span), 0, fact.at};
}

void Telemetry::end_synchronisations(const Fact& fact) {
  for (auto& [peer, open] : synchronisations_) finish(std::move(open.span), fact.at, "given up", true);
  synchronisations_.clear();
}

std::vector<MetricValue> Telemetry::metrics(const Replica* replica, const PeerTransportStats* transport) const {
  std::vector<MetricValue> out;
  Lines lines(out);
  lines.counter("clew_consensus_elections_total", "Elections that this member began, pre-votes included.",
                count(FactKind::kElectionStarted));
  lines.counter("clew_consensus_elections_lost_total", "Of them, lost by refusal or silence.",
                count(FactKind::kElectionLost));
  lines.counter("clew_consensus_suspicions_total",
                "Times that this member asked the others for another primary (PBFT).",
                count(FactKind::kLeaderSuspected));
  lines.counter("clew_consensus_reigns_total", "Times that this member became leader.", count(FactKind::kBecameLeader));
  lines.counter("clew_consensus_votes_total", "Votes that this member gave or refused.", count(FactKind::kVoteGranted),
                label("answer", "granted"));
  lines.counter("clew_consensus_votes_total", "Votes that this member gave or refused.", count(FactKind::kVoteRefused),
                label("answer", "refused"));
  lines.counter("clew_consensus_entries_appended_total", "Entries appended to the log.", entries_appended_);
  lines.counter("clew_consensus_entries_committed_total", "Entries known to be committed.", entries_committed_);
  lines.counter("clew_consensus_entries_applied_total", "Entries applied to the state.", entries_applied_);
  lines.counter("clew_consensus_truncations_total", "Times that a suffix of the log was overwritten.",
                count(FactKind::kTruncated));
  lines.counter("clew_consensus_membership_changes_total", "Memberships that took effect.",
                count(FactKind::kMembershipTaken));
  lines.counter("clew_consensus_reads_refused_total", "Read barriers refused.", count(FactKind::kReadRefused));
  lines.counter("clew_consensus_holes_total", "Times that damaged records left a hole in the log.",
                count(FactKind::kHoleFound));
  for (const auto& [how, times] : synchronised_by_) {
    lines.counter("clew_consensus_synchronisations_total", "Synchronisations of followers that this leader began.",
                  times, label("by", how));
  }
  for (const auto& [reason, times] : messages_refused_) {
    lines.counter("clew_consensus_messages_refused_total", "Messages of peers that were refused.", times,
                  label("reason", reason));
  }
  for (const auto& [phase, times] : decree_phases_) {
    lines.counter("clew_decree_phases_total", "Phases of ballots of single-decree Paxos that this member ended.", times,
                  label("phase", phase.first == paxos::PhaseEnd::Phase::kPrepare ? "prepare" : "accept") + "," +
                      label("result", phase.second));
  }
  for (const auto& [reason, times] : decree_refusals_) {
    lines.counter("clew_decree_refusals_total", "Ballots and frames of single-decree Paxos that were refused.", times,
                  label("reason", reason));
  }
  lines.counter("clew_consensus_spans_dropped_total", "Spans not made because too many were open.", spans_dropped_);
  lines.histogram("clew_consensus_election_seconds", "From the beginning of an election to its end.",
                  election_seconds_);
  lines.histogram("clew_consensus_commit_seconds", "From an append here to the knowledge that it is committed.",
                  commit_seconds_);
  if (replica != nullptr) {
    const Report report = replica->report();
    const ReplicaStats stats = replica->stats();
    for (uint8_t i = 0; i <= static_cast<uint8_t>(Standing::kRecovering); ++i) {
      const auto standing = static_cast<Standing>(i);
      lines.gauge("clew_consensus_standing", "1 for what this member is now.", report.standing == standing ? 1 : 0,
                  label("standing", standing_name(standing)));
    }
    lines.gauge("clew_consensus_leader", "Id of the leader that this member knows; 0: none.", number(report.leader));
    lines.gauge("clew_consensus_epoch", "Term, ballot round, epoch or view.", report.epoch);
    lines.gauge("clew_consensus_position", "Positions in the log.", report.last, label("of", "last"));
    lines.gauge("clew_consensus_position", "Positions in the log.", report.committed, label("of", "committed"));
    lines.gauge("clew_consensus_position", "Positions in the log.", replica->applied(), label("of", "applied"));
    lines.gauge("clew_consensus_position", "Positions in the log.", report.durable_position, label("of", "durable"));
    lines.gauge("clew_consensus_position", "Positions in the log.", report.snapshot.position, label("of", "snapshot"));
    lines.gauge("clew_consensus_log_bytes", "Memory that the log holds.", report.log_bytes);
    for (const Report::Peer& peer : report.peers) {
      lines.gauge("clew_consensus_peer_lag", "Entries that a peer has not acknowledged; on the leader.",
                  report.last - std::min(report.last, peer.acknowledged),
                  label("peer", std::to_string(number(peer.id))));
    }
    lines.gauge("clew_consensus_halted", "1 when this member has stopped for good.", replica->halted() ? 1 : 0);
    lines.gauge("clew_consensus_pending", "Requests of local clients without an answer.", stats.pending);
    lines.counter("clew_consensus_turns_total", "Times that the core was asked what it wants done.", stats.turns);
    lines.counter("clew_consensus_commands_total", "Commands applied.", stats.commands);
    lines.counter("clew_consensus_records_total", "Records appended to the log on disk.", stats.records);
    lines.counter("clew_consensus_record_bytes_total", "Their bytes.", stats.record_bytes);
    lines.counter("clew_consensus_syncs_total", "Writes of the log that were synced.", stats.syncs);
    lines.counter("clew_consensus_frames_without_room_total", "Frames dropped because the disk is full or behind.",
                  stats.frames_without_room);
    lines.counter("clew_consensus_stale_instances_total", "Frames of peers whose data directory is not what it was.",
                  stats.stale_instances);
    lines.counter("clew_consensus_snapshots_total", "Snapshots.", stats.snapshots_saved, label("outcome", "saved"));
    lines.counter("clew_consensus_snapshots_total", "Snapshots.", stats.snapshots_installed,
                  label("outcome", "installed"));
    lines.counter("clew_consensus_snapshots_total", "Snapshots.", stats.snapshots_failed, label("outcome", "failed"));
  }
  if (transport != nullptr) {
    lines.counter("clew_peer_frames_total", "Frames between members.", transport->frames_sent,
                  label("direction", "sent"));
    lines.counter("clew_peer_frames_total", "Frames between members.", transport->frames_received,
                  label("direction", "received"));
    lines.counter("clew_peer_bytes_total", "Bytes between members, with headers.", transport->bytes_sent,
                  label("direction", "sent"));
    lines.counter("clew_peer_bytes_total", "Bytes between members, with headers.", transport->bytes_received,
                  label("direction", "received"));
    lines.counter("clew_peer_connects_total", "Connections made to members.", transport->connects);
    lines.counter("clew_peer_connect_failures_total", "Attempts that failed.", transport->connect_failures);
    lines.counter("clew_peer_frames_dropped_total", "Frames that did not leave.", transport->dropped_unconnected,
                  label("why", "unconnected"));
    lines.counter("clew_peer_frames_dropped_total", "Frames that did not leave.", transport->dropped_full,
                  label("why", "queue_full"));
    lines.counter("clew_peer_frames_dropped_total", "Frames that did not leave.", transport->dropped_too_long,
                  label("why", "too_long"));
    for (size_t i = 0; i < kPeerRefusals; ++i) {
      lines.counter("clew_peer_refused_total", "Connections refused or given up by this member.", transport->refused[i],
                    label("reason", peer_refusal_name(static_cast<PeerRefusal>(i))));
    }
  }
  return out;
}

std::string to_prometheus(const std::vector<MetricValue>& metrics) {
  std::string text;
  std::string_view last;
  for (const MetricValue& metric : metrics) {
    const bool histogram = metric.type != MetricType::kCounter && metric.type != MetricType::kGauge;
    if (metric.name != last) {
      last = metric.name;
      const char* const type = histogram ? "histogram" : metric.type == MetricType::kCounter ? "counter" : "gauge";
      text += "# HELP " + std::string(metric.name) + " " + std::string(metric.help) + "\n# TYPE " +
              std::string(metric.name) + " " + type + "\n";
    }
    text += metric.name;
    if (metric.type == MetricType::kHistogramBucket) text += "_bucket";
    if (metric.type == MetricType::kHistogramSum) text += "_sum";
    if (metric.type == MetricType::kHistogramCount) text += "_count";
    if (!metric.labels.empty()) text += "{" + metric.labels + "}";
    char value[40];
    std::snprintf(value, sizeof value, " %.17g\n", metric.value);
    text += value;
  }
  return text;
}

}  // namespace clew::consensus
