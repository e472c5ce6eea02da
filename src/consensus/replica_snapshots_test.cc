#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/replica_rig_test.h"
#include "consensus/snapshot_files.h"

namespace clew::consensus {
namespace {

using ::testing::ElementsAre;

TEST(ReplicaSnapshots, aRestartBeginsWithTheSnapshotAndTheLogIsLetGoOf) {
  sim::SimDisk disk;
  ReplicaOptions options = solo_options();
  options.log_file_bytes = 64 << 10;
  options.snapshot_every_bytes = 200 << 10;
  Hash128 digest;
  uint64_t used = 0;
  {
    Life life(disk, options);
    for (int i = 0; i < 300; ++i) {
      life.submit(std::to_string(i) + std::string(10'000, 'x'));
      life.scheduler.run_for(5 * kMillisecond);
    }
    life.settle();
    EXPECT_EQ(life.machine.list.size(), 300u);
    EXPECT_GT(life.replica->stats().snapshots_saved, 3u);
    digest = life.replica->digest();
    for (const auto& file : disk.files()) used += file.path.starts_with("/data/log/") ? file.size : 0;
  }
  EXPECT_LT(used, 1'000'000u);  // of three million that were written
  disk.crash_and_restart(1);
  Life life(disk, options, 2);
  life.settle();
  EXPECT_TRUE(life.protocol->had_snapshot);
  EXPECT_EQ(life.replica->digest(), digest);
  EXPECT_EQ(life.machine.list.size(), 300u);
}

TEST(ReplicaSnapshots, twoAreKeptAndLeftoversGo) {
  sim::SimDisk disk;
  {
    Life life(disk, solo_options());
    for (int i = 0; i < 5; ++i) {
      life.submit("x");
      life.settle();
      life.replica->take_snapshot();
      life.settle();
    }
    EXPECT_EQ(life.replica->stats().snapshots_saved, 5u);
  }
  EXPECT_THAT(disk.list("/data/snapshots").value(), ElementsAre(snapshot_file_name(4), snapshot_file_name(5)));
  disk.kill_and_restart();
  { auto file = disk.open("/data/snapshots/written-9.part", {.create = true, .writable = true}); }
  Life life(disk, solo_options(), 2);
  EXPECT_THAT(disk.list("/data/snapshots").value(), ElementsAre(snapshot_file_name(4), snapshot_file_name(5)));
}

TEST(ReplicaSnapshots, theProtocolLearnsThatItsSnapshotIsDamaged) {
  sim::SimDisk disk;
  {
    Life life(disk, solo_options());
    life.submit("x");
    life.settle();
    life.replica->take_snapshot();
    life.settle();
  }
  disk.kill_and_restart();
  disk.flip("/data/snapshots/" + snapshot_file_name(1), 12, 1);
  Life life(disk, solo_options(), 2);
  ASSERT_TRUE(life.open_status.ok());
  EXPECT_FALSE(life.protocol->had_snapshot);
  EXPECT_EQ(life.replica->applied(), 0u);
}

TEST(ReplicaSnapshots, aSnapshotThatCannotBeReadAtOnceIsTriedAgain) {
  sim::SimDisk disk;
  {
    Life life(disk, solo_options());
    life.submit("x");
    life.settle();
    life.replica->take_snapshot();
    life.settle();
  }
  disk.kill_and_restart();
  disk.fail_reads("/data/snapshots/" + snapshot_file_name(1), 12, 1, 2);
  Life life(disk, solo_options(), 2);
  ASSERT_TRUE(life.open_status.ok());
  EXPECT_TRUE(life.protocol->had_snapshot);
  EXPECT_EQ(life.replica->applied(), 1u);
}

TEST(ReplicaSnapshots, aDiskThatIsFullForASnapshotHarmsNothing) {
  sim::SimDisk disk;
  Life life(disk, solo_options());
  for (int i = 0; i < 10; ++i) life.submit(std::string(3'000, 'x'));
  life.settle();
  disk.set_capacity(disk.used_bytes());
  life.replica->take_snapshot();
  life.settle();
  EXPECT_EQ(life.replica->stats().snapshots_failed, 1u);
  EXPECT_FALSE(life.replica->halted());
  EXPECT_TRUE(disk.list("/data/snapshots").value().empty());
  disk.set_capacity(UINT64_MAX);
  life.replica->take_snapshot();
  life.settle();
  EXPECT_EQ(life.replica->stats().snapshots_saved, 1u);
}

TEST(ReplicaSnapshots, aCutAtAnyMomentOfASnapshotLosesNothing) {
  uint64_t before = 0, after = 0;
  const auto run = [&](sim::SimDisk& disk, bool measure, uint64_t cut) {
    Life life(disk, solo_options());
    for (int i = 0; i < 3; ++i) {
      life.submit("x" + std::to_string(i));
      life.settle();
    }
    if (measure) before = disk.io_count();
    if (cut > 0) disk.crash_at_io(cut);
    life.replica->take_snapshot();
    life.settle();
    if (measure) after = disk.io_count();
    life.loop.kill();
  };
  {
    sim::SimDisk disk;
    run(disk, true, 0);
  }
  ASSERT_GT(after, before + 4);
  for (uint64_t cut = before + 1; cut <= after; ++cut) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      sim::SimDisk disk;
      run(disk, false, cut);
      disk.crash_and_restart(seed);
      Life life(disk, solo_options(), 2);
      ASSERT_TRUE(life.open_status.ok()) << cut << ": " << life.open_status.to_string();
      life.settle();
      EXPECT_THAT(life.machine.list, ElementsAre("x0", "x1", "x2")) << cut;
    }
  }
}

// --- Snapshots between replicas ---

struct Pair {
  Pair() : left(left_disk, options(1)) {
    for (int i = 0; i < 50; ++i) left.submit("command " + std::to_string(i));
    left.settle();
    left.replica->take_snapshot();
    left.settle();
    right = std::make_unique<Life>(right_disk, options(2), 2);
    left.transport.on_send = [this](NodeId to, const std::string& frame) {
      if (to == NodeId{2} && frame.back() == 2) to_right.push_back(frame);
    };
    right->transport.on_send = [this](NodeId to, const std::string& frame) {
      if (to == NodeId{1} && frame.back() == 2) to_left.push_back(frame);
    };
  }
  static ReplicaOptions options(uint64_t node) {
    ReplicaOptions options = solo_options();
    options.self = NodeId{node};
    options.snapshot_chunk_bytes = 100;
    return options;
  }
  // Carries frames over; the `lose`th one is lost, the `damage`th one arrives with another bit.
  void exchange(int rounds, int lose = 0, int damage = 0) {
    int count = 0;
    for (int i = 0; i < rounds; ++i) {
      for (std::string& frame : std::exchange(to_left, {})) {
        left.transport.handler.on_frame(NodeId{2}, Instance{22}, frame);
      }
      for (std::string& frame : std::exchange(to_right, {})) {
        ++count;
        if (count == lose) continue;
        if (count == damage) frame[frame.size() / 2] ^= 1;
        right->transport.handler.on_frame(NodeId{1}, Instance{11}, frame);
      }
      left.scheduler.run_for(100 * kMillisecond);
      right->scheduler.run_for(100 * kMillisecond);
    }
  }
  void want() {
    right->protocol->wanted = FetchSnapshot{NodeId{1}, left.protocol->saved.back()};
    right->submit("makes a turn");
    right->settle();
  }
  bool arrived() const { return right->machine.list == left.machine.list; }

  sim::SimDisk left_disk, right_disk;
  Life left;
  std::unique_ptr<Life> right;
  std::vector<std::string> to_left, to_right;
};

TEST(ReplicaExchange, aSnapshotIsPulledInChunksAndInstalled) {
  Pair pair;
  pair.want();
  pair.exchange(60);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_TRUE(pair.right->protocol->fetched[0].second);
  EXPECT_TRUE(pair.arrived());
  EXPECT_EQ(pair.right->replica->applied(), 50u);
  const auto next = pair.right->submit("fifty-first");
  pair.right->settle();
  EXPECT_EQ(next->text, "51");

  pair.right.reset();
  pair.right_disk.crash_and_restart(4);
  Life again(pair.right_disk, Pair::options(2), 3);
  again.settle();
  EXPECT_EQ(again.machine.list.size(), 51u);
}

TEST(ReplicaExchange, aLostAndADamagedChunkAreAskedForAgain) {
  for (int nth = 1; nth <= 5; ++nth) {
    Pair pair;
    pair.want();
    pair.exchange(80, nth, nth + 2);
    EXPECT_TRUE(pair.arrived()) << nth;
  }
}

// A slow log keeps the install waiting, and meanwhile the file goes bad: the member says what happened and stops, and
// its next life fetches the snapshot again.
TEST(ReplicaExchange, aFetchedSnapshotThatGoesBadBeforeItIsInstalled_haltsAndSaysSo) {
  for (const bool unreadable : {true, false}) {
    Pair pair;
    pair.right_disk.set_latency(400 * kMillisecond);
    pair.want();
    while (pair.right->protocol->fetched.empty()) pair.exchange(1);
    ASSERT_FALSE(pair.arrived());
    const auto files = pair.right_disk.list("/data/snapshots").value();
    ASSERT_EQ(files.size(), 1u);
    const std::string path = "/data/snapshots/" + files[0];
    unreadable ? pair.right_disk.damage(path, 100, 1) : pair.right_disk.flip(path, 100, 1);
    for (int i = 0; i < 20 && pair.right->halts.empty(); ++i) pair.exchange(1);
    EXPECT_TRUE(pair.right->replica->halted());
    ASSERT_EQ(pair.right->halts.size(), 1u);
    EXPECT_THAT(std::string(pair.right->halts[0].message()), testing::HasSubstr("/data/snapshots"));
    EXPECT_EQ(pair.right->halts[0].message().find("has changed") != std::string_view::npos, !unreadable);
  }
}

struct Chunk {
  uint64_t offset = 0;
  size_t begin = 0;  // of its bytes in the frame
};
std::optional<Chunk> chunk_in(const std::string& frame) {
  // chunk = kind:u8 position:varint digest:32 offset:varint checksum:u32 bytes, and the replica's mark behind it.
  ByteReader in(std::string_view(frame).substr(0, frame.size() - 1));
  if (in.fixed<uint8_t>() != 2) return std::nullopt;
  in.varint();
  in.skip(32);
  Chunk chunk;
  chunk.offset = in.varint();
  in.skip(4);
  if (!in.ok() || in.remaining() == 0) return std::nullopt;
  chunk.begin = frame.size() - 1 - in.remaining();
  return chunk;
}
std::string bytes_of(const std::string& frame, const Chunk& chunk) {
  return frame.substr(chunk.begin, frame.size() - 1 - chunk.begin);
}

// Other bytes in a chunk, with the checksum that belongs to them.
void forge(std::string& frame, const Chunk& chunk, std::string_view bytes) {
  const uint32_t checksum = checksum32(bytes);
  std::memcpy(frame.data() + chunk.begin - sizeof checksum, &checksum, sizeof checksum);
  frame.replace(chunk.begin, frame.size() - 1 - chunk.begin, bytes);
}

// Whoever serves the state may be a liar: the checksum of a chunk is his to choose, the digest of the whole is not.
TEST(ReplicaExchange, aChunkThatItsServerAlteredIsRefusedAndFetchedFromAnother) {
  Pair pair;
  pair.want();
  size_t altered = 0;
  for (int i = 0; i < 60 && pair.right->protocol->fetched.empty(); ++i) {
    for (std::string& frame : pair.to_right) {
      const auto chunk = chunk_in(frame);
      if (!chunk || chunk->offset > 0) continue;
      std::string bytes = bytes_of(frame, *chunk);
      bytes[bytes.size() / 2] ^= 1;
      forge(frame, *chunk, bytes);
      ++altered;
    }
    pair.exchange(1);
  }
  EXPECT_EQ(altered, 1u);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_FALSE(pair.right->protocol->fetched[0].second);
  EXPECT_FALSE(pair.arrived());
  EXPECT_TRUE(pair.right_disk.list("/data/snapshots").value().empty());
  pair.want();  // of somebody who does not lie
  pair.exchange(60);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 2u);
  EXPECT_TRUE(pair.right->protocol->fetched[1].second);
  EXPECT_TRUE(pair.arrived());
}

// A byte now and then would keep a transfer alive for ever, and its member out of the group.
TEST(ReplicaExchange, aSourceThatServesLessOrMoreThanItWasAskedForIsGivenUp) {
  for (const bool more : {false, true}) {
    Pair pair;
    pair.want();
    size_t served = 0;
    for (int i = 0; i < 60 && pair.right->protocol->fetched.empty(); ++i) {
      for (std::string& frame : pair.to_right) {
        const auto chunk = chunk_in(frame);
        if (!chunk) continue;
        const std::string asked_for = bytes_of(frame, *chunk);
        forge(frame, *chunk, more ? asked_for + "b" : asked_for.substr(0, 1));
        ++served;
      }
      pair.exchange(1);
    }
    ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
    EXPECT_FALSE(pair.right->protocol->fetched[0].second);
    EXPECT_EQ(served, 1u);
    pair.want();  // of somebody who does as he is asked
    pair.exchange(60);
    ASSERT_EQ(pair.right->protocol->fetched.size(), 2u);
    EXPECT_TRUE(pair.arrived());
  }
}

TEST(ReplicaExchange, aBrokenConnectionGoesOnWhereItStood) {
  Pair pair;
  pair.want();
  pair.exchange(4);
  pair.to_left.clear();
  pair.to_right.clear();
  pair.right->transport.handler.on_connection(NodeId{1}, false);
  pair.right->transport.handler.on_connection(NodeId{1}, true);
  pair.right->settle();
  ASSERT_FALSE(pair.to_left.empty());
  const size_t chunks_before = pair.left.transport.sent.size();
  pair.exchange(60);
  EXPECT_TRUE(pair.arrived());
  const uint64_t state = pair.left.protocol->saved.back().bytes;
  EXPECT_LT(pair.left.transport.sent.size() - chunks_before, state / 100);  // not from the beginning
}

TEST(ReplicaExchange, whatThePeerDoesNotHaveIsReportedToTheProtocol) {
  Pair pair;
  pair.right->protocol->wanted = FetchSnapshot{NodeId{1}, pair.left.protocol->saved.back()};
  pair.right->protocol->wanted->meta.position = 7;
  pair.right->submit("makes a turn");
  pair.right->settle();
  pair.exchange(5);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_FALSE(pair.right->protocol->fetched[0].second);
}

TEST(ReplicaExchange, aSourceThatIsDamagedIsRefusedAndMadeAnew) {
  Pair pair;
  pair.left.submit("one more");
  pair.left.settle();
  pair.left_disk.flip("/data/snapshots/" + snapshot_file_name(50), 300, 1);
  pair.want();
  pair.exchange(5);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_FALSE(pair.right->protocol->fetched[0].second);
  EXPECT_EQ(pair.left.protocol->saved.back().position, 51u);
}

TEST(ReplicaExchange, aSnapshotThatIsBeingFetchedStaysUntilNobodyAsksForIt) {
  Pair pair;
  const auto another = [&] {
    pair.left.submit("one more");
    pair.left.settle();
    pair.left.replica->take_snapshot();
    pair.left.settle();
  };
  const auto kept = [&] { return pair.left_disk.list("/data/snapshots").value().size(); };
  pair.want();
  pair.exchange(4);
  for (int i = 0; i < 5; ++i) another();
  EXPECT_EQ(kept(), 3u);  // the two newest, and that one
  pair.exchange(60);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_TRUE(pair.right->protocol->fetched[0].second);
  EXPECT_EQ(pair.right->replica->applied(), 50u);
  pair.left.scheduler.run_for(31 * kSecond);
  another();
  EXPECT_EQ(kept(), 2u);
}

TEST(ReplicaExchange, aSilentPeerIsGivenUp) {
  Pair pair;
  pair.want();
  pair.right->scheduler.run_for(40 * kSecond);
  ASSERT_EQ(pair.right->protocol->fetched.size(), 1u);
  EXPECT_FALSE(pair.right->protocol->fetched[0].second);
  EXPECT_TRUE(pair.right_disk.list("/data/snapshots").value().empty());
}

TEST(ReplicaExchange, framesThatNobodyAskedForAreRefused) {
  Pair pair;
  Generator random(5);
  for (int i = 0; i < 2'000; ++i) {
    std::string frame(random.below(60), '\0');
    for (char& byte : frame) byte = static_cast<char>(random.next());
    if (!frame.empty()) frame[0] = static_cast<char>(random.below(5));
    frame.push_back(2);
    pair.left.transport.handler.on_frame(NodeId{2}, Instance{22}, frame);
    pair.left.scheduler.run_for(kMillisecond);
  }
  EXPECT_FALSE(pair.left.replica->halted());
  pair.want();
  pair.exchange(60);
  EXPECT_TRUE(pair.arrived());
}

}  // namespace
}  // namespace clew::consensus
