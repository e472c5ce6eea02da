// A counter that three processes agree on: start
//
//   counter 1 /tmp/c1 1=127.0.0.1:7101,2=127.0.0.1:7102,3=127.0.0.1:7103
//
// and likewise 2 and 3, then type "add 5" or "get" into any of them. Kill one: the other two go on.
#include <consensus/peer_transport.h>
#include <consensus/raft/raft.h>
#include <consensus/replica.h>
#include <os/disk.h>
#include <os/loop.h>
#include <os/network.h>
#include <os/random.h>
#include <os/workers.h>

#include <cstdlib>
#include <future>
#include <iostream>
#include <sstream>

namespace cc = clew::consensus;

// What is replicated: the same commands in the same order on every node.
class Counter final : public cc::StateMachine {
 public:
  std::string apply(const cc::Applied&, std::string_view command) override {
    return std::to_string(value_ += std::atoll(std::string(command).c_str()));
  }
  std::string query(std::string_view) const override { return std::to_string(value_); }
  clew::UniqueFunction<clew::Status(cc::SnapshotSink&)> freeze() override {
    return [value = value_](cc::SnapshotSink& sink) { return sink.write(std::to_string(value)); };
  }
  clew::Status restore(cc::SnapshotSource& source) override {
    CLEW_ASSIGN(const std::string_view text, source.read());
    value_ = std::atoll(std::string(text).c_str());
    return {};
  }
  clew::Hash128 digest() const override { return {static_cast<uint64_t>(value_), 0}; }

 private:
  long long value_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: counter ID DIRECTORY ID=HOST:PORT,...\n", 2;
  const cc::NodeId self{std::strtoull(argv[1], nullptr, 10)};
  std::vector<cc::Member> members;
  std::istringstream list(argv[3]);
  for (std::string item; std::getline(list, item, ',');) {
    cc::Member member;
    member.id = cc::NodeId{std::strtoull(item.c_str(), nullptr, 10)};
    member.address = item.substr(item.find('=') + 1);
    members.push_back(member);
  }
  auto group = cc::Membership::make(members);
  if (!group.ok() || !group->contains(self)) return std::cerr << "ID and members do not fit\n", 2;

  // The outside world: threads, disk, network. Everything of the replica happens on the loop.
  clew::os::Workers workers;
  clew::os::OsLoop loop("counter", workers);
  clew::os::OsDisk disk;
  clew::os::OsNetwork network;
  clew::os::OsRandom random;
  Counter counter;
  std::unique_ptr<cc::PeerTransport> transport;
  std::unique_ptr<cc::Replica> replica;
  const auto on_loop = [&](auto function) {
    std::promise<clew::Status> done;
    loop.post([&] { done.set_value(function()); });
    return done.get_future().get();
  };
  const clew::Status started = on_loop([&]() -> clew::Status {
    cc::PeerTransportOptions peers;
    peers.self = self;
    peers.listen = group->find(self)->address;
    CLEW_ASSIGN(transport, cc::PeerTransport::open(loop, network, random, peers));
    cc::ReplicaOptions options;
    options.self = self;
    options.directory = argv[2];
    options.bootstrap = true;  // a careful program says so at the very first start only: see replica.h
    cc::raft::Options raft;
    raft.self = self;
    raft.founding = *group;
    CLEW_ASSIGN(replica, cc::Replica::open(
                             {loop, disk, random, *transport, counter}, options,
                             [raft](uint64_t seed) { return std::make_unique<cc::Raft>(raft, seed); },
                             [](clew::Status why) { std::cout << why.to_string() << std::endl; }));
    return {};
  });
  if (!started.ok()) return std::cerr << started.to_string() << "\n", 1;

  for (std::string line; std::getline(std::cin, line);) {
    std::promise<std::string> answer;
    (void)on_loop([&]() -> clew::Status {
      auto done = [&](std::variant<cc::Reply, cc::RequestError> outcome) {
        if (auto* const reply = std::get_if<cc::Reply>(&outcome)) return answer.set_value(reply->result);
        answer.set_value("error: " + std::get<cc::RequestError>(outcome).message);
      };
      if (line.starts_with("add ")) {
        replica->submit({.body = line.substr(4)}, done);
      } else {  // linearizable on every node; commands are for the leader
        replica->query({.level = cc::ReadLevel::kLinearizable, .body = ""}, done);
      }
      return {};
    });
    std::cout << answer.get_future().get() << std::endl;
  }
  (void)on_loop([&]() -> clew::Status {
    replica.reset();
    transport.reset();
    return {};
  });
  loop.stop();
}
