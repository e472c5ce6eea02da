// One member of single-decree Paxos on simulated time and disk: what of its log must be there, and what it does when it
// is not.
#include "consensus/paxos/decree_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk.h"
#include "sim/loop.h"
#include "sim/random.h"
#include "sim/scheduler.h"

namespace clew::consensus::paxos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kLog = "/decrees";
constexpr const char* kVoucherFile = "/replica/decrees";
const std::vector<NodeId> kThree = {NodeId{1}, NodeId{2}, NodeId{3}};

struct Watched final : DecreeObserver {
  void on_decree_fact(const Fact& fact) override { refusals.emplace_back(fact.reason); }
  void on_decree_phase(const std::string& decree, const PhaseEnd& phase) override {
    phases.push_back(decree + (phase.phase == PhaseEnd::Phase::kPrepare ? " prepare " : " accept ") +
                     ballot_text(phase.ballot) + " " + std::string(phase.result) +
                     " answers=" + std::to_string(phase.answers) +
                     " ms=" + std::to_string((phase.ended - phase.began) / kMillisecond));
  }
  std::vector<std::string> refusals, phases;
};

// One life of member 1. Its death is the destructor, or the disk's.
class Member {
 public:
  Member(sim::SimDisk& disk, bool first_start, uint64_t life = 1) : loop(scheduler), random(life) {
    DecreesOptions options;
    options.self = NodeId{1};
    auto opened = DecreeHost::open(
        {loop,
         disk,
         random,
         [this](NodeId to, std::string frame) {
           said.push_back(std::to_string(number(to)) + ": " + to_string(parse_frame(frame).value().message));
         },
         {},
         &watched},
        {kLog, "/replica", first_start}, options, [this](Status why) { halts.push_back(std::move(why)); });
    status = opened.status();
    if (opened.ok()) host = std::move(opened).value();
    run(10 * kMillisecond);
  }
  void run(Time time) { scheduler.run_for(time); }
  void settle() { run(2 * kSecond); }

  void hear(uint64_t from, MessageKind kind, Ballot ballot, std::string value = {}) {
    Message message;
    message.kind = kind;
    message.ballot = ballot;
    message.value = std::move(value);
    host->receive(NodeId{from}, encode({"colour", kThree, message}));
    run(10 * kMillisecond);
  }
  void vote_for_red() {
    hear(2, MessageKind::kPrepare, {1, NodeId{2}, 1});
    hear(2, MessageKind::kAccept, {1, NodeId{2}, 1}, "red");
  }
  // What it answers to a proposer that knows nothing of red.
  std::vector<std::string> asked_anew() {
    said.clear();
    hear(3, MessageKind::kPrepare, {9, NodeId{3}, 1});
    return said;
  }

  sim::Scheduler scheduler;
  sim::SimLoop loop;
  sim::SimRandom random;
  Watched watched;
  std::vector<std::string> said;
  std::vector<Status> halts;
  Status status;
  std::unique_ptr<DecreeHost> host;
};

std::vector<std::string> log_files(sim::SimDisk& disk) {
  std::vector<std::string> paths;
  for (const auto& info : disk.files()) {
    if (info.path.starts_with(kLog) && info.path.ends_with(".wal")) paths.push_back(info.path);
  }
  return paths;
}
void write(sim::SimDisk& disk, const std::string& path, uint64_t offset, const std::string& bytes) {
  auto file = disk.open(path, {.writable = true});
  ASSERT_TRUE(file.ok() && (*file)->write_at(offset, bytes).ok() && (*file)->sync().ok());
}

TEST(DecreeHost, whatItSaidItRemembersInItsNextLife) {
  sim::SimDisk disk;
  {
    Member first(disk, true);
    ASSERT_TRUE(first.status.ok()) << first.status.to_string();
    first.vote_for_red();
    EXPECT_THAT(first.said, ElementsAre("2: promise 1.2 accepted nothing", "2: accepted 1.2 \"red\""));
  }
  disk.crash_and_restart(7);
  Member second(disk, false, 2);
  EXPECT_EQ(second.host->abstains(), "");
  EXPECT_THAT(second.asked_anew(), ElementsAre("3: promise 9.3 accepted 1.2 \"red\""));
}

// --- Loss ---

struct Loss {
  const char* name;
  std::function<void(sim::SimDisk&)> deal;
};

class LostLog : public testing::TestWithParam<Loss> {};

TEST_P(LostLog, isNoFirstStartAndItsMemberAbstainsForGood) {
  sim::SimDisk disk;
  {
    Member first(disk, true);
    first.vote_for_red();
    first.settle();
  }
  uint64_t incarnation = 0;
  {
    Member second(disk, false, 2);
    second.host->propose("shape", kThree, "round", kSecond, [](const auto&) {});
    second.settle();
    incarnation = second.host->decrees().incarnation();
  }
  disk.kill_and_restart();
  GetParam().deal(disk);
  for (uint64_t life = 3; life < 6; ++life) {
    Member again(disk, false, life);
    ASSERT_TRUE(again.status.ok()) << again.status.to_string();
    EXPECT_THAT(again.host->abstains(), HasSubstr("votes for no decree"));
    EXPECT_THAT(again.asked_anew(), IsEmpty());
    again.hear(3, MessageKind::kAccept, {9, NodeId{3}, 1}, "blue");
    EXPECT_THAT(again.said, IsEmpty());
    EXPECT_GT(again.host->decrees().incarnation(), incarnation);
    incarnation = again.host->decrees().incarnation();
    again.host->propose("size", kThree, "small", 100 * kMillisecond, [](const auto&) {});
    again.settle();
    const std::string ballot = "1.1(" + std::to_string(incarnation) + ")";
    EXPECT_THAT(again.said, ElementsAre("2: prepare " + ballot, "3: prepare " + ballot)) << "under a ballot of its own";
    disk.crash_and_restart(life);
  }
  Member learns(disk, false, 6);
  learns.hear(3, MessageKind::kChosen, {9, NodeId{3}, 1}, "red");
  EXPECT_THAT(learns.asked_anew(), ElementsAre("3: chosen 9.3 \"red\"")) << "that it knows";
}

INSTANTIATE_TEST_SUITE_P(
    Ways, LostLog,
    testing::Values(Loss{"allFiles",
                         [](sim::SimDisk& disk) {
                           for (const auto& path : log_files(disk)) ASSERT_TRUE(disk.remove(path).ok());
                         }},
                    Loss{"theFirstFile", [](sim::SimDisk& disk) { ASSERT_TRUE(disk.remove(log_files(disk)[0]).ok()); }},
                    Loss{"theLastFile",
                         [](sim::SimDisk& disk) { ASSERT_TRUE(disk.remove(log_files(disk).back()).ok()); }},
                    Loss{"zeros",
                         [](sim::SimDisk& disk) {
                           for (const auto& path : log_files(disk)) write(disk, path, 0, std::string(64 << 10, '\0'));
                         }},
                    Loss{"cutShort",
                         [](sim::SimDisk& disk) {
                           for (const auto& path : log_files(disk)) {
                             auto file = disk.open(path, {.writable = true});
                             ASSERT_TRUE(file.ok() && (*file)->truncate(0).ok() && (*file)->sync().ok());
                           }
                         }},
                    // What remains is a torn tail to the log: two groups that were there once.
                    Loss{"theLastGroupAndAByteOfTheOneBefore",
                         [](sim::SimDisk& disk) {
                           const std::string path = log_files(disk).back();
                           disk.flip(path, 4096 + 60, 1);
                           write(disk, path, 2 * 4096, std::string(64 << 10, '\0'));
                         }},
                    Loss{"whatVouchesForIt", [](sim::SimDisk& disk) { disk.flip(kVoucherFile, 20, 1); }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(DecreeHost, aHoleInTheLogCostsTheVoteWhileItShows) {
  sim::SimDisk disk;
  {
    Member first(disk, true);
    first.vote_for_red();
    first.settle();
  }
  disk.kill_and_restart();
  const std::string path = log_files(disk)[0];
  disk.flip(path, 4096 + 60, 1);  // the promise; a mark stands in front of it
  for (uint64_t life = 2; life < 5; ++life) {
    Member again(disk, false, life);
    EXPECT_THAT(again.host->abstains(), HasSubstr("is damaged"));
    EXPECT_THAT(again.asked_anew(), IsEmpty());
    again.settle();
    disk.crash_and_restart(life);
  }
  disk.flip(path, 4096 + 60, 1);  // as it was: nothing is lost
  Member mended(disk, false, 9);
  EXPECT_EQ(mended.host->abstains(), "");
  EXPECT_THAT(mended.asked_anew(), ElementsAre("3: promise 9.3 accepted 1.2 \"red\""));
}

// --- Directories of earlier versions ---

TEST(DecreeHost, aLogWithoutAVoucherIsTakenAsItIs) {
  sim::SimDisk disk;
  {
    Member first(disk, true);
    first.vote_for_red();
    first.settle();
  }
  disk.kill_and_restart();
  ASSERT_TRUE(disk.remove(kVoucherFile).ok());
  {
    Member second(disk, false, 2);
    EXPECT_EQ(second.host->abstains(), "");
    EXPECT_THAT(second.asked_anew(), ElementsAre("3: promise 9.3 accepted 1.2 \"red\""));
  }
  EXPECT_TRUE(disk.exists(kVoucherFile)) << "from now on there is one";
}

TEST(DecreeHost, aMemberThatWasStartedBeforeHasALog) {
  sim::SimDisk disk;
  Member member(disk, false);
  EXPECT_THAT(member.host->abstains(), HasSubstr("was lost"));
  EXPECT_THAT(member.asked_anew(), IsEmpty());
}

// --- Crashes ---

// Whatever of a first start and of the first votes is cut off: the next start is a start like any other, and what was
// said is remembered; unless the log is lost then: whoever has said anything abstains.
TEST(DecreeHost, aCrashAtAnyIoOfAFirstStartIsNoLossAndALossBehindItIsOne) {
  bool finished = false;
  for (uint64_t nth = 1; !finished; ++nth) {
    ASSERT_LT(nth, 1'000u);
    for (const bool loses : {false, true}) {
      sim::SimDisk disk;
      disk.crash_at_io(nth);
      bool started = false, accepted = false, spoke = false;
      {
        Member first(disk, true);
        started = first.status.ok();
        if (started) {
          first.vote_for_red();
          first.settle();
        }
        finished = !disk.crashed();
        spoke = !first.said.empty();
        accepted = first.said.size() == 2;
      }
      disk.crash_and_restart(nth);
      if (loses) {
        for (const auto& path : log_files(disk)) ASSERT_TRUE(disk.remove(path).ok());
      }
      Member second(disk, !started, 2);
      ASSERT_TRUE(second.status.ok()) << nth << ": " << second.status.to_string();
      if (loses && spoke) {
        EXPECT_THAT(second.host->abstains(), HasSubstr("was lost")) << nth;
      } else if (!loses) {
        EXPECT_EQ(second.host->abstains(), "") << nth;
        const auto known = second.host->decrees().find("colour");
        if (accepted) EXPECT_TRUE(known && known->acceptor.accepted.value == "red") << nth;
      }
    }
  }
}

TEST(DecreeHost, withoutRoomForTheVoucherNothingLeavesUntilThereIsSome) {
  sim::SimDisk disk;
  Member member(disk, true);
  disk.set_capacity(0);  // the log has its space already
  member.vote_for_red();
  member.settle();
  EXPECT_THAT(member.said, IsEmpty());
  disk.set_capacity(UINT64_MAX);
  member.settle();
  EXPECT_THAT(member.said, ElementsAre("2: promise 1.2 accepted nothing", "2: accepted 1.2 \"red\""));
  EXPECT_THAT(member.halts, IsEmpty());
}

// --- What it says about itself ---

TEST(DecreeHost, phasesAndRefusalsAreTold) {
  sim::SimDisk disk;
  Member member(disk, true);
  member.host->propose("solo", {NodeId{1}}, "blue", kSecond, [](const auto&) {});
  member.run(50 * kMillisecond);
  EXPECT_THAT(member.watched.phases,
              ElementsAre("solo prepare 1.1 promised answers=1 ms=0", "solo accept 1.1 chosen answers=1 ms=0"));
  member.hear(2, MessageKind::kPrepare, {5, NodeId{2}, 1});
  member.hear(3, MessageKind::kPrepare, {4, NodeId{3}, 1});
  member.host->receive(NodeId{2}, "nonsense");
  member.run(10 * kMillisecond);
  EXPECT_THAT(member.watched.refusals, ElementsAre("a higher ballot is promised", "malformed"));
  member.host->propose("shape", kThree, "round", kSecond, [](const auto&) {});
  member.run(250 * kMillisecond);
  EXPECT_EQ(member.watched.phases.back(), "shape prepare 1.1 unanswered answers=1 ms=200");
}

}  // namespace
}  // namespace clew::consensus::paxos
