// A member that went mad: a client connects, asks for everything, and gets arbitrary bytes, behind a welcome and in
// frames if the first byte asks for that. Whatever they are: no crash, and every call has exactly one answer.
#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "control/client.h"
#include "control/frames.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace {

using namespace clew;
using namespace clew::control;

constexpr uint16_t kPort = 4331;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (64 << 10)) return 0;
  const bool greets = (data[0] & 1) != 0;
  const bool messages = (data[0] & 2) != 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  sim::Scheduler scheduler;
  sim::Links links(2, 1);
  sim::SimNetwork network(scheduler, links);
  sim::SimClock server_clock(scheduler, 0), clock(scheduler, 0);
  sim::SimLoop server_loop(scheduler, server_clock, sim::NodeIndex{0}), loop(scheduler, clock, sim::NodeIndex{1});

  // A member that says its bytes when the first request has come, once.
  std::unique_ptr<env::Stream> stream;
  int heard = 0;
  auto listener =
      network.host(sim::NodeIndex{0})
          .listen(server_loop, ":" + std::to_string(kPort),
                  [&](std::unique_ptr<env::Stream> accepted) {
                    stream = std::move(accepted);
                    if (greets) {
                      Welcome welcome;
                      welcome.welcome = true;
                      welcome.version = kControlVersion;
                      welcome.cluster = 7;
                      welcome.max_in_flight = 100;
                      std::string frame;
                      consensus::append_frame(frame, encode(welcome));
                      stream->write(std::move(frame));
                    }
                    stream->start({.on_bytes = [&](std::string_view) { ++heard; }, .on_closed = {}, .on_writable = {}});
                  })
          .value();
  ClientOptions options;
  options.addresses = {sim::SimNetwork::address(sim::NodeIndex{0}, kPort)};
  options.max_answer_bytes = 1 << 20;
  sim::SimRandom random(1);
  int answers = 0;
  int calls = 0;
  {
    auto client = Client::open(loop, network.host(sim::NodeIndex{1}), random, options);
    const auto answered = [&](const auto&) { ++answers; };
    CallOptions call;
    call.timeout_ns = 300'000'000;
    client->execute(kv::Space::kUser, kv::RangeRequest{.key = "a"}, call, answered);
    client->execute(kv::Space::kUser, kv::PutRequest{.key = "a"}, call, answered);
    client->status(call, answered);
    client->open_session(call, answered);
    client->keep_alive(kv::LeaseId{1}, call, answered);
    client->transfer_leadership(consensus::NodeId{1}, call, answered);
    auto watch = client->watch(kv::Space::kUser);
    watch->create({.key = "a", .fragment = true});
    watch->next(1'000, answered);
    auto snapshot = client->snapshot();
    snapshot->next(1'000, answered);
    calls = 8;
    scheduler.run_for(50'000'000);
    if (stream != nullptr) {
      std::string out = bytes;
      if (messages) {  // kind, slot and length of each; ids are those that the client used
        Batch batch;
        for (size_t at = 0; at + 3 <= bytes.size();) {
          const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[at + 2]), bytes.size() - at - 3);
          const auto slot = static_cast<uint8_t>(bytes[at + 1]);
          const uint64_t id = (slot & 0x80) != 0 ? (uint64_t{1} << 50) | (slot & 3) : (uint64_t{1} << 17) | (slot & 7);
          batch.begin(static_cast<MessageKind>(bytes[at]), id).append(bytes, at + 3, length);
          batch.end();
          at += 3 + length;
        }
        out = batch.take();
      }
      stream->write(out);
    }
    scheduler.run_for(1'000'000'000);
    CHECK(answers >= 6);  // the calls; streams wait until they are closed
    client.reset();
    scheduler.run_for(10'000'000);
  }
  CHECK(answers == calls);
  return 0;
}
