// Both spaces as one state machine: what one snapshot, one digest and one log mean for two stores and two engines.
#include "kv/spaces.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "kv/machine_test.h"

namespace clew::kv {
namespace {

// A memory engine that outlives its process, as a directory does.
class KeptEngine final : public Engine {
 public:
  explicit KeptEngine(MemoryEngine& kept) : kept_(kept) {}
  const EngineMark& mark() const override { return kept_.mark(); }
  Status commit(EngineBatch& batch, const EngineMark& mark) override { return kept_.commit(batch, mark); }
  Status get(std::string_view key, std::string& value) const override { return kept_.get(key, value); }
  Status scan(std::string_view begin, std::string_view end, EngineVisitor visit) const override {
    return kept_.scan(begin, end, std::move(visit));
  }
  std::shared_ptr<const EngineView> view() const override { return kept_.view(); }
  Status reset() override { return kept_.reset(); }
  bool persistent() const override { return true; }

 private:
  MemoryEngine& kept_;
};

Spaces::Engines memory_engines() { return {std::make_unique<MemoryEngine>(), std::make_unique<MemoryEngine>()}; }

std::unique_ptr<Spaces> open(Spaces::Engines engines) {
  static const CustomRegistry registry;
  return Spaces::open(std::move(engines), registry).value();
}

std::string snapshot_of(Spaces& spaces) {
  StringSink sink;
  EXPECT_TRUE(spaces.freeze()(sink).ok());
  return sink.bytes();
}

Space space_of(uint64_t number) { return number % 3 == 0 ? Space::kSystem : Space::kUser; }

// Commands of both spaces, a few of them refused.
std::vector<std::string> random_commands(uint64_t seed, size_t count) {
  Generator random(seed);
  std::vector<std::string> commands;
  for (size_t i = 0; i < count; ++i) {
    const std::string key = "key" + std::to_string(random.below(20));
    const Space space = space_of(random.next());
    switch (random.below(6)) {
      case 0:
        commands.push_back(Spaces::command(space, DeleteRangeRequest{.key = key, .range_end = "", .prev_kv = true}));
        break;
      case 1:
        commands.push_back(Spaces::command(space, CompactRequest{static_cast<Revision>(random.below(count))}));
        break;
      case 2:
        commands.push_back(Spaces::command(space, AppendRequest{key, std::string(random.below(9'000), 'a')}));
        break;
      default:
        commands.push_back(Spaces::command(space, PutRequest{.key = key, .value = std::to_string(random.next())}));
    }
  }
  return commands;
}

TEST(Spaces, eachSpaceHasKeysAndRevisionsOfItsOwn) {
  auto spaces = open(memory_engines());
  EXPECT_TRUE(
      decode_response(spaces->apply({1, 0}, Spaces::command(Space::kUser, PutRequest{.key = "a", .value = ""}))).ok());
  EXPECT_TRUE(
      decode_response(spaces->apply({2, 0}, Spaces::command(Space::kUser, PutRequest{.key = "b", .value = ""}))).ok());
  EXPECT_TRUE(
      decode_response(spaces->apply({3, 0}, Spaces::command(Space::kSystem, PutRequest{.key = "a", .value = ""})))
          .ok());
  EXPECT_EQ(spaces->machine(Space::kUser).store().revision(), 3);
  EXPECT_EQ(spaces->machine(Space::kSystem).store().revision(), 2);
  const auto every = decode_response(spaces->query(
      Spaces::command(Space::kUser, RangeRequest{.key = std::string(1, '\0'), .range_end = std::string(1, '\0')})));
  EXPECT_EQ(std::get<RangeResponse>(*every).count, 2);
}

TEST(Spaces, whatNamesNoSpaceIsAnsweredAndChangesNothing) {
  auto spaces = open(memory_engines());
  const Hash128 before = spaces->digest();
  for (const std::string& bytes : {std::string(), std::string("\x02xyz"), std::string("\xff")}) {
    EXPECT_EQ(decode_response(spaces->apply({1, 0}, bytes)).status().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(spaces->query(""), "");
  EXPECT_EQ(decode_response(spaces->query("\x02")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(spaces->digest(), before);
}

TEST(Spaces, theDigestKnowsInWhichSpaceAKeyIs) {
  auto a = open(memory_engines());
  auto b = open(memory_engines());
  a->apply({1, 7}, Spaces::command(Space::kUser, PutRequest{.key = "k", .value = "v"}));
  b->apply({1, 7}, Spaces::command(Space::kSystem, PutRequest{.key = "k", .value = "v"}));
  EXPECT_NE(a->digest(), b->digest());
}

TEST(Spaces, aSnapshotIsCanonicalAndReadBackWholeInPiecesOfAnySize) {
  auto original = open(memory_engines());
  consensus::Position at = 0;
  for (const std::string& command : random_commands(1, 1'000)) original->apply({++at, 5}, command);
  const std::string bytes = snapshot_of(*original);
  EXPECT_GT(bytes.size(), 2u * 64 * 1024);  // more than one chunk
  StringSink copied;
  EXPECT_TRUE(original->copy()(copied).ok());
  EXPECT_EQ(copied.bytes(), bytes);
  for (const size_t piece : {1u, 7u, 65'536u, 1u << 20}) {
    auto copy = open(memory_engines());
    StringSource source(bytes, piece);
    ASSERT_TRUE(copy->restore(source).ok());
    EXPECT_EQ(copy->digest(), original->digest());
    EXPECT_EQ(copy->bytes(), original->bytes());
    EXPECT_EQ(snapshot_of(*copy), bytes);
  }
}

TEST(Spaces, damagedSnapshotsAreRefused) {
  auto original = open(memory_engines());
  original->apply({1, 0}, Spaces::command(Space::kUser, PutRequest{.key = "k", .value = "v"}));
  const std::string good = snapshot_of(*original);
  const auto restored = [](std::string bytes) {
    auto copy = open(memory_engines());
    StringSource source(std::move(bytes));
    return copy->restore(source).code();
  };
  EXPECT_EQ(restored(good), Code::kOk);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_EQ(restored(good.substr(0, size)), Code::kDataLoss) << size;
  EXPECT_EQ(restored(good + "x"), Code::kDataLoss);
  EXPECT_EQ(restored("clewspaceS" + good.substr(10)), Code::kDataLoss);
  std::string long_chunk = good.substr(0, 12) + "\xff\xff\xff\xff\x7f";
  EXPECT_EQ(restored(long_chunk), Code::kDataLoss);
}

// After a crash the engines stand at different places, both ahead of the snapshot that the replica starts from; the log
// is applied again, and must give what it gave: results, state and snapshot.
TEST(Spaces, aReplayWithOneEngineAheadOfTheOtherGivesTheSameResultsAndState) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto commands = random_commands(seed, 120);
    auto reference = open(memory_engines());
    std::vector<std::string> results;
    MemoryEngine user, system;
    std::string snapshot;
    Generator random(seed);
    const size_t snapshot_at = 20 + random.below(30);
    const size_t user_at = snapshot_at + random.below(60);
    const size_t system_at = snapshot_at + random.below(60);
    {
      // Each engine takes what its space was given up to its own place and loses the rest.
      auto first = open({std::make_unique<KeptEngine>(user), std::make_unique<KeptEngine>(system)});
      for (size_t i = 0; i < commands.size(); ++i) {
        const consensus::Applied at{i + 1, static_cast<int64_t>(i)};
        results.push_back(reference->apply(at, commands[i]));
        const bool is_user = commands[i][0] == static_cast<char>(Space::kUser);
        if (i < (is_user ? user_at : system_at)) {
          EXPECT_EQ(first->apply(at, commands[i]), results[i]);
        }
        if (i + 1 == snapshot_at) {
          snapshot = snapshot_of(*first);
          EXPECT_EQ(snapshot, snapshot_of(*reference));
        }
      }
    }
    auto again = open({std::make_unique<KeptEngine>(user), std::make_unique<KeptEngine>(system)});
    StringSource source(snapshot);
    ASSERT_TRUE(again->restore(source).ok());
    EXPECT_LE(again->ahead(), std::max(user_at, system_at));
    for (size_t i = snapshot_at; i < commands.size(); ++i) {
      EXPECT_EQ(again->apply({i + 1, static_cast<int64_t>(i)}, commands[i]), results[i]) << "seed " << seed;
    }
    EXPECT_LE(again->ahead(), commands.size());
    EXPECT_EQ(again->digest(), reference->digest()) << "seed " << seed;
    EXPECT_EQ(snapshot_of(*again), snapshot_of(*reference)) << "seed " << seed;
    EXPECT_EQ(again->bytes(), reference->bytes()) << "seed " << seed;
  }
}

TEST(Spaces, theBytesOfAStateFallAgainWhenItIsCompacted) {
  auto spaces = open(memory_engines());
  consensus::Position at = 0;
  const auto apply = [&](const Request& request) {
    EXPECT_TRUE(decode_response(spaces->apply({++at, 0}, Spaces::command(Space::kUser, request))).ok());
  };
  EXPECT_EQ(spaces->bytes(), 0u);
  apply(PutRequest{.key = "k", .value = std::string(1'000, 'v')});
  const uint64_t one = spaces->bytes();
  EXPECT_GT(one, 1'000u);
  for (int i = 0; i < 9; ++i) apply(PutRequest{.key = "k", .value = std::string(1'000, 'v')});
  EXPECT_EQ(spaces->bytes(), 10 * one);
  apply(CompactRequest{11});
  EXPECT_EQ(spaces->bytes(), one);
  apply(DeleteRangeRequest{.key = "k", .range_end = ""});
  apply(CompactRequest{12});
  apply(PutRequest{.key = "other", .value = ""});
  EXPECT_LT(spaces->bytes(), one);
}

}  // namespace
}  // namespace clew::kv
