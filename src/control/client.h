// Client: a Service by connections to members of a group: our own client protocol, from the client's side. Part of the
// installable library libclew-client (examples/kv-client).
//
//   os::Workers workers;                     // threads for files; a client needs none of them
//   os::OsLoop loop("client", workers);
//   os::OsNetwork network;
//   os::OsRandom random;
//   control::ClientOptions options;
//   options.addresses = {"10.0.0.1:4331", "10.0.0.2:4331", "10.0.0.3:4331"};
//   auto client = control::Client::open(loop, network, random, options);
//   client->execute(kv::Space::kUser, kv::PutRequest{"key", "value"}, {}, [](auto result) {
//     if (auto* reply = std::get_if<control::CallReply>(&result)) { ... } else { ... std::get<1>(result).message ... }
//   });
//
// With certificates (os::TlsNetwork) the other side's must be a member's, and the leader's the leader's.
//
// One connection, to the leader where that is known: requests are pipelined, and all of one turn of the loop leave in
// one write. A member that is not the leader names it, and the client goes there; where the leader cannot be reached
// from here, members forward. Connections that break, or say nothing for `silence_limit_ns` while an answer is due,
// are replaced: the next address at once, with growing pauses when none answers. A member that knows no leader for half
// a second is left for another one: it may be cut off from those who have one.
//
// What happens to a request whose answer does not come:
//   - one that certainly had no effect is asked again until its timeout;
//   - a read, a keep-alive and a command with a session (CallOptions::session, or session.h) too: they may be asked
//     twice without harm;
//   - any other ends with an error, CallError::uncertain set: it may have taken effect, or may yet.
// With CallOptions::forward off nothing is asked twice and no leader is followed: who asks wants to know what this
// member says.
//
// In a group whose members may lie (PBFT) no answer is taken from one member: ClientOptions::addresses names all of
// them, and what execute(), keep_alive() and sessions answer was said by f + 1 (control/reply_quorum.h). Such a client
// connects to all addresses, and opens a session of its own with the first change that has none. With fewer than four
// addresses, where no liar can be told from an honest member, these calls are refused (kFailedPrecondition), unless
// ClientOptions::trust_gateway is set. Watches are handed out when f + 1 members gave the same change
// (control/watch_quorum.h). Status, members, decrees and snapshots rest on the one member that is asked, always.
//
// Watches go on where they stood when a node dies: from the first revision that was not given, without a gap and
// without a duplicate; watch ids stay. A revision that was compacted meanwhile ends the watch, as always. A snapshot
// that breaks off is not resumed. A member that sends more on a stream than it was granted ends it (kDataLoss).
//
// Threads: any may call; answers come on the loop. open() and the destructor are on the loop, too, or before it runs
// anything of this client's. The loop, the network and the random outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/service.h"
#include "env/loop.h"
#include "env/network.h"
#include "env/random.h"

namespace clew::control {

struct ClientOptions {
  std::vector<std::string> addresses;  // of members' client ports, at least one; others are learnt from hints
  std::string token;
  uint64_t cluster = 0;                        // 0: the one that answers first; a member of another one is then refused
  size_t max_outstanding = 100'000;            // beyond it calls fail with kResourceExhausted
  uint64_t max_answer_bytes = 1ull << 30;      // of one answer, or one message of a stream
  uint64_t watch_window_bytes = 1u << 20;      // of a stream's watch responses that wait here for next(), and one more
  int64_t connect_timeout_ns = 1'000'000'000;  // with the handshake
  int64_t silence_limit_ns = 1'000'000'000;    // while an answer is due; members give signs of life much more often
  int64_t idle_silence_limit_ns = 6'000'000'000;
  int64_t max_backoff_ns = 1'000'000'000;
  // When every address was tried and none answers, calls fail at once instead of at their timeouts: for programs that
  // a person waits for.
  bool fail_fast = false;
  // The member that is asked is believed, also where members may lie.
  bool trust_gateway = false;
};

struct ClientStats {
  uint64_t connects = 0;  // handshakes that succeeded
  uint64_t connect_failures = 0;
  uint64_t redirects = 0;  // to the leader
  uint64_t losses = 0;     // of connections
  uint64_t retries = 0;    // requests that were sent again
  uint64_t uncertain = 0;  // that ended without anybody knowing whether they took effect
  uint64_t writes = 0;
  // Where members may lie (reply_quorum.h):
  uint64_t verified = 0;      // answers that f + 1 members gave
  uint64_t contradicted = 0;  // of them, those of which some member said something else
  uint64_t unproven = 0;      // calls that ended because no f + 1 members said the same
};

class Client final : public Service {
 public:
  static std::unique_ptr<Client> open(env::Loop& loop, env::Network& network, env::Random& random,
                                      ClientOptions options);
  ~Client() override;  // what is under way is answered with kUnavailable, before it returns

  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) override;
  void keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) override;
  // Of the member that is asked.
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

  ClientStats stats() const;  // on the loop, like the two below
  uint64_t cluster() const;   // 0: nobody has answered yet
  consensus::NodeId connected_to() const;

 private:
  Client(std::shared_ptr<class ClientCore> core, std::shared_ptr<class ReplyQuorum> quorum);
  template <typename T, typename Verified, typename Direct>
  void choose(const CallOptions& options, Done<T> done, Verified verified, Direct direct);

  std::shared_ptr<class ClientCore> core_;     // shared with callbacks and streams
  std::shared_ptr<class ReplyQuorum> quorum_;  // null: one member is believed, or fewer than four were named
};

}  // namespace clew::control
