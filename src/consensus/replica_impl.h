// The parts of Replica behind its interface: for replica*.cc only. See replica.h for what it does.
//
// Invariants:
//  1. The log holds this protocol's records and nothing else, one byte of kind in front, so that the core's LogSeq and
//     the log's record numbers are the same numbers.
//  2. A frame leaves, a snapshot is installed and old log is let go of only when the log is durable up to the record
//     that the effect names (`after`), or that was the newest when it was asked for.
//  3. Entries are applied in order; while a snapshot is being installed they wait.
//  4. Nothing is admitted that the log has no room for: each input that can lead to records reserves first, together
//     with everything fed since the last collect(). What finds no room waits for it, within bounds, unless the disk is
//     full.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consensus/group_time.h"
#include "consensus/replica.h"
#include "consensus/replica_applier.h"
#include "consensus/replica_directory.h"
#include "consensus/replica_requests.h"
#include "consensus/snapshot_exchange.h"

namespace clew::consensus {

class ReplicaImpl final : public Replica {
 public:
  ReplicaImpl(Ports ports, ReplicaOptions options, ReplicaDirectory directory, std::unique_ptr<Protocol> core,
              UniqueFunction<void(Status)> on_halt);
  ~ReplicaImpl() override;
  Status recover();  // blocking, once, before anything else

  void open_session(Answer<SessionId> done) override;
  void close_session(SessionId session) override;
  void submit(Command command, Answer<Reply> done) override;
  void query(Query query, Answer<Reply> done) override;
  void reconfigure(const Membership& target, Answer<Position> done) override;
  void transfer(NodeId to) override;
  void take_snapshot() override;
  void send_aside(NodeId to, std::string frame) override;
  void hear_aside(UniqueFunction<void(NodeId, std::string_view)> handler) override { aside_ = std::move(handler); }

  Report report() const override { return core_->report(); }
  const Protocol& protocol() const override { return *core_; }
  Position applied() const override { return applier_.position(); }
  Hash128 digest() const override { return applier_.digest(); }
  Time full_since() const override { return full_since_; }
  int64_t time_ns() const override {
    return core_->leader_keeps_time() ? time_.now_ns() : time_.followed_ns(options_.most_ahead_ns);
  }
  Instance instance() const override { return directory_.identity().instance; }
  bool halted() const override { return halted_; }
  ReplicaStats stats() const override;
  const wal::ReplayReport& recovery() const override { return recovery_; }

 private:
  using Guard = std::weak_ptr<char>;
  // A command or a frame that came while space in the log was being made, or a slow disk was behind.
  struct Waiting {
    CommandHeader header;
    uint64_t id = 0;        // of the command's request
    NodeId from = kNobody;  // of a frame; nobody: a command
    std::string bytes;
  };
  Time now() const { return ports_.loop.clock().mono_ns(); }
  bool running() const { return started_ && !halted_; }

  // --- Start (replica.cc) ---
  Status recover_log();
  Status recover_state();
  void begin();

  // --- Requests (replica.cc) ---
  // Refuses at once when it cannot be taken: then false, and `done` was told so.
  template <typename T>
  bool may_ask(Answer<T>& done);
  template <typename T>
  void refuse(Answer<T> done, RequestError error);
  uint64_t remember(Request request);
  void propose(CommandHeader header, uint64_t id, std::string body);
  void feed(CommandHeader header, uint64_t id, std::string_view body);
  void fail(uint64_t id, RequestError error);
  void fail_refused(uint64_t id, Refusal why, NodeId leader);
  void answer_read(uint64_t id);
  void serve_waiting_reads();
  void arm_request_timer();
  void on_request_timer();

  // --- Frames (replica_turn.cc) ---
  void on_frame(NodeId from, Instance instance, std::string_view frame);
  bool admits(NodeId peer, Instance instance);
  bool known(NodeId from, Instance instance, std::string_view frame);
  void remember_peers();
  void handle_frame(NodeId from, std::string_view frame);
  void send_snapshot_frame(NodeId to, std::string frame);
  Status room_for(uint64_t bytes);
  void wait_for_room(Waiting waiting);
  void drain_later();
  void drain_backlogs();
  void drain(std::deque<Waiting>& backlog, uint64_t room_to_leave);
  void wait_or_drop(NodeId from, std::string_view body);
  // A turn does not grow without bound, or heartbeats would come late; and nobody overtakes who waits.
  bool turn_is_full() const { return !backlog_.empty() || unflushed_bytes_ >= kMaxTurnBytes; }
  // Commands and large frames leave that much for ticks, votes, heartbeats and acknowledgements.
  static constexpr uint64_t kRoomForSmallFrames = 256 << 10;
  static constexpr uint64_t kMaxTurnBytes = 4ull << 20;
  static constexpr uint64_t kMaxBacklogBytes = 64ull << 20;  // of what waits for room, or for the next turn
  void note(FactKind kind, NodeId peer, std::string_view reason);

  // --- Turns (replica_turn.cc) ---
  void turn_soon();
  void turn();
  void append_records();
  void arm_idle_timer(Time delay);
  void send(Send& send);
  void on_durable();
  void deliver();
  void save_wanted_state();
  bool apply(Delivery& delivery);
  void answer_command(Applier::Outcome& outcome, Position position);
  void membership_delivered(Position position);
  void answer_memberships();
  void verify();
  void update_peers();
  void arm_tick();
  void halt(Status why, std::string_view reason);

  // --- Snapshots (replica_snapshots.cc) ---
  void snapshot_written(Result<SnapshotMeta> meta);
  void report_saved();
  void on_fetched(const SnapshotMeta& meta, const Status& status);
  void start_install(const InstallSnapshot& install);
  void try_install();
  // What the file of a fetched snapshot holds when it is installed.
  void installed(const SnapshotMeta& meta, const Result<std::string>& state);
  void release_soon(LogSeq below);
  void release_durable();

  // Constant after construction.
  const Ports ports_;
  const ReplicaOptions options_;
  uint64_t run_;                                                  // see CommandHeader
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives

  ReplicaDirectory directory_;
  std::unique_ptr<Protocol> core_;
  UniqueFunction<void(Status)> on_halt_;
  UniqueFunction<void(NodeId, std::string_view)> aside_;
  wal::ReplayReport recovery_;
  bool have_snapshot_ = false;
  bool started_ = false;
  bool halted_ = false;
  mutable ReplicaStats stats_;

  // Turns.
  Effects effects_;  // of the turn under way; kept for its capacity
  bool turn_posted_ = false;
  uint64_t unflushed_bytes_ = 0;  // fed to the core since the last collect(), as far as it can become records
  LogSeq durable_ = 0;
  Position snapshot_at_ = 0;     // Effects::snapshot_at, not reached yet; 0: none
  Time full_since_ = 0;          // 0: there is room
  uint64_t lacks_room_for_ = 0;  // the largest that was refused since
  Time look_for_room_at_ = 0;
  std::deque<Waiting> small_frames_;  // that wait for room; the rest, commands included, in backlog_
  std::deque<Waiting> backlog_;
  uint64_t backlog_bytes_ = 0;  // of both, with what a place in them costs
  env::TimerId backlog_timer_ = 0;
  struct Held {
    LogSeq after;
    NodeId to;
    std::string frame;
  };
  std::deque<Held> held_;  // by `after`
  std::vector<Member> peers_;
  Time appended_at_ = 0;
  env::TimerId idle_timer_ = 0;
  env::TimerId tick_timer_ = 0;
  Time tick_at_ = kNever;                                     // when tick_timer_ fires
  std::map<NodeId, std::vector<std::string>> unsaved_peers_;  // met first just now: frames wait for the file
  bool saving_peers_ = false;

  // State and requests.
  Applier applier_;
  GroupTime time_;
  RequestTable requests_;
  std::vector<uint64_t> memberships_delivered_;  // requests for them that wait until their members decide
  uint64_t unanswered_ = 0;                      // numbers of proposals for whom nobody waits
  std::multimap<Position, uint64_t> waiting_reads_;
  env::TimerId request_timer_ = 0;

  // Snapshots.
  SnapshotExchange exchange_;
  uint64_t bytes_since_snapshot_ = 0;
  uint64_t snapshot_attempts_ = 0;
  bool saving_ = false;
  std::optional<SnapshotMeta> saved_;  // written, but covers entries that are not yet durable here
  std::optional<InstallSnapshot> install_;
  bool installing_ = false;          // its file is being read
  std::deque<Delivery> deliveries_;  // behind install_
  struct Release {
    LogSeq below;
    LogSeq after;
    Position base;
  };
  std::optional<Release> release_;
  Position previous_base_ = 0;  // of the snapshot that the durable log begins with, and of the one before
  Position base_ = 0;

  std::unique_ptr<env::Disk> planted_disk_;  // a mutant's; else null
  std::unique_ptr<wal::Wal> wal_;            // last: its completions refer to the rest
};

}  // namespace clew::consensus
