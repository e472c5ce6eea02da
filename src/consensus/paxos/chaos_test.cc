// Random schedules over ideal members: frames lost, repeated and in any order, crashes that lose what was not written,
// duelling proposers. After each step what invariants.h says holds; in the end the healed synod decides everything.
// CLEW_PAXOS_SEEDS=10000 runs more, CLEW_PAXOS_SEED=N one, CLEW_PAXOS_TRACE=1 prints what happens.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"
#include "consensus/paxos/decrees_test.h"
#include "consensus/planted.h"

namespace clew::consensus::paxos {
namespace {

struct Sums {
  uint64_t decided = 0;
  uint64_t ballots = 0;
};

class Chaos {
 public:
  explicit Chaos(uint64_t seed)
      : random_(seed), telling_(draw_telling()), synod_(1 + random_.below(5), telling_, seed) {
    if (std::getenv("CLEW_PAXOS_TRACE") != nullptr) {
      synod_.trace_to([](const std::string& what) { std::printf("%s\n", what.c_str()); });
    }
  }

  void run(Sums& sums) {
    for (int i = 0; i < 600 && !synod_.failure(); ++i) step();
    ASSERT_EQ(synod_.failure(), std::nullopt);
    for (const NodeId id : synod_.acceptors()) {
      if (!synod_.up(id)) synod_.start(id);
    }
    synod_.settle();
    // One after the other, so that nobody duels: what was begun is decided, and whoever asks is told.
    for (const NodeId id : synod_.acceptors()) {
      for (uint64_t decree = 0; decree < kDecrees; ++decree) {
        synod_.node(id).core->give_up(synod_.now(), name(decree));
      }
    }
    for (const NodeId id : synod_.acceptors()) {
      for (uint64_t decree = 0; decree < kDecrees; ++decree) {
        (void)propose(id, decree);
        for (int tries = 0; tries < 20 && !synod_.chosen(id, name(decree)) && !synod_.failure(); ++tries) {
          synod_.settle();
          if (!synod_.chosen(id, name(decree))) synod_.timeout(id);
        }
        ASSERT_EQ(synod_.failure(), std::nullopt);
        ASSERT_TRUE(synod_.chosen(id, name(decree))) << "a healed synod does not decide";
      }
    }
    sums.decided += synod_.check().decided();
    sums.ballots += synod_.check().ballots();
  }

 private:
  static constexpr uint64_t kDecrees = 3;
  static std::string name(uint64_t decree) { return "decree-" + std::to_string(decree); }

  DecreesOptions draw_telling() {
    DecreesOptions options;
    if (random_.one_in(2)) options.telling = Telling::kAcceptors;
    return options;
  }
  NodeId any() { return synod_.acceptors()[random_.below(synod_.acceptors().size())]; }
  Status propose(NodeId id, uint64_t decree) {
    // Values whose order says nothing about the order of the ballots.
    return synod_.propose(id, name(decree), std::to_string(random_.below(1'000)) + "/" + std::to_string(next_++));
  }

  void step() {
    const NodeId id = any();
    switch (random_.below(16)) {
      case 0:
        if (synod_.up(id)) (void)propose(id, random_.below(kDecrees));
        return;
      case 1:
        synod_.timeout(id);
        return;
      case 2:
        synod_.advance(static_cast<Time>(random_.below(100)) * kMillisecond);
        for (const NodeId other : synod_.acceptors()) synod_.tick(other);
        return;
      case 3:
        if (random_.one_in(3)) {
          synod_.up(id) ? synod_.crash(id) : synod_.start(id);
        } else if (!synod_.up(id)) {
          synod_.start(id);
        }
        return;
      case 4:
      case 5:
      case 6:
      case 7:
        if (synod_.up(id)) synod_.write(id, 1 + random_.below(4));
        return;
      case 8: {
        auto& network = synod_.network();
        if (network.empty()) return;
        const size_t at = random_.below(network.size());
        if (random_.one_in(2)) {
          network.erase(network.begin() + static_cast<ptrdiff_t>(at));
        } else if (network.size() < 200) {
          network.push_back(network[at]);
        }
        return;
      }
      default:
        for (uint64_t i = random_.below(4); i > 0 && !synod_.network().empty(); --i) {
          synod_.deliver(random_.one_in(3) ? random_.below(synod_.network().size()) : size_t{0});
        }
        return;
    }
  }

  Generator random_;
  const DecreesOptions telling_;
  Synod synod_;
  uint64_t next_ = 1;
};

TEST(PaxosChaos, agreementHoldsUnderRandomSchedules) {
#ifdef CLEW_MUTANTS
  if (const char* bug = std::getenv("CLEW_BUG"); bug != nullptr) plant(bug_named(bug).value());
#endif
  Sums sums;
  const auto run = [&](uint64_t seed) {
    SCOPED_TRACE("CLEW_PAXOS_SEED=" + std::to_string(seed) +
                 " build/release/consensus_test --gtest_filter=PaxosChaos*");
    Chaos(seed).run(sums);
  };
  if (const char* one = std::getenv("CLEW_PAXOS_SEED"); one != nullptr) return run(std::strtoull(one, nullptr, 10));
  const char* count = std::getenv("CLEW_PAXOS_SEEDS");
  const uint64_t seeds = count == nullptr ? 300 : std::strtoull(count, nullptr, 10);
  for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFatalFailure(); ++seed) run(seed);
  EXPECT_EQ(sums.decided, 3 * seeds);
  EXPECT_GT(sums.ballots, 9 * seeds);  // they duel
}

}  // namespace
}  // namespace clew::consensus::paxos
