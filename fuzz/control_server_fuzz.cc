// A stranger speaks the client protocol to a server: arbitrary bytes, after a handshake that is right if the first byte
// asks for it, framed rightly if it asks for that, cut into messages if it asks for that, too. Whatever they are: no
// crash, nothing without a handshake reaches the service, and a client that comes afterwards is served.
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/check.h"
#include "control/client.h"
#include "control/frames.h"
#include "control/server.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace {

using namespace clew;
using namespace clew::control;

constexpr uint16_t kPort = 4331;

// Answers everything in the next turn.
class Echo final : public Service {
 public:
  explicit Echo(env::Loop& loop) : loop_(loop) {}
  uint64_t calls = 0;
  template <typename T, typename V>
  void answer(Done<T> done, V value) {
    ++calls;
    loop_.post([done = std::move(done), value = std::variant<T, CallError>(std::move(value))]() mutable {
      done(std::move(value));
    });
  }
  void execute(kv::Space, kv::Request request, CallOptions, Done<CallReply> done) override {
    CallReply reply;
    reply.response = kv::CustomResponse{1, kv::encode(request)};
    answer(std::move(done), std::move(reply));
  }
  void keep_alive(kv::LeaseId, CallOptions, Done<int64_t> done) override { answer(std::move(done), int64_t{1}); }
  void attest(consensus::SessionId, uint64_t sequence, CallOptions, Done<Attestation> done) override {
    Attestation told;
    told.position = sequence;
    answer(std::move(done), told);
  }
  void open_session(CallOptions, Done<consensus::SessionId> done) override {
    answer(std::move(done), consensus::SessionId{1});
  }
  void close_session(consensus::SessionId, CallOptions) override { ++calls; }
  void status(CallOptions, Done<GroupStatus> done) override { answer(std::move(done), GroupStatus()); }
  void add_member(NewMember, CallOptions, Done<consensus::NodeId> done) override {
    answer(std::move(done), consensus::NodeId{1});
  }
  void remove_member(consensus::NodeId, CallOptions, Done<consensus::Position> done) override {
    answer(std::move(done), consensus::Position{1});
  }
  void promote_member(consensus::NodeId, CallOptions, Done<consensus::Position> done) override {
    answer(std::move(done), consensus::Position{1});
  }
  void update_member(consensus::NodeId, std::string, CallOptions, Done<consensus::Position> done) override {
    answer(std::move(done), consensus::Position{1});
  }
  void transfer_leadership(consensus::NodeId, CallOptions, Done<consensus::NodeId> done) override {
    answer(std::move(done), consensus::NodeId{1});
  }
  void set_alarm(Alarm, bool, CallOptions, Done<consensus::Position> done) override {
    answer(std::move(done), consensus::Position{1});
  }
  void propose_decree(std::string name, std::string value, CallOptions, Done<consensus::paxos::Outcome> done) override {
    consensus::paxos::Outcome outcome;
    outcome.chosen.value = name + value;
    answer(std::move(done), std::move(outcome));
  }
  struct Watches final : WatchStream {
    explicit Watches(Echo& of) : echo(of) {}
    void create(kv::WatchRequest request) override { ids.push_back(request.id); }
    void cancel(kv::WatchId id) override { ids.push_back(id); }
    void request_progress() override { ids.push_back(kv::kNoWatch); }
    void next(size_t, Done<std::vector<kv::WatchResponse>> done) override {
      if (ids.empty()) return;
      std::vector<kv::WatchResponse> responses(1);
      responses[0].id = ids.back();
      ids.pop_back();
      echo.answer(std::move(done), std::move(responses));
    }
    Echo& echo;
    std::vector<kv::WatchId> ids;
  };
  struct Bytes final : SnapshotStream {
    explicit Bytes(Echo& of) : echo(of) {}
    void next(size_t max_bytes, Done<std::string> done) override {
      echo.answer(std::move(done), std::string(left-- > 0 ? std::min<size_t>(max_bytes, 1'000) : 0, 'x'));
    }
    uint64_t total_bytes() const override { return 5'000; }
    Echo& echo;
    int left = 5;
  };
  std::unique_ptr<WatchStream> watch(kv::Space) override { return std::make_unique<Watches>(*this); }
  std::unique_ptr<SnapshotStream> snapshot() override { return std::make_unique<Bytes>(*this); }

 private:
  env::Loop& loop_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (64 << 10)) return 0;
  const bool greets = (data[0] & 1) != 0;
  const bool frames = (data[0] & 2) != 0;
  const bool messages = (data[0] & 4) != 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  sim::Scheduler scheduler;
  sim::Links links(3, 1);
  sim::SimNetwork network(scheduler, links);
  sim::SimClock server_clock(scheduler, 0), clock(scheduler, 0);
  sim::SimLoop server_loop(scheduler, server_clock, sim::NodeIndex{0}), loop(scheduler, clock, sim::NodeIndex{2});
  Echo service(server_loop);
  ServerOptions options;
  options.listen = ":" + std::to_string(kPort);
  options.max_unanswered_watches = 100;
  auto server = Server::open(server_loop, network.host(sim::NodeIndex{0}), service, options).value();

  std::unique_ptr<env::Stream> stranger;
  network.host(sim::NodeIndex{2}).connect(loop, sim::SimNetwork::address(sim::NodeIndex{0}, kPort), [&](auto stream) {
    stranger = std::move(stream).value();
    stranger->start({.on_bytes = [](std::string_view) {}, .on_closed = {}, .on_writable = {}});
  });
  scheduler.run_for(20'000'000);
  CHECK(stranger != nullptr);
  if (greets) {
    std::string frame;
    consensus::append_frame(frame, encode(Hello()));
    stranger->write(std::move(frame));
  }
  if (messages) {  // kind, id, length and body of each
    Batch batch;
    for (size_t at = 0; at + 3 <= bytes.size();) {
      const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[at + 2]), bytes.size() - at - 3);
      batch.begin(static_cast<MessageKind>(bytes[at]), static_cast<uint8_t>(bytes[at + 1]))
          .append(bytes, at + 3, length);
      batch.end();
      at += 3 + length;
    }
    bytes = batch.take();
  } else if (frames) {
    std::string framed;
    consensus::append_frame(framed, bytes);
    bytes = std::move(framed);
  }
  stranger->write(bytes);
  scheduler.run_for(1'000'000'000);
  CHECK(greets || service.calls == 0);

  ClientOptions wanted;
  wanted.addresses = {sim::SimNetwork::address(sim::NodeIndex{0}, kPort)};
  sim::SimRandom random(1);
  auto client = Client::open(loop, network.host(sim::NodeIndex{2}), random, wanted);
  bool served = false;
  client->status({}, [&](auto result) { served = std::holds_alternative<GroupStatus>(result); });
  scheduler.run_for(1'000'000'000);
  CHECK(served);
  return 0;
}
