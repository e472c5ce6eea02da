// Random schedules over ideal cores of any protocol: messages lost, repeated and in any order; crashes that lose what
// was not written; restarts; damaged records; snapshots; membership changes; transfers. After each step the invariants
// of one core and of the group hold (cores_test.h); a read is never older than what was committed when it began; in the
// end the healed group agrees and goes on. A failure prints its seed.
//
// CLEW_<PROTOCOL>_SEEDS=10000 runs more, CLEW_<PROTOCOL>_SEED=N one, CLEW_<PROTOCOL>_TRACE=1 prints what happens.
// `T` is a play of consensus/cores_test.h, with draw(options, random) for its further options.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "consensus/cores_test.h"
#include "consensus/planted.h"

namespace clew::consensus {

template <typename T>
struct Chaos {
  explicit Chaos(uint64_t seed) : random(seed), cores(seed) {
    const uint64_t size = least_voters() + random.below(5);
    std::vector<Member> members;
    for (uint64_t i = 1; i <= size; ++i) members.push_back({.id = NodeId{i}});
    if (T::kWitnesses && size >= 3 && random.one_in(4)) members.back().role = Role::kWitness;
    founding = Membership::make(members).value();
    leases = random.one_in(2);
    for (uint64_t i = 1; i <= size + 1; ++i) {  // the last one may join later
      typename T::Options options;
      options.self = NodeId{i};
      if (i <= size || least_voters() > 1) options.founding = founding;
      if constexpr (requires { options.leases; }) options.leases = leases;
      options.max_message_bytes = 100 + random.below(400);
      options.window = {1 + random.below(6), 100 + random.below(2'000)};
      const uint64_t tail = random.below(400);
      if constexpr (requires { options.keep_tail_bytes; }) options.keep_tail_bytes = tail;
      options.max_delivery_bytes = 100 + random.below(1'000);
      T::draw(options, random);
      cores.add(options);
    }
    damages = random.one_in(3);
    if constexpr (requires(const VerifyRequest& r) { T::verify(r); }) cores.hold_verifications(random.one_in(2));
    calm = random.below(60);
  }

  // Of protocols that need some; a member that joins is then told whom to trust.
  static constexpr uint64_t least_voters() {
    if constexpr (requires { T::kLeastVoters; }) {
      return T::kLeastVoters;
    } else {
      return 1;
    }
  }
  std::vector<NodeId> ids() {
    std::vector<NodeId> all;
    for (const auto& [id, node] : cores.nodes()) all.push_back(id);
    return all;
  }
  NodeId any() {
    const auto all = ids();
    return all[random.below(all.size())];
  }

  void start_read(NodeId id) {
    const Position committed = cores.group().committed();
    const ReadId read = cores.read(id, random.one_in(2) ? ReadBarrier::kLease : ReadBarrier::kQuorum);
    begun[read] = committed;
  }
  void check_reads() {
    for (auto& [id, node] : cores.nodes()) {
      for (const ReadReady& read : node.reads) {
        if (read.position < begun[read.id]) stale_reads++;
        answered++;
      }
      node.reads.clear();
    }
  }

  // Damages one record that is not the last, on one node in the life of the world: the others have the entries.
  void damage(NodeId id) {
    auto& node = cores.node(id);
    if (damaged != kNobody || node.disk.size() < 3) return;
    damaged = id;
    auto at = node.disk.begin();
    std::advance(at, static_cast<ptrdiff_t>(random.below(node.disk.size() - 1)));
    const uint64_t count = 1 + random.below(3);
    for (uint64_t i = 0; i < count && std::next(at) != node.disk.end(); ++i, ++at) node.damaged.insert(at->first);
  }

  void reconfigure(NodeId id) {
    if (!cores.up(id)) return;
    std::vector<Member> members = cores.core(id).membership().leave_joint().members();
    if (members.empty()) return;
    const NodeId changed = any();
    const auto at = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.id == changed; });
    if (at == members.end()) {
      const bool learner = random.one_in(2);
      members.push_back({.id = changed, .role = learner ? Role::kLearner : Role::kVoter, .incoming = !learner});
    } else if (at->role == Role::kWitness) {
      return;
    } else if (random.one_in(2)) {
      const bool learner = at->role == Role::kVoter;
      at->role = learner ? Role::kLearner : Role::kVoter;
      at->incoming = !learner;
    } else {
      members.erase(at);
    }
    if (const auto target = Membership::make(members); target.ok()) cores.reconfigure(id, *target);
  }

  void step() {
    const NodeId id = any();
    if (random.below(100) < calm) {
      cores.write(id);
      cores.verify(id);
      for (size_t i = cores.network().size() + 1; i > 0 && !cores.network().empty(); --i) cores.deliver(size_t{0});
      return;
    }
    switch (random.below(24)) {
      case 0:
      case 1:
      case 2:
        cores.advance(static_cast<Time>(random.below(60)) * kMillisecond);
        for (NodeId other : ids()) {
          if (cores.up(other) && cores.core(other).deadline() <= cores.now()) cores.tick(other);
        }
        return;
      case 3:
        if constexpr (requires { T::kGathersCommands; }) {
          std::vector<std::string> commands;
          for (uint64_t i = random.below(6); i > 0; --i) commands.push_back(std::to_string(next_command++));
          cores.propose(id, commands);
        } else {
          cores.propose(id, std::to_string(next_command++));
        }
        return;
      case 4:
      case 5: {
        const NodeId leader = cores.leader();
        if (leader == kNobody) return;
        for (uint64_t i = random.below(4); i > 0; --i) cores.propose(leader, std::to_string(next_command++));
        return;
      }
      case 6:
        start_read(id);
        return;
      case 7:
        if (const NodeId leader = cores.leader(); leader != kNobody) start_read(leader);
        return;
      case 8:
      case 9:
      case 10:
        cores.write(id, 1 + random.below(3));
        return;
      case 11:
        if (!random.one_in(4)) return;
        if (cores.up(id)) {
          cores.crash(id, random.below(3));
          if (damages && random.one_in(3)) damage(id);
        } else if (!cores.node(id).halted) {
          cores.start(id);
        }
        return;
      case 12:
        if (!cores.up(id) && !cores.node(id).halted) cores.start(id);
        return;
      case 13:
        cores.save_snapshot(id);
        for (NodeId other : ids()) {
          if (random.one_in(2)) cores.verify(other, 1 + random.below(20));
        }
        return;
      case 14:
        if (random.one_in(2)) {
          cores.finish_fetch(id, !random.one_in(3));
        } else {
          cores.finish_abandoned_fetch(id);
        }
        return;
      case 15:
        if (random.one_in(6)) reconfigure(cores.leader() == kNobody ? id : cores.leader());
        return;
      case 16:
        if (random.one_in(6)) cores.transfer(id, random.one_in(2) ? kNobody : any());
        return;
      case 17:
        if (random.one_in(8)) cores.cut(any(), id);
        if (random.one_in(4)) cores.heal();
        if (random.one_in(8)) cores.connection(id, any(), random.one_in(2));
        return;
      case 18:
        if (!cores.network().empty()) {
          const size_t at = random.below(cores.network().size());
          if (random.one_in(2)) {
            cores.network().erase(cores.network().begin() + static_cast<ptrdiff_t>(at));
          } else if (cores.network().size() < 500) {
            cores.network().push_back(cores.network()[at]);
          }
        }
        return;
      default: {
        for (uint64_t i = random.below(5); i > 0 && !cores.network().empty(); --i) {
          // Mostly in order.
          cores.deliver(random.one_in(4) ? random.below(cores.network().size()) : size_t{0});
        }
        return;
      }
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps && !cores.failure(); ++i) {
      step();
      check_reads();
    }
    // The healed group goes on.
    cores.heal();
    cores.hold_verifications(false);
    for (NodeId id : ids()) {
      if (!cores.up(id) && !cores.node(id).halted) cores.start(id);
    }
    cores.run(3 * kSecond);
    check_reads();
  }

  Generator random;
  Cores<T> cores;
  Membership founding;
  bool leases = false;
  bool damages = false;
  uint64_t calm = 0;  // how many steps of a hundred just let things happen
  NodeId damaged = kNobody;
  uint64_t next_command = 1;
  std::map<ReadId, Position> begun;
  uint64_t stale_reads = 0;
  uint64_t answered = 0;
};

// "CLEW_RAFT_SEED"
template <typename T>
std::string chaos_variable(std::string_view what) {
  std::string name = "CLEW_";
  for (const char c : T::kName) name.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return name + "_" + std::string(what);
}

template <typename T>
void run_seed(uint64_t seed, uint64_t& committed, uint64_t& reads) {
  SCOPED_TRACE(chaos_variable<T>("SEED") + "=" + std::to_string(seed) +
               " build/release/consensus_test --gtest_filter=*Chaos*");
  Chaos<T> chaos(seed);
  if (std::getenv(chaos_variable<T>("TRACE").c_str()) != nullptr) {
    chaos.cores.trace_to([&](const std::string& line) {
      std::printf("%8.3f %s\n", static_cast<double>(chaos.cores.now()) / kSecond, line.c_str());
    });
  }
  chaos.run(1'500);
  ASSERT_EQ(chaos.cores.failure(), std::nullopt);
  ASSERT_EQ(chaos.stale_reads, 0u);
  const NodeId leader = chaos.cores.leader();
  for (const auto& [id, node] : chaos.cores.nodes()) {
    // A damaged end is refused, and a group of one cannot mend itself.
    ASSERT_FALSE(node.halted && id != chaos.damaged) << *node.halted;
  }
  if (leader == kNobody) {
    ASSERT_NE(chaos.damaged, kNobody) << "no leader in a healed group";
    return;
  }
  const uint64_t command = chaos.next_command++;
  chaos.cores.propose(leader, std::to_string(command));
  chaos.cores.run(2 * kSecond);
  ASSERT_EQ(chaos.cores.failure(), std::nullopt);
  const std::string& state = chaos.cores.node(leader).state;
  ASSERT_NE(("," + state).find("," + std::to_string(command) + ","), std::string::npos) << "no progress after healing";
  const Membership& members = chaos.cores.core(leader).membership();
  for (const auto& [id, node] : chaos.cores.nodes()) {
    const Member* const member = members.find(id);
    if (member == nullptr || member->role == Role::kWitness || node.halted) continue;
    ASSERT_EQ(node.state, state) << "node " << number(id) << " has another state";
  }
  committed += chaos.cores.group().committed();
  reads += chaos.answered;
}

template <typename T>
void run_chaos() {
#ifdef CLEW_MUTANTS
  if (const char* bug = std::getenv("CLEW_BUG"); bug != nullptr) plant(bug_named(bug).value());
#endif
  uint64_t committed = 0;
  uint64_t reads = 0;
  if (const char* one = std::getenv(chaos_variable<T>("SEED").c_str()); one != nullptr) {
    run_seed<T>(std::strtoull(one, nullptr, 10), committed, reads);
    return;
  }
  const char* count = std::getenv(chaos_variable<T>("SEEDS").c_str());
  const uint64_t seeds = count == nullptr ? 150 : std::strtoull(count, nullptr, 10);
  for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFatalFailure(); ++seed)
    run_seed<T>(seed, committed, reads);
  // The schedules do something.
  EXPECT_GT(committed, 20 * seeds);
  EXPECT_GT(reads, 5 * seeds);
}

}  // namespace clew::consensus
