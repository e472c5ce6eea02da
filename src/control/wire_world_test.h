// Servers of a fake group on simulated machines 0, 1, 2, and a client on machine 3.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "control/client.h"
#include "control/fake_group_test.h"
#include "control/server.h"
#include "sim/links.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::control::fake {

constexpr uint16_t kPort = 4331;
constexpr uint64_t kCluster = 7;
inline sim::NodeIndex machine(uint32_t i) { return sim::NodeIndex{i}; }
constexpr uint32_t kClientMachine = 3;

struct Node {
  Node(sim::Scheduler& scheduler, sim::SimNetwork& network, Group& group, std::vector<Member*>& all, uint32_t index,
       const std::function<void(ServerOptions&)>& change)
      : clock(scheduler, 0),
        loop(scheduler, clock, machine(index)),
        member(loop, group, consensus::NodeId{index + 1}, all) {
    ServerOptions options;
    options.listen = ":" + std::to_string(kPort);
    options.cluster = [] { return kCluster; };
    options.node = consensus::NodeId{index + 1};
    if (change) change(options);
    auto opened = Server::open(loop, network.host(machine(index)), member, options);
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    server = std::move(opened).value();
  }
  sim::SimClock clock;
  sim::SimLoop loop;
  Member member;
  std::unique_ptr<Server> server;
};

struct World {
  explicit World(uint64_t seed = 1, const std::function<void(ServerOptions&)>& change = {})
      : links(5, seed),
        network(scheduler, links),
        server_options(change),
        clock(scheduler, 0),
        loop(scheduler, clock, machine(kClientMachine)),
        random(seed) {
    for (uint32_t i = 0; i < 3; ++i) {
      group.addresses[consensus::NodeId{i + 1}] = sim::SimNetwork::address(machine(i), kPort);
      nodes.emplace_back();
      start(i);
    }
  }
  void start(uint32_t i) {
    network.set_up(machine(i));
    nodes[i] = std::make_unique<Node>(scheduler, network, group, members, i, server_options);
  }
  // A group of four, whose members may lie: 0, 1, 2 and the machine behind the client's.
  static constexpr uint32_t kFourth = 4;
  void may_lie() {
    group.protocol = "pbft";
    group.addresses[consensus::NodeId{kFourth + 1}] = sim::SimNetwork::address(machine(kFourth), kPort);
    nodes.resize(kFourth + 1);
    start(kFourth);
  }
  void kill(uint32_t i) {
    nodes[i]->loop.kill();
    network.set_down(machine(i), true);
    nodes[i].reset();
  }
  ClientOptions client_options() const {
    ClientOptions options;
    for (const auto& [id, address] : group.addresses) options.addresses.push_back(address);
    return options;
  }
  std::unique_ptr<Client> client(const ClientOptions& options) {
    return Client::open(loop, network.host(machine(kClientMachine)), random, options);
  }
  std::unique_ptr<Client> client() { return client(client_options()); }
  void run(int64_t ms) { scheduler.run_for(ms * 1'000'000); }
  // Runs until `condition` holds; false after a minute of virtual time.
  bool until(const std::function<bool()>& condition) {
    const int64_t limit = scheduler.now_ns() + 60'000'000'000;
    while (!condition()) {
      if (scheduler.now_ns() > limit || !scheduler.run_one()) return condition();
    }
    return true;
  }

  sim::Scheduler scheduler;
  sim::Links links;
  sim::SimNetwork network;
  Group group;
  std::vector<Member*> members;
  std::function<void(ServerOptions&)> server_options;
  std::vector<std::unique_ptr<Node>> nodes;
  sim::SimClock clock;
  sim::SimLoop loop;
  sim::SimRandom random;
};

// The answer of one call, when it has come.
template <typename T>
struct Answer {
  std::shared_ptr<std::optional<std::variant<T, CallError>>> result =
      std::make_shared<std::optional<std::variant<T, CallError>>>();
  Done<T> done() {
    return [result = result](std::variant<T, CallError> got) {
      EXPECT_FALSE(result->has_value()) << "answered twice";
      *result = std::move(got);
    };
  }
  bool here() const { return result->has_value(); }
  bool ok() const { return here() && std::holds_alternative<T>(**result); }
  const T& value() const { return std::get<T>(**result); }
  const CallError& error() const { return std::get<CallError>(**result); }
};

inline kv::PutRequest put(std::string key, std::string value) {
  kv::PutRequest request;
  request.key = std::move(key);
  request.value = std::move(value);
  return request;
}
inline kv::AppendRequest append_to(std::string key, std::string suffix) {
  kv::AppendRequest request;
  request.key = std::move(key);
  request.suffix = std::move(suffix);
  return request;
}
inline kv::RangeRequest get(std::string key, std::string end = {}) {
  kv::RangeRequest request;
  request.key = std::move(key);
  request.range_end = std::move(end);
  return request;
}
// The value that a range of one key answers.
inline std::string value_in(const Answer<CallReply>& answer) {
  if (!answer.ok()) return answer.here() ? "error: " + answer.error().message : "no answer";
  const auto& kvs = std::get<kv::RangeResponse>(answer.value().response).kvs;
  return kvs.empty() ? "absent" : kvs[0].value;
}

}  // namespace clew::control::fake
