// Raft: Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version, 2014), cited as
// Raft §n, with the extensions of Ongaro's thesis "Consensus: Bridging Theory and Practice" (2014), cited as thesis §n:
// pre-vote, check-quorum, leadership transfer, joint consensus, learners, ReadIndex, leases, pipelining, and the
// leader's disk in parallel with the network. Behind consensus/protocol.h, whose rules for threads, time and effects
// hold.
//
// When not to use it: between members that do not trust each other (PBFT), or for data that may diverge.
//
// What must be durable before what. One record a turn holds the turn's entries with term and vote; every frame waits
// for the record of its term; an acknowledgement for the record of its entries; a request for votes for everything
// before it, so that a candidate that crashes cannot collect votes for a log it no longer has. Read-only answers wait
// for nothing else.
//
// Witnesses (Role::kWitness) vote and hold epochs, kinds and memberships, no commands. They deliver nothing, never lead
// and are never a source of data. Loss tolerance: an entry is on a quorum, of which witnesses may be a part, and on at
// least Options::min_data_copies members with data (capped by how many there are). With 2 data members, a witness and
// the default of 1, the group stays writable while one data member is down, and a commit made then survives any crash,
// but not the loss of the one disk that has it. A witness is given an entry only after that many data members hold it
// durably: its log is never ahead of all data, which would leave nobody electable.
//
// Damaged records. Each record carries term, vote, commit and the true end of the log (raft/records.h), so that a gap
// followed by an intact record costs entries only:
//
//   lost in the gap                      | what this node does
//   -------------------------------------|------------------------------------------------------------------------
//   entries, no truncation (generation   | a hole: kRecovering. Keeps what stands behind it (it was acknowledged),
//   of the next record agrees)           | votes by its true last entry, does not campaign, delivers up to the hole,
//                                        | is refilled by the leader as if its log were short
//   entries and a truncation (generation | as above; what stands above the commit known before the gap may be void
//   differs)                             | and counts as lost too
//   term or vote                         | nothing is lost: the next record has them
//   the record of a snapshot             | keeps the base before it; what is missing is a hole
//   the snapshot's file                  | empty state; everything up to it is a hole, and a record says so: what comes
//                                        | in its place is not void to the next start
//   a hole that was being filled         | a hole again
//   the last records, extent unknown     | refuses to start (halts): a vote or acknowledgement may be gone
//   records that contradict each other   | refuses to start: kDataLoss
//   everything in a group of one         | stays kRecovering: nobody has the entries
//
// Bounds: Options. Files: raft.cc (inputs, outputs), election.cc, transfer.cc, replication.cc (leader), follower.cc,
// membership_change.cc, reads.cc, snapshots.cc, recovery.cc, invariants.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "consensus/config_timeline.h"
#include "consensus/forwarded_reads.h"
#include "consensus/outbox.h"
#include "consensus/protocol.h"
#include "consensus/quorum.h"
#include "consensus/raft/invariants.h"
#include "consensus/raft/log.h"
#include "consensus/raft/messages.h"
#include "consensus/raft/options.h"
#include "consensus/raft/progress.h"
#include "consensus/raft/records.h"
#include "consensus/read_gate.h"

namespace clew::consensus {

class Raft final : public Protocol {
 public:
  // `options.check()` holds. `seed`: for election timeouts and read contexts; draw another one for each start.
  Raft(raft::Options options, uint64_t seed);

  std::string_view name() const override { return "raft"; }

  Status recover(LogSeq seq, std::string_view record) override;
  Status recover_gap(LogSeq first, LogSeq last) override;
  SnapshotMeta recovered_snapshot() const override;
  void start(Time now, LogSeq next, bool have_snapshot) override;

  void tick(Time now) override;
  void receive(Time now, NodeId from, std::string_view frame) override;
  void propose(Time now, ProposalId id, Payload command) override;
  void read(Time now, ReadId id, ReadBarrier barrier) override;
  void reconfigure(Time now, ProposalId id, const Membership& target) override;
  void transfer(Time now, NodeId to) override;
  void durable(Time now, LogSeq seq) override;
  void snapshot_saved(Time now, const SnapshotMeta& meta) override;
  void snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) override;
  void connection(Time now, NodeId peer, bool up) override;
  void verified(Time now, VerifyId id, bool ok) override;

  void collect(Time now, Effects& effects) override;
  Time deadline() const override;
  Report report() const override;
  const Membership& membership() const override { return configs_.newest().membership; }
  std::optional<EntryId> entry_at(Position position) const override;
  Status check_invariants() const override;

  // For invariants, transcripts and tests.
  raft::State state() const;
  const raft::Log& log() const { return log_; }

 private:
  enum class Phase : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

  // --- raft.cc ---
  const Membership& electorate() const;  // who counts: the newest membership in the log
  void advance_clock(Time now);
  void dispatch(NodeId from, raft::Message& message);
  void handle_stale(NodeId from, const raft::Message& message);
  void send(NodeId to, const raft::Message& message, After after = After::kState);
  void fact(FactKind kind, Position position = 0, NodeId peer = kNobody, uint64_t value = 0,
            std::string_view reason = {});
  void halt(std::string why);
  void deliver(Effects& effects);
  bool leading() const { return phase_ == Phase::kLeader; }
  bool is_witness() const;
  Standing standing() const;

  // --- election.cc ---
  void reset_election_timer();
  void become_follower(Epoch term, NodeId leader, std::string_view reason = {});
  void follow(NodeId leader);  // its message came: it lives
  bool may_campaign() const;
  void campaign(bool pre, bool transfer);
  void become_leader();
  void count_votes();
  void handle(NodeId from, const raft::VoteRequest& message);
  void handle(NodeId from, const raft::VoteReply& message);
  bool withholds_vote(const raft::VoteRequest& message) const;
  bool log_up_to_date(Position last, Epoch last_epoch) const;
  void check_quorum();
  void resign(std::string_view reason);

  // --- transfer.cc ---
  void advance_transfer();
  void abort_transfer(std::string_view reason);
  NodeId fittest() const;
  void handle(NodeId from, const raft::TimeoutNow& message);

  // --- replication.cc: the leader ---
  raft::Progress* progress(NodeId id);
  const raft::Progress* progress(NodeId id) const;
  Position held_by(NodeId id) const;  // durable match; of this node too
  Position data_safe() const;         // that min_data_copies members with data hold
  void append_own(EntryKind kind, Payload payload);
  void replicate();
  void replicate_to(raft::Progress& peer);
  void send_entries(raft::Progress& peer, Position limit);
  void send_heartbeat(raft::Progress& peer, bool wants_reply);
  void broadcast_heartbeat();
  void beat();  // what is due every heartbeat
  void advance_commit();
  void commit_to(Position position);
  void sync_peers(Position next);  // peers_ follow the membership; newcomers are probed from `next` on
  bool is_witness(NodeId id) const;
  void handle(NodeId from, const raft::AppendReply& message);
  void handle(NodeId from, const raft::HeartbeatReply& message);

  // --- follower.cc ---
  void handle(NodeId from, raft::AppendRequest& message);
  void handle(NodeId from, const raft::Heartbeat& message);
  void reject(NodeId from, const raft::AppendRequest& message);
  void note_cut(Position from);
  void take_memberships(Position from);
  void acknowledge(Position match);  // to leader_, at the end of the turn
  bool takes(bool without_commands) const;

  // --- membership_change.cc ---
  void membership_appended(Position position, const Payload& payload);
  void after_commit();
  bool change_pending() const;

  // --- reads.cc ---
  bool own_term_committed() const;
  Time lease_until() const;
  void admit_read(ReadGate::Waiting read);
  void release_deferred_reads();
  void confirm_reads();
  void answer_read(const ReadGate::Waiting& read);
  void refuse_read(ReadId id, Refusal why);
  void refuse_forwarded_reads();
  void drop_leader_reads();
  void start_read_round();
  void forward_reads();
  void handle(NodeId from, const raft::ReadRequest& message);
  void handle(NodeId from, const raft::ReadReply& message);

  // --- snapshots.cc ---
  void offer_snapshot(raft::Progress& peer);
  void handle(NodeId from, const raft::SnapshotOffer& message);
  void install(const SnapshotMeta& meta, NodeId from);
  void compact();
  void compact_witness();
  void stop_fetching();

  // --- recovery.cc ---
  raft::RecordHeader header(raft::RecordKind kind) const;
  void flush();  // the turn's entries, or term and vote when they changed, become a record
  LogSeq record_base(const SnapshotMeta& meta);
  void update_release();

  const raft::Options options_;
  Generator random_;

  // Persistent (Raft, Figure 2): in every record.
  Epoch term_ = 0;
  NodeId vote_ = kNobody;
  raft::Log log_;
  SnapshotMeta snapshot_;       // newest; the log may begin before it (Options::keep_tail_bytes)
  ConfigTimeline configs_;      // takes effect at append (Raft §6)
  bool metadata_only_ = false;  // holds entries without commands
  bool snapshot_metadata_only_ = false;

  // Volatile.
  Time now_ = 0;
  Phase phase_ = Phase::kFollower;
  NodeId leader_ = kNobody;
  Position commit_ = 0;
  Position delivered_ = 0;
  uint64_t uncommitted_bytes_ = 0;
  Time election_deadline_ = kNever;
  Time election_timeout_ = 0;
  Time withheld_until_ = 0;   // votes, because the leader was heard
  Time leased_until_ = 0;     // votes, because a leader's lease may rest on it: a broken connection does not lift it
  bool transferred_ = false;  // this campaign was asked for by the leader
  struct Ballot {
    NodeId voter;
    Vote vote;
  };
  std::vector<Ballot> ballots_;
  struct Placed {
    Position position;
    ProposalId id;
  };
  std::deque<Placed> placed_;  // own, not committed yet

  // Leader.
  std::vector<raft::Progress> peers_;
  Position reign_start_ = 0;  // the no-op of this term
  Time heartbeat_due_ = kNever;
  Time quorum_check_due_ = kNever;
  bool lease_forfeited_ = false;  // TimeoutNow went out: votes are not withheld for this reign any more
  struct Transfer {
    NodeId to;
    Time deadline;
    bool sent = false;
  };
  std::optional<Transfer> transfer_;
  ReadGate gate_;
  uint64_t own_round_ = 0;
  std::deque<ReadGate::Waiting> deferred_reads_;  // until an entry of this term is committed

  // Follower.
  std::optional<Position> ack_;  // to leader_, at the end of the turn
  ForwardedReads forwarded_;
  std::optional<FetchSnapshot> fetching_;

  // Disk.
  Outbox out_;
  bool state_dirty_ = false;
  LogSeq base_seq_ = 0;  // 0: nothing to release yet
  bool started_ = false;

  // Recovery.
  bool any_record_ = false;
  bool gap_open_ = false;
  LogSeq gap_first_ = 0;
  uint64_t lost_records_ = 0;
  uint64_t records_recovered_ = 0;

  // Told by facts.
  uint64_t appended_now_ = 0;
  Position commit_told_ = 0;

  mutable raft::TransitionCheck transitions_;
};

}  // namespace clew::consensus
