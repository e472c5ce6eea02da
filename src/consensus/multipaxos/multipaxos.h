// MultiPaxos: a sequence of Paxos instances, one a slot, under one leader. Lamport, "Paxos Made Simple" (2001), cited
// as PMS §n; van Renesse & Altinbuken, "Paxos Made Moderately Complex" (2015), PMMC §n; Chandra, Griesemer & Redstone,
// "Paxos Made Live" (2007), PML §n. Behind consensus/protocol.h, whose rules for threads, time and effects hold.
//
// When not to use it: between members that do not trust each other (PBFT), or for data that may diverge.
//
// How it differs from Raft, to which it delivers the same: any voter may lead, however little it knows; it *learns* in
// phase 1 what may have been chosen, from the first slot that it does not know as chosen on, for all slots at once
// (PMS §3), proposes in each the value of the highest ballot that it was told of, no-ops in the gaps, and new values
// only above. Acceptors take slots in any order; there is no comparison of logs. A value is chosen when a quorum
// accepted it under one ballot; it is told by a watermark, as acknowledgements are cumulative over slots.
//
// What must be durable before what. A promise before it is told, an accepted value (with the promise that it implies,
// in the same record) before it is acknowledged, the own promise before a prepare asks for others'. Nothing else waits.
//
// Leadership. A proposer asks first whether it would be heard (a prepare that raises nothing: duels are the curse of
// Paxos, PMMC §3), acceptors that hear a leader promise nothing to others, timeouts are drawn anew each time, and a
// leader that hears no quorum steps down. A lease is counted from the sending of the heartbeat and compared with the
// clock at the moment of each read (PML §5.2): a pause of this process only makes it end sooner.
//
// Memberships: a stop-sign (docs/decisions/0011). An entry kMembership in slot s ends its configuration: nothing is
// proposed above s before s is chosen; then a phase 1 with the new members opens the slots above. s is called chosen
// only when a majority of the new members holds everything up to it as well, and is delivered by the leader only when a
// majority of them knows that it is chosen: whoever is removed may be switched off then.
//
// Witnesses (Role::kWitness) vote and hold ballots, kinds and memberships, no commands. They are given a slot only when
// Options::min_data_copies members hold its value durably. A proposer that is told of a vote of the highest ballot by a
// witness alone cannot go on before it finds a member that has the value, unless those who answered leave no quorum
// that could have chosen it (phase_one.cc, lacks_value).
//
// Damaged records (multipaxos/records.h): each carries promise, watermark and the highest slot that was voted in, so
// that a gap followed by an intact record costs votes only. An acceptor that lost votes (Standing::kRecovering) does
// not lead, and makes no promise until everything up to the highest slot that it may have forgotten a vote in is chosen
// as far as it knows; to a proposer that does not know that yet it is as if those slots were compacted. It accepts
// meanwhile, which needs no memory (PML §5.1). Lost last records, of which nobody knows how far they went, are
// refused at the start.
//
// Bounds: Options. Files: multipaxos.cc (inputs, outputs), election.cc and phase_one.cc (proposer), acceptor.cc,
// phase_two.cc (leader), membership_change.cc, reads.cc, snapshots.cc, recovery.cc, invariants.cc.
#pragma once

#include <algorithm>
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
#include "consensus/in_flight.h"
#include "consensus/multipaxos/ballot.h"
#include "consensus/multipaxos/invariants.h"
#include "consensus/multipaxos/messages.h"
#include "consensus/multipaxos/options.h"
#include "consensus/multipaxos/records.h"
#include "consensus/multipaxos/slots.h"
#include "consensus/outbox.h"
#include "consensus/protocol.h"
#include "consensus/quorum.h"
#include "consensus/read_gate.h"

namespace clew::consensus {

class MultiPaxos final : public Protocol {
 public:
  // `options.check()` holds. `seed`: for election timeouts and read contexts; draw another one for each start.
  MultiPaxos(multipaxos::Options options, uint64_t seed);

  std::string_view name() const override { return "multipaxos"; }

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
  // The chosen one; while a change waits to be chosen, the members of both.
  const Membership& membership() const override { return view_; }
  std::optional<EntryId> entry_at(Position position) const override;
  Status check_invariants() const override;

  // For invariants, transcripts and tests.
  multipaxos::State state() const;
  const multipaxos::Slots& slots() const { return slots_; }
  const Membership& governing() const { return configs_.newest().membership; }  // whose votes count

 private:
  enum class Phase : uint8_t { kFollower, kAsking, kPreparing, kLeader };

  // --- multipaxos.cc ---
  const Membership& electorate() const;  // whose votes count: governing()
  void advance_clock(Time now);
  void dispatch(NodeId from, multipaxos::Message& message);
  void send(NodeId to, const multipaxos::Message& message, After after = After::kState);
  void fact(FactKind kind, Position position = 0, NodeId peer = kNobody, uint64_t value = 0,
            std::string_view reason = {});
  void halt(std::string why);
  void deliver(Effects& effects);
  Position deliverable() const;
  bool leading() const { return phase_ == Phase::kLeader; }
  bool recovering() const { return commit_ < lost_to_; }
  // What it forgot may be more than what is chosen: a promise would say that there was nothing.
  bool abstains() const { return lost_to_ > std::max(commit_, chosen_to_); }
  // Chosen up to here, and cannot be told.
  Position floor() const { return recovering() ? std::max(lost_to_, slots_.base()) : slots_.base(); }
  bool is_witness() const;
  bool is_witness(NodeId id) const;
  Standing standing() const;

  // --- election.cc: who proposes ---
  void reset_election_timer();
  // No proposer any more; follows `leader`, or nobody.
  void become_follower(NodeId leader, std::string_view reason = {});
  void follow(NodeId leader);  // its message came: it lives
  void resign(std::string_view reason) { become_follower(kNobody, reason); }
  bool may_campaign() const;
  // `reign`: of the leader that wished it; none.
  void campaign(bool pre, const multipaxos::Ballot& reign);
  void become_leader();
  void check_quorum();
  void advance_transfer();
  void abort_transfer(std::string_view reason);
  NodeId fittest() const;
  void handle(NodeId from, const multipaxos::Refused& message);
  void handle(NodeId from, const multipaxos::TimeoutNow& message);

  // --- phase_one.cc: the proposer ---
  struct Answer {
    NodeId from = kNobody;
    bool refused = false;
    bool complete = false;
    Position next = 0;  // first slot of the page that is awaited
    Position commit = 0;
  };
  // What was told of one slot: votes that are newer than the own one.
  struct Found {
    std::optional<multipaxos::Acceptance> vote;  // the newest one with its commands
    bool chosen = false;                         // it is known to be
    // Of witnesses, which know no commands: place in answers_, and ballot.
    std::vector<std::pair<size_t, multipaxos::Ballot>> bare;
  };
  void forget_answers();
  void start_phase_one();
  void ask(const Answer& answer);
  void count_answers();
  Answer* answer_of(NodeId from);
  void merge(const Answer& from, const multipaxos::Promise& promise);
  bool lacks_value(Position position, const Found& found) const;
  bool values_known() const;
  bool knows_chosen(Position floor, const multipaxos::Ballot& ballot) const;
  bool learns_that_others_govern();
  void learn_of(NodeId other);
  void finish_phase_one();
  void handle(NodeId from, const multipaxos::Promise& message);

  // --- acceptor.cc ---
  Position upto() const;  // chosen and known, or accepted under the promised ballot, without a gap
  void raise_promise(const multipaxos::Ballot& ballot);
  void accept_here(Position position, multipaxos::Acceptance vote);
  void extend_verified();
  // Until when a lease may rest on this node, whose leader has not given it up by wishing for another one.
  Time leased_against(const multipaxos::Ballot& reign) const;
  bool withholds(const multipaxos::Prepare& request) const;
  void acknowledge() { ack_ = true; }  // to leader_, at the end of the turn
  void send_acknowledgement();
  LogSeq needed_for(Position position) const;  // the record that has to be durable first; 0: it is
  void refuse(NodeId from, const multipaxos::Ballot& asked, bool pre);
  multipaxos::Promise promise_page(const multipaxos::Prepare& request) const;
  bool takes(bool without_commands) const;
  void handle(NodeId from, const multipaxos::Prepare& message);
  void handle(NodeId from, multipaxos::Accept& message);
  void handle(NodeId from, const multipaxos::Heartbeat& message);

  // --- phase_two.cc: the leader ---
  struct Peer {
    NodeId id = kNobody;
    bool known = false;      // `match` was told by it; nothing is sent before
    Position match = 0;      // accepted durably, without a gap
    Position commit = 0;     // known by it as chosen, durably when it says who governs
    Position next = 1;       // first slot to send
    Position beyond = 0;     // the first that it has behind a gap; 0: none
    Position refill_to = 0;  // a gap that is being filled goes up to here
    bool snapshot = false;   // what it needs is compacted: it was offered a snapshot
    Position offered = 0;    // the one that it may be fetching, from which the slots go on (catch_up.h)
    InFlightWindow window{WindowLimits{}};
    Position commit_sent = 0;
    Position match_at_check = 0;
    Time checked = 0;
    Time heard = 0;
    uint64_t round = 0;  // newest read round confirmed
    uint64_t stamp = 0;  // newest heartbeat answered: its sending time
  };
  Peer* peer(NodeId id);
  const Peer* peer(NodeId id) const;
  Position held_by(NodeId id) const;
  Position data_safe(const Membership& among) const;
  void sync_peers();
  void append_own(EntryKind kind, Payload payload);
  void place(ProposalId id, EntryKind kind, Payload payload);
  void replicate();
  void replicate_to(Peer& peer);
  Position send_values(Peer& peer, Position first, Position limit);  // the last one that went
  void send_heartbeat(Peer& peer, bool wants_reply);
  Position held_by_the_living() const;
  void broadcast_heartbeat();
  void beat();
  void go_back(Peer& peer, Position to);
  void advance_commit();
  void commit_to(Position position);
  void after_commit();
  void handle(NodeId from, const multipaxos::Accepted& message);
  void handle(NodeId from, const multipaxos::HeartbeatReply& message);

  // --- membership_change.cc ---
  bool change_pending() const { return pending_.has_value(); }
  void note_pending(Position position, const multipaxos::Acceptance& vote);
  void membership_chosen(Position position, const Payload& payload);
  void update_view();
  bool other_voters(const Membership& members) const;
  void count_told();
  void told();
  void tell_removed();
  void leave_if_removed();

  // --- reads.cc ---
  bool sure_of_reign() const;
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
  void handle(NodeId from, const multipaxos::ReadRequest& message);
  void handle(NodeId from, const multipaxos::ReadReply& message);

  // --- snapshots.cc ---
  void offer_snapshot(NodeId to, bool without_commands);
  void offer_snapshot(Peer& peer);
  void handle(NodeId from, const multipaxos::SnapshotOffer& message);
  void install(const SnapshotMeta& meta, NodeId from);
  void compact();
  void compact_witness();
  void stop_fetching();

  // --- recovery.cc ---
  LogSeq push_record(std::string record);
  multipaxos::RecordHeader header(multipaxos::RecordKind kind) const;
  void flush();
  LogSeq record_base(const SnapshotMeta& meta);
  void update_release();

  const multipaxos::Options options_;
  Generator random_;

  // Persistent: in every record.
  multipaxos::Ballot promise_;  // of a proposer that asks or leads: its own ballot
  uint64_t incarnation_ = 0;
  Position commit_ = 0;              // chosen, with its values, up to here
  multipaxos::Ballot floor_ballot_;  // of a witness: promised when it compacted
  Position safe_ = 0;                // what a witness may compact
  Position lost_to_ = 0;             // votes up to here may be forgotten
  Position chosen_to_ = 0;           // recovered: chosen up to here, though damage may have taken values
  multipaxos::Slots slots_;
  SnapshotMeta snapshot_;   // newest; the slots may begin before it (Options::keep_tail_bytes)
  ConfigTimeline configs_;  // chosen memberships; each governs the slots above its own
  bool snapshot_metadata_only_ = false;
  // It holds values without commands: a witness, also one that has yet to learn so.
  bool metadata_only_ = false;

  // Volatile.
  Time now_ = 0;
  Phase phase_ = Phase::kFollower;
  NodeId leader_ = kNobody;
  Position verified_ = 0;  // accepted under promise_ from commit_ on, without a gap
  Position delivered_ = 0;
  uint64_t seen_round_ = 0;  // the highest that anybody spoke of
  uint64_t uncommitted_bytes_ = 0;
  struct Pending {
    Position position;
    Membership target;
  };
  std::optional<Pending> pending_;  // a membership accepted above commit_
  Membership view_;
  Time election_deadline_ = kNever;
  Time withheld_until_ = 0;       // promises, because the leader was heard
  Time leased_until_ = 0;         // promises, because a leader's lease may rest on it
  multipaxos::Ballot leased_by_;  // the newest reign that asked for that; none: of before the start
  Time older_lease_until_ = 0;    // of reigns before that one
  struct Placed {
    Position position;
    ProposalId id;
    multipaxos::Ballot ballot;
    Payload value;
  };
  std::deque<Placed> placed_;  // own, nothing chosen there yet

  // Proposer.
  multipaxos::Ballot asked_;      // that is asked about, before it is taken
  multipaxos::Ballot wished_by_;  // the reign whose leader asked for this campaign
  Position prepare_from_ = 0;
  std::vector<Answer> answers_;
  std::map<Position, Found> found_;
  uint64_t found_bytes_ = 0;

  // Leader.
  bool settled_ = false;        // phase 1 with the governing membership is done
  bool stopped_short_ = false;  // by a stop-sign, above which phase 1 told of votes
  Position last_ = 0;           // the highest slot proposed in this reign
  Position reign_start_ = 0;    // everything that may have been chosen before stands up to here
  std::vector<Peer> peers_;
  Time heartbeat_due_ = kNever;
  Time quorum_check_due_ = kNever;
  bool lease_forfeited_ = false;  // TimeoutNow went out
  struct Transfer {
    NodeId to;
    Time deadline;
    bool sent = false;
  };
  std::optional<Transfer> transfer_;
  ReadGate gate_;
  uint64_t own_round_ = 0;
  std::deque<ReadGate::Waiting> deferred_reads_;

  // Follower.
  bool ack_ = false;
  Position untold_ = 0;          // newest stop-sign of which no majority behind it is known to know as chosen; 0: none
  Position known_at_start_ = 0;  // as chosen
  bool told_lost_ = false;       // the leader thinks that this node has more than it does
  ForwardedReads forwarded_;
  std::optional<FetchSnapshot> fetching_;
  Time fetch_first_until_ = 0;  // of members that this node does not know: no campaign before

  // Disk.
  Outbox out_;
  LogSeq votes_seq_ = 0;  // the newest record that holds votes or a base
  struct Write {
    LogSeq seq;
    Position upto;
  };
  std::deque<Write> writes_;  // on their way: once `seq` is durable, everything up to `upto` is
  Position durable_position_ = 0;
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

  mutable multipaxos::TransitionCheck transitions_;
};

}  // namespace clew::consensus
