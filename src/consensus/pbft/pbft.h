// Pbft: agreement among members of which some lie. Castro & Liskov, "Practical Byzantine Fault Tolerance" (OSDI 1999),
// cited as PBFT §n; and its long form (ACM TOCS 20(4), 2002). Behind consensus/protocol.h, whose rules for threads,
// time and effects hold. Of n voters f = (n-1)/3 may do anything; quorums of n - f (2f + 1 when n = 3f + 1) share an
// honest member (quorum.h).
//
// When not to use it: among members that trust each other; Raft needs fewer of them and fewer messages. It says nothing
// against a gateway that lies to its own clients: they ask f + 1 of them.
//
// Requests. Every member is a gateway: it signs its clients' commands and sends them to all, so that no primary can
// invent a command, and each backup knows what to wait for. What came in one turn goes together under one signature: a
// request, which is (gateway, timestamp); a table of what was executed, equal on all, makes it take effect once
// (pbft/ledger_state.h).
//
// Ordering. The primary of a view puts what waits into batches, one a sequence number n, and pre-prepares them; a small
// batch waits while another is in agreement, so that what comes meanwhile shares its signatures. Backups
// prepare one digest for (view, n); with the pre-prepare and 2f prepares of others a batch is prepared, with 2f + 1
// commits it is committed, and executed in the order of n. A Position is the number of an entry, not of a batch.
//
// Checkpoints every K sequence numbers, stable with 2f + 1 equal digests of the LedgerState; a window of 2K above the
// stable one bounds everything. The host's state is saved at checkpoints that the log itself chooses by its size, equal
// on all members (Effects::snapshot_at); f + 1 signatures of its checksum make it fit to be fetched by others, and only
// then does the log before it go.
//
// View change. A backup whose request waits too long asks for the next view, with the proof of its stable checkpoint
// and of everything that it has prepared; the new primary takes 2f + 1 of them, and whoever receives its NEW-VIEW
// checks each of them and computes its order anew. f + 1 members in later views are joined; the timeout doubles until
// something is executed.
//
// Membership. A change is ordered like a command at n and takes effect at the first checkpoint at or above n + 2K,
// above whatever may be in agreement then; nothing above is ordered before that checkpoint is stable; null requests
// fill the way. Its certificate, by the members before, leads whoever trusts them to the members after.
//
// Reads: each voter answers with how far it has executed, once everything that it had prepared is; the highest of 2f +
// 1 answers is a barrier, for a write that was answered was prepared by f + 1 honest ones. A liar who names what does
// not exist only makes the read wait, and after that it is ordered, as in the paper.
//
// Persist before you speak: requests, proposals, votes, view changes and new views go out after the record of what they
// say (records.h). Where this member stands, answers to reads, and what it hands on of others' words go at once.
//
// Signatures are checked off the core: a message waits for them (Effects::verifications), and what was once found valid
// is remembered. Retransmission rests on STATUS, sent each heartbeat: who is behind is sent again what it lacks.
//
// Damaged records: a member that lost some votes no more below the highest sequence number about which it gave its
// word; it asks for a checkpoint there, and is whole again when that is stable. Lost last records are refused.
//
// Bounds: Options. Files: pbft.cc (inputs, outputs), authenticity.cc, requests.cc, ordering.cc, execution.cc,
// checkpoints.cc, view_change.cc, catch_up.cc, reads.cc, recovery.cc, invariants.cc.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "consensus/outbox.h"
#include "consensus/pbft/invariants.h"
#include "consensus/pbft/messages.h"
#include "consensus/pbft/options.h"
#include "consensus/pbft/records.h"
#include "consensus/planted.h"
#include "consensus/protocol.h"
#include "consensus/quorum.h"
#include "consensus/read_gate.h"

namespace clew::consensus {

class Pbft final : public Protocol {
 public:
  // `options.check()` holds. `seed`: for the contexts of reads; draw another one for each start.
  Pbft(pbft::Options options, uint64_t seed);

  std::string_view name() const override { return "pbft"; }

  Status recover(LogSeq seq, std::string_view record) override;
  Status recover_gap(LogSeq first, LogSeq last) override;
  SnapshotMeta recovered_snapshot() const override { return base_.meta; }
  void start(Time now, LogSeq next, bool have_snapshot) override;

  void tick(Time now) override;
  void receive(Time now, NodeId from, std::string_view frame) override;
  void propose(Time now, ProposalId id, Payload command) override;
  void read(Time now, ReadId id, ReadBarrier barrier) override;
  void reconfigure(Time now, ProposalId id, const Membership& target) override;
  void transfer(Time now, NodeId to) override;
  void durable(Time now, LogSeq seq) override;
  // Of a state that Effects::snapshot_at asked for; of any other position it changes nothing.
  void snapshot_saved(Time now, const SnapshotMeta& meta) override;
  void snapshot_fetched(Time now, const SnapshotMeta& meta, bool ok) override;
  void connection(Time now, NodeId peer, bool up) override;
  void verified(Time now, VerifyId id, bool ok) override;

  void collect(Time now, Effects& effects) override;
  Time deadline() const override;
  Report report() const override;
  bool leader_keeps_time() const override { return false; }
  // The governing one; while a change is ordered and not in force, the members of both.
  const Membership& membership() const override { return view_members_; }
  // Its members hold the state when a view of theirs has begun; who is none of them is not told of that.
  bool in_force(const Membership& delivered) const override {
    const bool begun = active_ && new_view_ && new_view_->first > governs_from_;
    return governing_ == delivered && (begun || !governing_.votes(options_.self));
  }
  Status accepts(const Membership& membership) const override { return pbft::Options::accepts(membership); }
  std::optional<EntryId> entry_at(Position position) const override;
  Status check_invariants() const override;

  // For invariants, transcripts and tests.
  pbft::State state() const;
  const Membership& governing() const { return governing_; }  // whose votes count
  // What this member accepted and prepared for a sequence number in its log; null: nothing.
  const pbft::Slot* slot(pbft::Sequence seq) const;
  NodeId primary_of(Epoch view) const;  // among governing(); the first view is 1

 private:
  using Sequence = pbft::Sequence;
  using Digest = pbft::Digest;
  using Slot = pbft::Slot;

  // --- pbft.cc ---
  void advance_clock(Time now) { now_ = std::max(now_, now); }
  void accept(NodeId from, pbft::Message& message);
  void send(NodeId to, const pbft::Message& message, After after = After::kEverything);
  void broadcast(const pbft::Message& message, After after = After::kEverything);  // to all other members
  void refuse_message(NodeId from, std::string_view reason);
  void fact(FactKind kind, Position position = 0, NodeId peer = kNobody, uint64_t value = 0,
            std::string_view reason = {});
  void halt(std::string why);
  void deliver(Effects& effects);
  bool running() const { return started_ && !out_.halted(); }
  bool is_primary() const { return active_ && may_vote() && primary_of(view_) == options_.self; }
  bool may_vote() const { return governing_.votes(options_.self) && !abstains(); }
  // It may have forgotten what it said up to abstain_until_.
  bool abstains() const { return stable_.seq < abstain_until_ || lacks_state_; }
  size_t quorum() const {
    return planted(Bug::kAllDemanded) ? governing_.voters() : byzantine_quorum(governing_.voters());
  }
  size_t weak_quorum() const { return byzantine_weak_quorum(governing_.voters()); }
  Standing standing() const;

  // --- authenticity.cc: whose word is it ---
  struct Evidence {
    NodeId signer = kNobody;
    std::string statement;
    std::string signature;
  };
  struct Unverified {
    NodeId from = kNobody;
    pbft::Message message;
    uint64_t bytes = 0;  // of its frame
    size_t signatures = 0;
    size_t left = 0;  // of them, without a verdict
    bool bad = false;
  };
  std::string sign(pbft::Claim claim, Epoch view, Sequence seq, const Digest& digest);
  // Null: worth checking. Else why it is not; "" for what is merely late.
  const char* objection(NodeId from, const pbft::Message& message) const;
  const char* objection(const pbft::ViewChange& change) const;
  const char* objection(const pbft::NewView& message) const;
  const char* objection(const pbft::Offer& offer, NodeId from) const;
  std::vector<Evidence> evidence(NodeId from, const pbft::Message& message) const;
  void add_evidence(std::vector<Evidence>& out, pbft::Claim claim, const pbft::Certificate& certificate) const;
  void add_evidence(std::vector<Evidence>& out, const pbft::Request& request) const;
  void add_evidence(std::vector<Evidence>& out, const pbft::ViewChange& change, NodeId signer) const;
  bool sound(const pbft::Certificate& certificate, const Membership& members, size_t least) const;
  Digest key_of(const Evidence& one) const;
  void remember_valid(const Digest& key);
  void release_unverified(uint64_t number);

  // --- requests.cc: what is to be ordered ---
  struct Waiting {
    pbft::Request request;
    Time since = 0;
    Time sent = 0;
    uint32_t views = 0;    // that began since it came
    bool ordered = false;  // in a batch of this primary's
  };
  using RequestKey = std::pair<NodeId, uint64_t>;
  struct Gathered {  // commands of this turn, in the order in which they came
    std::vector<Payload> commands;
    std::vector<ProposalId> ids;  // of each of them
    uint64_t bytes = 0;
  };
  void send_gathered();
  uint64_t submit(EntryKind kind, Payload payload);  // by itself; its timestamp; 0: no room
  uint64_t sign_and_send(EntryKind kind, std::vector<Payload> commands);
  bool has_room(uint64_t bytes) const;
  void add_request(pbft::Request request);
  void forget_hopeless();
  Time oldest_waiting() const;  // kNever: nothing waits
  void forget_request(const RequestKey& key);
  void repeat_requests();
  void repeat_requests_of(NodeId gateway);
  void reserve_timestamps();
  void handle(NodeId from, pbft::RequestMessage& message);

  // --- ordering.cc: the three phases ---
  Sequence known_until() const;  // the members who decide above it are not known yet
  Sequence limit() const;        // nothing above is ordered now: H, or where the membership changes
  void order_waiting();
  void collect_unordered();
  bool fill_wanted() const;
  bool waits_for_company() const;
  void pre_prepare(const pbft::BatchPtr& batch);
  void accept_pre_prepare(Sequence seq, const Digest& digest, pbft::BatchPtr batch, pbft::Signed signature);
  void batch_here(Sequence seq, Slot& slot);
  void cast(pbft::Claim claim, Sequence seq, const Digest& digest);  // this member's own vote
  void check_prepared(Sequence seq, Slot& slot);
  void check_committed(Sequence seq, Slot& slot);
  void commit(Slot& slot, pbft::Certificate proof, pbft::BatchPtr batch);
  pbft::Certificate gather(const std::map<NodeId, pbft::VoteMessage>& votes, Epoch view, Sequence seq,
                           const Digest& digest, NodeId without, size_t at_most) const;
  bool admissible(const pbft::Request& request) const;
  void handle(NodeId from, pbft::PrePrepare& message);
  void handle(NodeId from, pbft::VoteMessage& message);

  // --- execution.cc ---
  void execute_ready();
  void execute(const pbft::Batch& batch, Sequence seq);
  void append_entry(Entry entry);
  static uint64_t charge_of(const pbft::Batch& batch);
  bool snapshot_wanted(Sequence seq) const;  // at this checkpoint, which is being executed
  void answer_own(const pbft::Request& request, Position first);
  void update_members();

  // --- checkpoints.cc ---
  struct Checkpoint {
    pbft::LedgerState state;
    Digest digest;
  };
  void take_checkpoint(Sequence seq);
  void count_checkpoint(Sequence seq);
  bool knows_signers(Sequence seq) const;
  void make_stable(pbft::Certificate proof);
  void count_snapshot(Sequence seq);
  void compact_to(pbft::Offer base);
  void handle_checkpoint(NodeId from, pbft::VoteMessage& message);
  void handle_snapshot(NodeId from, pbft::VoteMessage& message);
  void handle(NodeId from, pbft::Stable& message);

  // --- view_change.cc ---
  Time request_deadline() const;    // of the view that it is in
  Time complaint_deadline() const;  // of that, or of the one that it asks for
  std::string_view complaint() const;
  void complain();
  void hand_over(Epoch next);
  void follow_who_is_ahead();
  bool has_work() const;
  bool owes() const;
  void change_view(Epoch view, std::string_view reason);
  void end_reign(std::string_view reason);
  void count_changes();
  void join_later_views();
  void make_new_view();
  // O: the digests from the highest stable checkpoint of V on, null where nothing was prepared.
  std::pair<Sequence, std::vector<Digest>> order_of(const std::vector<pbft::ViewChange>& changes) const;
  bool adopt_stable(const std::vector<pbft::ViewChange>& changes);
  void enter_view(const pbft::NewView& message);
  void handle(NodeId from, pbft::ViewChange& message);
  void handle(NodeId from, pbft::NewView& message);
  void handle(NodeId from, pbft::Abdicate& message);

  // --- catch_up.cc ---
  struct Peer {
    pbft::StatusReport status;
    Time heard = 0;
    Sequence wanted = 0;  // the checkpoint that it asked for last
    Time wanted_at = 0;
  };
  void beat();
  bool misses_primary() const;
  bool is_alone() const;  // too few of those whom it knows are heard to decide anything
  pbft::StatusReport own_status() const;
  void help(NodeId to, const pbft::StatusReport& status, bool stands_still);
  bool may_want(Peer& peer, Sequence checkpoint);  // and notes that it did
  bool may_answer(NodeId to) const;
  void answer(NodeId to, const pbft::Message& message, After after);  // within what is left of this heartbeat
  void send_committed(NodeId to, Sequence from);
  void repeat_votes(NodeId to, Sequence from);
  void fetch_missing();
  pbft::BatchPtr find_batch(Sequence seq, const Digest& digest) const;
  void handle(NodeId from, pbft::StatusReport& message);
  void handle(NodeId from, pbft::Committed& message);
  void handle(NodeId from, pbft::FetchBatch& message);
  void handle(NodeId from, pbft::BatchFound& message);
  void handle(NodeId from, pbft::Offer& message);
  void replace_known_changes(pbft::Offer& offer) const;
  void install(pbft::Offer offer, NodeId from);
  void stop_fetching();

  // --- reads.cc ---
  struct Asked {  // by another member, and not answered yet
    NodeId from = kNobody;
    uint64_t context = 0;
    Sequence after = 0;
  };
  void start_read_round();
  void ask_round();
  void check_reads();
  void order_reads();
  void refuse_read(ReadId id, Refusal why);
  Sequence highest_prepared() const;
  void handle(NodeId from, pbft::ReadRequest& message);
  void handle(NodeId from, pbft::ReadReply& message);

  // --- recovery.cc ---
  pbft::RecordHeader header(pbft::RecordKind kind) const;
  void record_base();
  void update_release();
  LogSeq lowest_needed() const;

  const pbft::Options options_;
  Generator random_;

  // Persistent.
  Epoch view_ = 1;
  bool active_ = true;              // in view_; else asking for it
  uint64_t reserved_ = 1;           // timestamps below may be used
  pbft::Certificate stable_;        // h, and its proof; without signatures at the beginning
  Sequence top_ = 0;                // the highest about which it gave its word
  Sequence abstain_until_ = 0;      // damage may have taken what it said up to here
  std::map<Sequence, Slot> slots_;  // above base_
  std::optional<pbft::ViewChange> own_change_;
  std::optional<pbft::NewView> new_view_;  // of view_
  pbft::Offer base_;                       // where the log begins

  // What executing makes.
  Sequence executed_ = 0;
  pbft::CheckpointHeader ledger_;  // of executed_; but for clients, snapshot and changed, which a checkpoint fills in
  pbft::ClientTable clients_;
  std::deque<Entry> entries_;  // above base_.meta.position
  uint64_t log_bytes_ = 0;
  Membership governing_;
  Membership view_members_;
  Sequence governs_from_ = 0;  // the checkpoint at which governing_ took effect
  Sequence switching_at_ = 0;  // the checkpoint at which it ends, executed and not stable yet; 0: none
  std::vector<std::pair<pbft::CheckpointHeader, pbft::Certificate>> changes_of_members_;
  std::map<Sequence, LogSeq> change_records_;  // of those above base_: the records of their proofs
  bool lacks_state_ = false;                   // the snapshot was lost: nothing can be executed

  // Volatile.
  Time now_ = 0;
  std::map<Sequence, Checkpoint> checkpoints_;  // own, at and above h; those whose state is being saved below it
  std::map<Sequence, std::map<NodeId, pbft::VoteMessage>> checkpoint_votes_;
  std::map<Sequence, std::map<NodeId, pbft::VoteMessage>> snapshot_votes_;
  struct Saved {  // a snapshot that waits for f + 1
    SnapshotMeta meta;
    Digest digest;
  };
  std::map<Sequence, Saved> saved_;
  std::map<Sequence, pbft::Certificate> proofs_;  // of checkpoints: of those to be saved; while recovering, of all
  Position snapshot_due_ = 0;                     // position after which the host is to save its state; 0: none
  Position delivered_ = 0;

  std::map<RequestKey, Waiting> waiting_;       // checked, not executed
  mutable std::optional<Time> oldest_waiting_;  // since when, of those; nothing: to be looked up
  std::deque<RequestKey> unordered_;            // of them: for the primary, in the order of arrival
  std::map<NodeId, uint64_t> waiting_bytes_;
  uint64_t next_timestamp_ = 1;
  Gathered gathered_;
  std::map<uint64_t, std::vector<ProposalId>> proposed_;  // own requests by timestamp: whose commands they are
  Sequence next_sequence_ = 1;                            // of the primary
  Sequence ordered_to_ = 0;                               // accepted in this view up to here
  Sequence fill_to_ = 0;                                  // null requests up to here are worth while

  std::map<NodeId, pbft::ViewChange> changes_;  // the newest of each member
  Time change_due_ = kNever;                    // the new view should have come by then
  Time timeout_ = 0;
  Time progress_at_ = 0;
  Time active_since_ = 0;  // in view_, by this run
  bool suspects_ = false;  // its view, and tells the others
  std::optional<pbft::Abdicate> handing_over_;
  std::map<NodeId, Peer> peers_;
  std::map<NodeId, std::deque<std::string>> early_;  // frames of a view that is yet to be entered
  Time beat_due_ = kNever;
  std::map<NodeId, uint64_t> answered_;  // bytes, since the last heartbeat
  std::set<NodeId> behind_of_;           // told by their status that they can help

  // Authenticity.
  std::map<uint64_t, Unverified> unverified_;
  struct Question {
    Digest key;                      // of the evidence
    std::vector<uint64_t> messages;  // unverified ones that wait for it
  };
  std::map<VerifyId, Question> asked_;
  std::map<Digest, VerifyId> asking_;
  struct Load {
    size_t messages = 0;
    uint64_t bytes = 0;
    size_t signatures = 0;
  };
  std::map<NodeId, Load> unverified_of_;
  uint64_t next_unverified_ = 1;
  uint64_t next_verify_ = 1;
  struct DigestHash {  // members choose what they sign, so the seed is a secret
    uint64_t seed = 0;
    size_t operator()(const Digest& digest) const { return seeded_hash(digest.view(), seed); }
  };
  std::unordered_set<Digest, DigestHash> valid_;
  std::deque<Digest> valid_order_;

  // Reads.
  ReadGate gate_;
  uint64_t context_base_ = 0;
  uint64_t open_round_ = 0;  // that is being answered; 0: none
  Time round_due_ = kNever;  // the round is ordered instead when it has not ended by then
  std::map<NodeId, Sequence> answers_;
  Sequence round_members_ = 0;                  // governs_from_ when the round began
  std::map<uint64_t, uint64_t> ordered_reads_;  // timestamp of a barrier → round
  std::deque<Asked> asked_reads_;

  std::optional<pbft::Offer> fetching_;
  NodeId fetching_from_ = kNobody;
  Time fetching_since_ = 0;  // from there
  struct Distrust {          // of one whose state did not come, or was not what was signed
    Time until = 0;
    int times = 0;
  };
  std::map<NodeId, Distrust> distrusted_;

  // Disk.
  Outbox out_;
  LogSeq base_seq_ = 0;
  LogSeq change_seq_ = 0;  // of the record of own_change_ or new_view_
  LogSeq stable_seq_ = 0;
  Sequence durable_executed_ = 0;
  bool started_ = false;
  bool any_record_ = false;
  bool gap_open_ = false;
  bool gap_met_ = false;
  LogSeq gap_first_ = 0;
  uint64_t records_recovered_ = 0;

  std::map<Position, ProposalId> placed_now_;  // told when they are delivered
  // Told by facts.
  Position told_ = 0;  // committed
  bool told_leader_ = false;
  bool told_hole_ = false;

  mutable pbft::TransitionCheck transitions_;
};

}  // namespace clew::consensus
