// Plane: a member of the control group in this process, as a Service: a replica (consensus/replica.h) of the strong
// spaces (kv/spaces.h) on one loop, with what a store needs beside its state: reads behind one barrier for many, keep-
// alives in one entry for many, the leader's duty to leases, watches, members' records, alarms and the quota, and the
// passing on of what another member must do.
//
// Who does what. Changes: the leader; any other member passes them on, once, and tries again within the time-out only
// while the last try certainly had no effect, or the request has a session. Reads: every member with data, after asking
// the leader how far it must have come; a witness passes them on. Watches and sequential reads: this member's state.
//
// Life: open() on the loop (blocks), then any thread calls. Destroy it on the loop, after its callers have ended;
// whatever has no answer then is answered kUnavailable. Its loop should serve nothing else that takes milliseconds:
// heartbeats go by it. Bounds: PlaneOptions. When the replica halts, every request fails, and `on_halt` says why.
//
// Files: plane.cc (life, ticks), plane_calls.cc (requests to the spaces), plane_group.cc (members, status),
// plane_service.cc (from any thread to the loop); one part a file beside them.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "consensus/replica.h"
#include "control/attest_desk.h"
#include "control/call_table.h"
#include "control/decree_desk.h"
#include "control/errand.h"
#include "control/forwarder.h"
#include "control/group_view.h"
#include "control/lease_duty.h"
#include "control/mailbox.h"
#include "control/membership_desk.h"
#include "control/peer_tap.h"
#include "control/read_desk.h"
#include "control/service.h"
#include "control/snapshot_exports.h"
#include "control/system_space.h"
#include "control/watch_desk.h"
#include "env/disk.h"
#include "env/loop.h"
#include "env/random.h"
#include "kv/custom.h"
#include "kv/spaces.h"

namespace clew::control {

struct PlaneOptions {
  // max_command_bytes is set by the plane. `directory` is the replica's; engines stand beside it.
  consensus::ReplicaOptions replica;
  MemberRecord record;                // what this member publishes of itself; id and fingerprint are set by the plane
  uint64_t quota_bytes = 2ull << 30;  // of the state, as Store::bytes() counts; etcd's default
  kv::WatchOptions watches;
  // After that long without a sign a member that this one sees by itself counts as offline.
  int64_t heard_within_ns = 1'000'000'000;
  int64_t watch_progress_ns = 600'000'000'000;  // etcd's
  // A witness, which keeps no records, passes requests on to these (client ports of members with data).
  std::vector<std::string> seeds;
  // Directory of the log of single-decree Paxos, whose voucher stands in the replica's; empty: this member keeps none.
  std::string decrees;
  bool restored = false;  // the replica's directory was made of a snapshot: a first start is one without bootstrap
  // Founders agree on the cluster's id by that; members that were added were told it (0: not).
  std::vector<consensus::NodeId> founders;
  uint64_t cluster = 0;
  bool attests = false;  // in a group whose members may lie: Service::attest()
  size_t max_calls = 65'536;
  uint64_t max_call_bytes = 256ull << 20;
  size_t max_watch_streams = 65'536;
};

// Counted since open(), and what is now.
struct PlaneStats {
  uint64_t changes = 0;
  uint64_t reads = 0;
  uint64_t read_barriers = 0;
  uint64_t forwarded = 0;
  uint64_t retried = 0;
  uint64_t refused = 0;  // by a bound, the quota or an alarm
  uint64_t timed_out = 0;
  uint64_t keep_alives = 0;
  uint64_t attested = 0;    // commands of which this member told a client what it executed
  uint64_t unattested = 0;  // of which it could not
  uint64_t waiting = 0;
  uint64_t watch_streams = 0;
  uint64_t watchers = 0;
};

class Plane final : public Service, private consensus::Observer {
 public:
  struct Ports {
    env::Loop& loop;
    env::Disk& disk;
    env::Random& random;
    consensus::Transport& transport;  // outlives it
    kv::Spaces::Engines engines;
    consensus::ProtocolFactory protocol;
    const kv::CustomRegistry& registry;  // outlives it
    Connect connect;                     // empty: nothing can be passed on
    consensus::Observer* observer = nullptr;
    const consensus::Verifier* verifier = nullptr;  // for protocols whose members sign; outlives it
    consensus::paxos::DecreeObserver* decree_observer = nullptr;
  };
  // As consensus::Replica::open(). Engines are emptied when the replica's directory is new.
  static Result<std::unique_ptr<Plane>> open(Ports ports, PlaneOptions options, UniqueFunction<void(Status)> on_halt);
  ~Plane() override;

  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) override;
  void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) override;
  void attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) override;
  void open_session(CallOptions options, Done<consensus::SessionId> done) override;
  void close_session(consensus::SessionId session, CallOptions options) override;
  std::unique_ptr<WatchStream> watch(kv::Space space) override;
  void status(CallOptions options, Done<GroupStatus> done) override;
  void add_member(NewMember member, CallOptions options, Done<consensus::NodeId> done) override;
  void remove_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) override;
  void promote_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) override;
  void update_member(consensus::NodeId id, std::string peer_address, CallOptions options,
                     Done<consensus::Position> done) override;
  void transfer_leadership(consensus::NodeId to, CallOptions options, Done<consensus::NodeId> done) override;
  void propose_decree(std::string name, std::string value, CallOptions options,
                      Done<consensus::paxos::Outcome> done) override;
  void set_alarm(Alarm alarm, bool on, CallOptions options, Done<consensus::Position> done) override;
  std::unique_ptr<SnapshotStream> snapshot() override;

  // --- On the loop ---
  const consensus::Replica& replica() const { return *replica_; }
  const kv::Spaces& spaces() const { return *spaces_; }
  bool leading() const { return leading_; }
  uint64_t cluster() const;  // its id; 0: not known yet
  uint64_t quota_bytes() const { return options_.quota_bytes; }
  PlaneStats stats() const;
  std::string_view decrees_problem() const;  // why this member votes for no decree; empty: it does, or keeps none
  // Addresses that were not known at open(), because their ports were free ones.
  void set_record(MemberRecord record);

 private:
  struct KeepAlive {
    kv::LeaseId lease;
    consensus::Time deadline;
    Done<int64_t> done;
  };
  using Answered = std::variant<CallReply, CallError>;

  Plane(Ports& ports, PlaneOptions options, std::unique_ptr<kv::Spaces> spaces, UniqueFunction<void(Status)> on_halt);
  consensus::Time now() const { return loop_.clock().mono_ns(); }

  // --- plane.cc ---
  void on_fact(const consensus::Fact& fact) override;
  void on_applied(consensus::Position at, const consensus::Entry& entry, std::string_view result) override;
  void on_record(consensus::LogSeq seq, std::string_view record) override;
  void on_send(consensus::NodeId to, std::string_view frame) override;
  Result<std::unique_ptr<DecreeDesk>> open_decrees(const Ports& ports);
  void refresh();    // who leads
  void wake_soon();  // something about leadership changed
  void wake();
  void tick();
  void propose(kv::Space space, kv::Request request, Done<CallReply> done);
  void publish_record();
  void halted(Status why);
  void turn_over();  // what the letters of a turn have in common

  // --- plane_calls.cc ---
  void start(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done);
  std::optional<CallError> refused_by_state(const Call& call);
  void dispatch(uint64_t id);
  void submit(uint64_t id, Call& call);
  void submitted(uint64_t id, std::variant<consensus::Reply, consensus::RequestError> answer);
  void forward(uint64_t id, Call& call);
  void forwarded(uint64_t id, Answered answer);
  void park(uint64_t id, Call& call, std::string why);
  void read_soon(uint64_t id, const Call& call);
  void ask_barrier(consensus::ReadLevel level, consensus::Position at_least, std::vector<uint64_t> ids);
  void read(uint64_t id);
  void flush_reads();
  void flush_keep_alives();
  void finish(uint64_t id, Answered answer);
  void fail(uint64_t id, Code code, std::string message);
  CallError error(Code code, std::string message, bool uncertain);
  std::string leader_address();
  Forwarder::Reached leader_service();  // whom to ask what only the leader, or only a member with data, can do

  // --- plane_group.cc ---
  template <typename T>
  void run(CallOptions options, UniqueFunction<void(Done<T>)> here,
           UniqueFunction<void(Service&, CallOptions, Done<T>)> there, Done<T> done);
  template <typename T>
  void attempt(std::shared_ptr<Errand<T>> errand);
  bool another_may_lead() const;
  void give_way_when_full();
  std::string disk_problem() const;
  GroupStatus own_status();
  void ask_status(CallOptions options, Done<GroupStatus> done);
  void open_session_here(CallOptions options, Done<consensus::SessionId> done);
  void transfer(consensus::NodeId to, consensus::Time deadline, Done<consensus::NodeId> done);
  void settle_transfers();
  void retry_transfer();
  std::string refuses_custom();
  void raise_no_space();

  friend class PlaneWatchStream;
  friend class PlaneSnapshotStream;

  env::Loop& loop_;
  const PlaneOptions options_;
  MemberRecord record_;
  UniqueFunction<void(Status)> on_halt_;
  consensus::Observer* const observer_;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // shared: tasks of the loop ask whether `this` lives

  PeerTap tap_;
  std::unique_ptr<kv::Spaces> spaces_;
  SystemView system_;
  WatchDesk watches_;
  ReadDesk reads_;
  SnapshotExports exports_;
  LeaseDuty leases_;
  MembershipDesk desk_;
  Forwarder forwarder_;
  AttestDesk attests_;
  std::unique_ptr<consensus::Replica> replica_;
  std::unique_ptr<DecreeDesk> decrees_;  // null: none
  std::shared_ptr<Mailbox> mailbox_;     // shared with handles of streams
  std::atomic<uint64_t> next_stream_{1};

  // As of the last refresh().
  bool leading_ = false;
  bool proposes_ = false;  // leads, or is a gateway of its protocol: changes need not be passed on
  bool witness_ = false;
  consensus::NodeId leader_ = consensus::kNobody;
  consensus::Epoch epoch_ = 0;
  size_t seed_ = 0;  // of the next request that a witness passes on

  CallTable calls_;
  std::vector<uint64_t> parked_;
  std::vector<UniqueFunction<void()>> parked_errands_;
  std::vector<uint64_t> linear_reads_, lease_reads_, local_reads_;
  std::vector<KeepAlive> keep_alives_;
  struct Transfer {
    consensus::NodeId to;
    consensus::Time deadline;
    Done<consensus::NodeId> done;
  };
  std::vector<Transfer> transfers_;
  consensus::Time give_way_after_ = 0;  // a full disk's leader, again
  bool transfer_failed_ = false;        // the last attempt; the next tick makes another

  std::string halted_;
  bool closing_ = false;
  bool waking_ = false;
  env::TimerId tick_timer_ = 0;
  consensus::Time progress_due_ = 0;
  bool publishing_ = false;
  bool published_ = false;  // by a witness, which cannot look
  consensus::Time publish_after_ = 0;
  bool raising_ = false;
  PlaneStats stats_;
};

}  // namespace clew::control
