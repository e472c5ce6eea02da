// ZAB: Junqueira, Reed & Serafini, "Zab: High-performance broadcast for primary-backup systems" (DSN 2011), cited as
// Zab §n; details of ZooKeeper's implementation and of its election after Medeiros, "ZooKeeper's atomic broadcast
// protocol" (2012). Behind consensus/protocol.h, whose rules for threads, time and effects hold.
//
// A reign: election (phase 0) proposes a leader → discovery (1): a quorum promises it an epoch and tells its histories,
// none of which may be more recent than the leader's → synchronisation (2): its history becomes that of a quorum, and
// the epoch their current one; now all of it is committed → broadcast (3). Why which election:
// docs/decisions/0012-zab.md.
//
// When not to use it: between members that do not trust each other (PBFT); with witnesses (Options::accepts).
//
// What must be durable before what. acceptedEpoch before ACK-E; the whole initial history, *then* currentEpoch, before
// the acknowledgement of NEWLEADER; a proposal before its ACK. One record a turn holds the turn's entries and the small
// state after them (zab/records.h), in one log: history and epochs cannot be durable in the wrong order.
// currentEpoch rises with every entry of a later epoch that synchronisation brings: whoever holds a transaction of an
// epoch holds that epoch's initial history before it. So accepted >= current >= epoch of the last zxid at every record.
//
// Differences from the paper, which assumes FIFO channels and a fresh process for each attempt: messages may be lost,
// repeated and reordered, so that each proposal names the zxid before it; the leader finds where two histories part
// from the ends of the follower's epochs (ACK-E), also across epochs, where ZooKeeper sends a snapshot; a leader whose
// counter is used up, or to which a member with a higher promise comes, runs discovery again with a new epoch
// without giving up its leadership.
//
// Damaged records: as in raft/raft.h, for the log is the same (raft/log.h) and each record carries both epochs: lost
// entries are a hole, kRecovering; such a member votes by what it once held, does not stand, keeps what lies behind the
// hole until the leader's history has taken its place; a lost end of the log makes it refuse to start.
//
// Bounds: Options. Files: zab.cc (inputs, outputs), election.cc, discovery.cc, synchronisation.cc, broadcast.cc,
// membership_change.cc, transfer.cc, reads.cc, snapshots.cc, recovery.cc, invariants.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
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
#include "consensus/raft/log.h"
#include "consensus/read_gate.h"
#include "consensus/zab/follower_progress.h"
#include "consensus/zab/invariants.h"
#include "consensus/zab/messages.h"
#include "consensus/zab/options.h"
#include "consensus/zab/records.h"
#include "consensus/zab/zxid.h"

namespace clew::consensus {

class Zab final : public Protocol {
 public:
  // `options.check()` holds. `seed`: for timeouts and read contexts; draw another one for each start.
  Zab(zab::Options options, uint64_t seed);

  std::string_view name() const override { return "zab"; }

  Status recover(LogSeq seq, std::string_view record) override;
  Status recover_gap(LogSeq first, LogSeq last) override;
  SnapshotMeta recovered_snapshot() const override { return snapshot_; }
  void start(Time now, LogSeq next, bool have_snapshot) override;

  void tick(Time now) override;
  void receive(Time now, NodeId from, std::string_view frame) override;
  void propose(Time now, ProposalId id, Payload command) override;
  void read(Time now, ReadId id, ReadBarrier barrier) override;
  Status accepts(const Membership& membership) const override { return zab::Options::accepts(membership); }
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
  zab::State state() const;
  const raft::Log& log() const { return log_; }
  // Of a position in [log().base(), log().last()]. O(log n).
  zab::Zxid zxid_at(Position position) const;

 private:
  enum class Phase : uint8_t { kLooking, kFollowing, kLeading };
  enum class Stage : uint8_t { kDiscovery, kSynchronisation, kBroadcast };
  enum class Origin : uint8_t { kAnybody, kLeader, kFollower };
  template <typename T>
  static constexpr Origin origin();

  // --- zab.cc ---
  void advance_clock(Time now);
  void dispatch(NodeId from, zab::Message& message);
  void send(NodeId to, const zab::Message& message, After after = After::kState);
  void fact(FactKind kind, Position position = 0, NodeId peer = kNobody, uint64_t value = 0,
            std::string_view reason = {});
  void halt(std::string why);
  void deliver(Effects& effects);
  bool leading() const { return phase_ == Phase::kLeading; }
  bool reigns() const { return leading() && stage_ == Stage::kBroadcast; }
  bool follows(NodeId leader, Epoch epoch) const;  // and promised it that epoch
  Standing standing() const;
  NodeId known_leader() const;
  zab::Point point(Position position) const { return {position, zxid_at(position)}; }
  zab::Point true_last() const;
  zab::Credentials credentials() const { return {current_, true_last().zxid}; }

  // --- election.cc ---
  struct Contact {
    Time heard = 0;
    bool hears_me = false;
    bool told = false;  // the last notification to it, at `told_at`, said that it is heard
    Time told_at = 0;
    bool voted = false;
    zab::Ballot ballot;  // in the present round, when `voted`
    Time avoided_until = 0;
  };
  Contact* contact(NodeId id);  // null: too many
  Time patience();              // drawn anew
  bool may_stand() const;
  bool active_voter() const;  // takes part in elections of its own accord
  bool avoids(NodeId id) const;
  bool eligible(const zab::Ballot& ballot) const;
  zab::Ballot own_ballot() const;
  void look(std::string_view reason, NodeId avoid = kNobody);
  void leave(std::string_view reason);
  void begin_round(uint64_t round);
  bool revise();
  void count();
  void decide();
  void follow(NodeId leader);
  void heard_leader();
  void notify(NodeId to);
  void notify_all();
  void handle(NodeId from, const zab::Notification& message);
  void settled(NodeId from, const zab::Notification& message);

  // --- discovery.cc ---
  void lead();
  void resign(std::string_view reason, bool avoid_me = false);
  void check_quorum();
  void renew_epoch(std::string_view reason);
  bool used_up() const;  // the counter of this reign
  void choose_epoch(std::string_view reason);
  void advance_reign();
  bool epochs_durable() const { return !state_dirty_ && out_.state_durable(); }
  bool has_reached(zab::Step step) const;  // a quorum, this node with it
  void join();                             // FOLLOWERINFO to the leader
  void handle(NodeId from, const zab::FollowerInfo& message);
  void handle(NodeId from, const zab::NewEpoch& message);
  bool may_have_more(NodeId from, const zab::Credentials& theirs) const;
  void handle(NodeId from, const zab::AckEpoch& message);
  bool leased_against(NodeId leader) const;

  // --- synchronisation.cc ---
  void begin_synchronisation();
  Position common_with(const zab::AckEpoch& history) const;
  void synchronise(zab::FollowerProgress& peer);
  void tell_new_leader(zab::FollowerProgress& peer);
  void establish();
  void cut_behind(Position position);
  void note_cut(Position from);
  void handle(NodeId from, const zab::Trunc& message);
  void handle(NodeId from, const zab::NewLeader& message);
  void handle(NodeId from, const zab::UpToDate& message);
  void acknowledged_history(zab::FollowerProgress& peer);

  // --- broadcast.cc ---
  zab::FollowerProgress* peer(NodeId id);
  const zab::FollowerProgress* peer(NodeId id) const;
  Position held_by(NodeId id) const;
  void append_own(EntryKind kind, Payload payload);
  void replicate();
  void replicate_to(zab::FollowerProgress& peer);
  void send_entries(zab::FollowerProgress& peer, Position limit);
  void ping(zab::FollowerProgress& peer, bool wants_reply);
  void beat();
  void advance_commit();
  void commit_to(Position position);
  void sync_peers();  // peers_ follow the electorate
  void learn_commit(Position commit);
  bool possible(const zab::Propose& message) const;
  void handle(NodeId from, zab::Propose& message);
  void handle(NodeId from, const zab::Ack& message);
  void handle(NodeId from, const zab::Commit& message);
  void handle(NodeId from, const zab::Ping& message);
  void handle(NodeId from, const zab::Pong& message);

  // --- membership_change.cc ---
  void membership_appended(Position position, const Payload& payload);
  void take_memberships(Position from);
  void update_electorate();
  void after_commit(Position before);
  bool change_pending() const { return configs_.newest().position > commit_; }

  // --- transfer.cc ---
  void advance_transfer();
  void abort_transfer(std::string_view reason);
  void hand_over(NodeId to);
  NodeId fittest() const;
  void handle(NodeId from, const zab::Handover& message);

  // --- reads.cc ---
  Time lease_until() const;
  void admit_read(ReadGate::Waiting read);
  void confirm_reads();
  void answer_read(const ReadGate::Waiting& read);
  void refuse_read(ReadId id, Refusal why);
  void refuse_forwarded_reads();
  void drop_leader_reads();
  void start_read_round();
  void forward_reads();
  void handle(NodeId from, const zab::SyncRequest& message);
  void handle(NodeId from, const zab::SyncReply& message);

  // --- snapshots.cc ---
  void offer_snapshot(zab::FollowerProgress& peer);
  void handle(NodeId from, const zab::Snap& message);
  void install(const SnapshotMeta& meta, uint64_t counter, NodeId from);
  void compact();
  void stop_fetching();

  // --- recovery.cc ---
  zab::RecordHeader header(zab::RecordKind kind) const;
  void flush();  // the turn's entries, or the epochs when they changed, become a record
  LogSeq record_base();
  void update_release();

  const zab::Options options_;
  Generator random_;

  // Persistent (Zab §4): in every record.
  Epoch accepted_ = 0;             // acceptedEpoch, f.p
  NodeId promised_to_ = kNobody;   // who leads it
  Epoch current_ = 0;              // currentEpoch, f.a
  raft::Log log_;                  // history
  uint64_t base_counter_ = 0;      // of the transaction at log_.base()
  zab::Point lost_last_;           // with a hole: what was once last
  SnapshotMeta snapshot_;          // newest; the log may begin before it (Options::keep_tail_bytes)
  uint64_t snapshot_counter_ = 0;  // of the transaction at snapshot_.position
  ConfigTimeline configs_;         // memberships in the history
  Membership electorate_;          // who counts: joint while the newest membership is not committed

  // Volatile.
  Time now_ = 0;
  Phase phase_ = Phase::kLooking;
  Stage stage_ = Stage::kDiscovery;
  NodeId leader_ = kNobody;  // whom this node follows, or itself
  Position commit_ = 0;
  Position delivered_ = 0;
  uint64_t uncommitted_bytes_ = 0;
  Time leased_until_ = 0;  // until then no promise to anybody but leased_to_
  NodeId leased_to_ = kNobody;
  struct Placed {
    Position position;
    ProposalId id;
  };
  std::deque<Placed> placed_;    // own, not committed yet
  std::optional<Position> ack_;  // to leader_, at the end of the turn

  // Election.
  uint64_t round_ = 0;
  zab::Ballot ballot_;     // this node's
  bool favoured_ = false;  // the leader handed over to it
  std::map<NodeId, Contact> contacts_;
  Time notify_due_ = kNever;
  Time look_deadline_ = kNever;
  Time settle_due_ = kNever;
  NodeId settling_for_ = kNobody;

  // Follower.
  Time patience_until_ = kNever;
  Time join_due_ = kNever;
  Position synchronised_ = 0;  // up to there it took the leader's history under accepted_, and said so

  // Leader.
  std::vector<zab::FollowerProgress> peers_;
  Epoch reign_ = 0;          // the epoch of this reign; 0: not chosen yet
  bool renews_ = false;      // it led before, in the epoch before this one
  zab::Point reign_start_;   // the end of its initial history
  Time established_at_ = 0;  // pings sent after it ask for a lease
  Time heartbeat_due_ = kNever;
  Time quorum_check_due_ = kNever;
  Time establish_until_ = kNever;
  struct Transfer {
    NodeId to;
    Time deadline;
  };
  std::optional<Transfer> transfer_;

  // Reads.
  ReadGate gate_;           // leader
  uint64_t own_round_ = 0;  // newest round of this reign
  ForwardedReads forwarded_;

  // Snapshots.
  struct Fetching {
    FetchSnapshot fetch;
    uint64_t counter;
  };
  std::optional<Fetching> fetching_;

  // Disk.
  Outbox out_;
  bool state_dirty_ = false;
  LogSeq base_seq_ = 0;  // 0: nothing to release yet
  bool started_ = false;

  // Recovery.
  bool any_record_ = false;
  bool gap_open_ = false;
  LogSeq gap_first_ = 0;
  uint64_t records_recovered_ = 0;

  // Told by facts.
  uint64_t appended_now_ = 0;
  Position commit_told_ = 0;

  mutable zab::TransitionCheck transitions_;
};

}  // namespace clew::consensus
