// `clew` whose member lies: the whole program, with adapters put between its parts when it is linked (CMakeLists.txt
// wraps the two functions below). CLEW_LIES says how, with commas between:
//   equivocation  as primary it shows one member a batch, and all others another one, and votes for both
//   silence       it says nothing to all other members but one
//   answers       its clients are told of changes that did not happen, and of values that nobody wrote
//
// What it says to members it signs with its own key, as a malicious member could: the liar of the simulator
// (sim/groups/pbft_liar.h) in a real process. For tests only; nothing of this is in `clew`.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "consensus/replica_records.h"
#include "consensus/signer.h"
#include "control/plane.h"
#include "control/server.h"
#include "sim/groups/pbft_liar.h"

namespace {

using namespace clew;

bool lies_by(const char* how) {
  const char* const all = std::getenv("CLEW_LIES");
  return all != nullptr && ("," + std::string(all) + ",").find("," + std::string(how) + ",") != std::string::npos;
}

// --- To members ---

class LyingTransport final : public consensus::Transport {
 public:
  LyingTransport(consensus::Transport& behind, std::unique_ptr<sim::groups::Liar> liar)
      : behind_(behind), liar_(std::move(liar)) {}

  void start(Handler handler) override { behind_.start(std::move(handler)); }
  void set_peers(const std::vector<consensus::Member>& peers) override { behind_.set_peers(peers); }
  void send(consensus::NodeId to, std::string frame) override {
    if (frame.empty() || frame.back() != consensus::kProtocolFrame) return behind_.send(to, std::move(frame));
    frame.pop_back();
    for (std::string& instead : liar_->twist(to, frame)) {
      instead.push_back(consensus::kProtocolFrame);
      behind_.send(to, std::move(instead));
    }
  }
  void flush() override { behind_.flush(); }
  std::string unreached(consensus::NodeId peer) const override { return behind_.unreached(peer); }

 private:
  consensus::Transport& behind_;
  const std::unique_ptr<sim::groups::Liar> liar_;
};

// --- To clients ---

class LyingService final : public control::Service {
 public:
  template <typename T>
  using Done = control::Done<T>;
  using Options = control::CallOptions;
  explicit LyingService(control::Service& behind) : behind_(behind) {}

  void execute(kv::Space space, kv::Request request, Options options, Done<control::CallReply> done) override {
    if (const auto* const put = std::get_if<kv::PutRequest>(&request); put != nullptr && space == kv::Space::kUser) {
      // "It is done", in the words of one that does it.
      kv::RangeRequest present;
      present.key = put->key;
      options.session = consensus::kNoSession;
      return behind_.execute(
          space, std::move(present), options,
          [done = std::move(done)](std::variant<control::CallReply, control::CallError> read) mutable {
            auto* const reply = std::get_if<control::CallReply>(&read);
            if (reply == nullptr) return done(std::move(read));
            kv::PutResponse pretended;
            pretended.revision = std::get<kv::RangeResponse>(reply->response).revision + 1;
            ++reply->position;
            reply->response = pretended;
            done(std::move(read));
          });
    }
    behind_.execute(space, std::move(request), options,
                    [done = std::move(done)](std::variant<control::CallReply, control::CallError> read) mutable {
                      if (auto* const reply = std::get_if<control::CallReply>(&read)) {
                        if (auto* const range = std::get_if<kv::RangeResponse>(&reply->response)) {
                          for (kv::KeyValue& one : range->kvs) one.value = "a lie";
                        }
                      }
                      done(std::move(read));
                    });
  }
  void attest(consensus::SessionId session, uint64_t sequence, Options options,
              Done<control::Attestation> done) override {
    behind_.attest(session, sequence, options, std::move(done));
  }
  void keep_alive(kv::LeaseId lease, Options options, Done<int64_t> done) override {
    behind_.keep_alive(lease, options, std::move(done));
  }
  void open_session(Options options, Done<consensus::SessionId> done) override {
    behind_.open_session(options, std::move(done));
  }
  void close_session(consensus::SessionId session, Options options) override {
    behind_.close_session(session, options);
  }
  std::unique_ptr<control::WatchStream> watch(kv::Space space) override { return behind_.watch(space); }
  void status(Options options, Done<control::GroupStatus> done) override {
    // "Believe me, there is nobody here who lies."
    behind_.status(options,
                   [done = std::move(done)](std::variant<control::GroupStatus, control::CallError> said) mutable {
                     if (auto* const status = std::get_if<control::GroupStatus>(&said)) status->protocol = "raft";
                     done(std::move(said));
                   });
  }
  void add_member(NewMember member, Options options, Done<consensus::NodeId> done) override {
    behind_.add_member(std::move(member), options, std::move(done));
  }
  void remove_member(consensus::NodeId id, Options options, Done<consensus::Position> done) override {
    behind_.remove_member(id, options, std::move(done));
  }
  void promote_member(consensus::NodeId id, Options options, Done<consensus::Position> done) override {
    behind_.promote_member(id, options, std::move(done));
  }
  void update_member(consensus::NodeId id, std::string address, Options options,
                     Done<consensus::Position> done) override {
    behind_.update_member(id, std::move(address), options, std::move(done));
  }
  void transfer_leadership(consensus::NodeId to, Options options, Done<consensus::NodeId> done) override {
    behind_.transfer_leadership(to, options, std::move(done));
  }
  void propose_decree(std::string name, std::string value, Options options,
                      Done<consensus::paxos::Outcome> done) override {
    behind_.propose_decree(std::move(name), std::move(value), options, std::move(done));
  }
  void set_alarm(control::Alarm alarm, bool on, Options options, Done<consensus::Position> done) override {
    behind_.set_alarm(alarm, on, options, std::move(done));
  }
  std::unique_ptr<SnapshotStream> snapshot() override { return behind_.snapshot(); }

 private:
  control::Service& behind_;
};

// --- Where they are put ---

using Planes = Result<std::unique_ptr<control::Plane>>;
using Halts = UniqueFunction<void(Status)>;
using Servers = Result<std::unique_ptr<control::Server>>;

}  // namespace

#define CLEW_PLANE_OPEN "_ZN4clew7control5Plane4openENS1_5PortsENS0_12PlaneOptionsENS_14UniqueFunctionIFvNS_6StatusEEEE"
#define CLEW_SERVER_OPEN "_ZN4clew7control6Server4openERNS_3env4LoopERNS2_7NetworkERNS0_7ServiceENS0_13ServerOptionsE"

Planes honest_plane(control::Plane::Ports ports, control::PlaneOptions options,
                    Halts on_halt) asm("__real_" CLEW_PLANE_OPEN);
Planes lying_plane(control::Plane::Ports ports, control::PlaneOptions options,
                   Halts on_halt) asm("__wrap_" CLEW_PLANE_OPEN);
Servers honest_server(env::Loop& loop, env::Network& network, control::Service& service,
                      control::ServerOptions options) asm("__real_" CLEW_SERVER_OPEN);
Servers lying_server(env::Loop& loop, env::Network& network, control::Service& service,
                     control::ServerOptions options) asm("__wrap_" CLEW_SERVER_OPEN);

Planes lying_plane(control::Plane::Ports ports, control::PlaneOptions options, Halts on_halt) {
  sim::groups::PbftLiarOptions liar;
  liar.habits.equivocates = lies_by("equivocation");
  liar.habits.silent = lies_by("silence");
  if (!liar.habits.equivocates && !liar.habits.silent) {
    return honest_plane(std::move(ports), std::move(options), std::move(on_halt));
  }
  const auto* const signer = dynamic_cast<const consensus::Signer*>(ports.verifier);  // app::SigningKeys is both
  CHECK(signer != nullptr);
  liar.habits.steadily = true;
  liar.self = options.replica.self;
  liar.voters = 4;
  liar.seed = 1;
  liar.group = options.replica.cluster;
  liar.sign = [signer](std::string_view message) { return signer->sign(message); };
  std::fprintf(stderr, "this member lies to members\n");
  // One a process, until it ends.
  static std::unique_ptr<LyingTransport> transport;
  transport = std::make_unique<LyingTransport>(ports.transport, sim::groups::make_pbft_liar(std::move(liar)));
  return honest_plane(
      {ports.loop, ports.disk, ports.random, *transport, std::move(ports.engines), std::move(ports.protocol),
       ports.registry, std::move(ports.connect), ports.observer, ports.verifier},
      std::move(options), std::move(on_halt));
}

Servers lying_server(env::Loop& loop, env::Network& network, control::Service& service,
                     control::ServerOptions options) {
  if (!lies_by("answers")) return honest_server(loop, network, service, std::move(options));
  std::fprintf(stderr, "this member lies to clients\n");
  options.byzantine = false;
  static std::unique_ptr<LyingService> lying;  // one a process, until it ends
  lying = std::make_unique<LyingService>(service);
  return honest_server(loop, network, *lying, std::move(options));
}
