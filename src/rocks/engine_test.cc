// RocksEngine against MemoryEngine: equal states after equal commands, across restarts and crashes.
#include "rocks/engine.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "kv/machine_test.h"

namespace clew::rocks {
namespace {

namespace fs = std::filesystem;
using kv::Machine;

class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "clew-rocks-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Directory() { fs::remove_all(path_); }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::unique_ptr<RocksEngine> open(const std::string& directory) {
  // So small that tables are written all the time.
  auto engine =
      RocksEngine::open({.directory = directory, .write_buffer_bytes = 64u << 10, .block_cache_bytes = 1u << 20});
  EXPECT_TRUE(engine.ok()) << engine.status().to_string();
  return std::move(engine).value();
}

kv::Request random_request(Generator& random) {
  const auto key = [&] { return "key" + std::to_string(random.below(50)); };
  switch (random.below(8)) {
    case 0:
      return kv::DeleteRangeRequest{key(), key(), true};
    case 1:
      return kv::CompactRequest{static_cast<kv::Revision>(random.below(400))};
    case 2:
      return kv::LeaseGrantRequest{kv::LeaseId{static_cast<int64_t>(random.below(4) + 1)}, 60};
    case 3:
      return kv::LeaseRevokeRequest{kv::LeaseId{static_cast<int64_t>(random.below(4) + 1)}};
    case 4:
      return kv::AppendRequest{key(), "tail"};
    default:
      return kv::PutRequest{.key = key(),
                            .value = std::string(random.below(2'000), 'v'),
                            .lease = kv::LeaseId{static_cast<int64_t>(random.one_in(3) ? random.below(4) + 1 : 0)}};
  }
}

TEST(RocksEngine, doesAsTheMemoryEngineDoes) {
  const Directory directory;
  Generator random(3);
  kv::MemoryEngine memory;
  const kv::CustomRegistry registry;
  Machine reference(memory, registry);
  auto rocks = open(directory / "db");
  auto machine = std::make_unique<Machine>(*rocks, registry);
  for (int i = 1; i <= 1'500; i++) {
    const kv::Request request = random_request(random);
    const auto expected = reference.call(request, i);
    const auto got = machine->call(request, i);
    ASSERT_EQ(kv::encode(got), kv::encode(expected));
    ASSERT_EQ(machine->state->digest(), reference.state->digest());
    if (i % 300 == 0) {
      ASSERT_EQ(machine->snapshot(), reference.snapshot());
    }
    if (i % 400 == 0) {  // a restart in good order
      ASSERT_TRUE(rocks->flush().ok());
      machine.reset();
      rocks.reset();
      rocks = open(directory / "db");
      machine = std::make_unique<Machine>(*rocks, registry);
      ASSERT_EQ(machine->position, reference.position);
      ASSERT_EQ(machine->state->digest(), reference.state->digest());
    }
  }
}

// kill -9. Each life is a process of its own, this program again: it starts as a replica starts, by the newest snapshot
// and then the log, compares every result and digest with a memory engine's, goes on to a later position, and is
// killed.
std::string command_at(consensus::Position position) {
  Generator random(position);
  return kv::encode(random_request(random));
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(RocksEngineLife, DISABLED_oneLife) {
  const char* directory = std::getenv("CLEW_ROCKS_DIRECTORY");
  const char* until_text = std::getenv("CLEW_ROCKS_UNTIL");
  ASSERT_TRUE(directory != nullptr && until_text != nullptr);
  const std::string at = directory;
  const consensus::Position until = std::strtoull(until_text, nullptr, 10);
  const kv::CustomRegistry registry;
  kv::MemoryEngine memory;
  Machine reference(memory, registry);
  auto rocks = open(at + "/db");
  Machine machine(*rocks, registry);
  const consensus::Position kept = machine.state->applied();
  std::ofstream(at + "/kept") << kept;
  consensus::Position from = 0;
  if (fs::exists(at + "/snapshot")) {
    from = std::strtoull(read_file(at + "/snapshot.position").c_str(), nullptr, 10);
    const std::string snapshot = read_file(at + "/snapshot");
    kv::StringSource source(snapshot, 1'000);
    ASSERT_TRUE(machine.state->restore(source).ok());
    ASSERT_EQ(machine.state->applied(), std::max(kept, from));
  }
  for (consensus::Position position = 1; position <= until; position++) {
    const consensus::Applied applied{position, static_cast<int64_t>(position)};
    const std::string command = command_at(position);
    const std::string expected = reference.state->apply(applied, command);
    if (position > from) {
      ASSERT_EQ(machine.state->apply(applied, command), expected) << position;
    }
    if (position >= std::max(kept, from)) {
      ASSERT_EQ(machine.state->digest(), reference.state->digest()) << position;
    }
    // Twice in a life, so that kept results are given up, too.
    if (position > std::max(kept, from) && position % 150 == 0) {
      std::ofstream(at + "/snapshot", std::ios::binary) << machine.snapshot();
      std::ofstream(at + "/snapshot.position") << position;
    }
  }
  ::raise(SIGKILL);
}

TEST(RocksEngine, killedItLosesAWholeSuffixAndTheReplayGivesTheSameResults) {
  const Directory directory;
  fs::create_directory(directory / "db");
  consensus::Position lost = 0;
  consensus::Position before = 0;
  Generator random(5);
  for (int life = 0; life < 8; life++) {
    const consensus::Position until = before + random.below(500);
    ::setenv("CLEW_ROCKS_DIRECTORY", (directory / "").c_str(), 1);
    ::setenv("CLEW_ROCKS_UNTIL", std::to_string(until).c_str(), 1);
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl("/proc/self/exe", "rocks_test", "--gtest_filter=RocksEngineLife.*", "--gtest_also_run_disabled_tests",
              nullptr);
      ::_exit(127);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "life " << life << " failed; see above";
    const consensus::Position kept = std::strtoull(read_file(directory / "kept").c_str(), nullptr, 10);
    ASSERT_LE(kept, before);
    lost += before - kept;
    before = until;
  }
  EXPECT_GT(lost, 0u);  // else there was nothing to replay
}

TEST(RocksEngine, aRestoreThatDidNotEndLeavesAnEmptyState) {
  const Directory directory;
  const kv::CustomRegistry registry;
  kv::MemoryEngine memory;
  Machine source_machine(memory, registry);
  for (int i = 0; i < 20; i++) source_machine.put("key" + std::to_string(i), std::string(400'000, 'v'));
  const std::string whole = source_machine.snapshot();
  auto rocks = open(directory / "db");
  {
    Machine machine(*rocks, registry);
    machine.put("old", "");
    kv::StringSource cut(whole.substr(0, whole.size() - 100), 100'000);
    EXPECT_EQ(machine.state->restore(cut).code(), Code::kDataLoss);
  }
  ASSERT_TRUE(rocks->flush().ok());
  rocks.reset();
  rocks = open(directory / "db");
  EXPECT_EQ(rocks->mark().position, 0u);
  Machine machine(*rocks, registry);
  EXPECT_EQ(machine.state->store().records(), 0u);
  EXPECT_EQ(machine.state->store().revision(), 1);
  kv::StringSource good(whole, 100'000);
  ASSERT_TRUE(machine.state->restore(good).ok());
  EXPECT_EQ(machine.state->digest(), source_machine.state->digest());
}

TEST(RocksEngine, aDirectoryThatCannotBeIsRefused) {
  const Directory directory;
  auto first = open(directory / "db");
  EXPECT_FALSE(RocksEngine::open({.directory = directory / "db"}).ok());
  EXPECT_FALSE(RocksEngine::open({.directory = "/proc/nothing/here"}).ok());
}

TEST(RocksEngine, damageIsAnErrorAndNoAnswer) {
  const Directory directory;
  {
    auto rocks = open(directory / "db");
    kv::EngineBatch batch;
    for (int i = 0; i < 100; i++) batch.put("key" + std::to_string(i), std::string(1'000, 'v'));
    ASSERT_TRUE(rocks->commit(batch, {1, "state"}).ok());
    ASSERT_TRUE(rocks->flush().ok());
  }
  for (const auto& entry : fs::directory_iterator(directory / "db")) {
    if (entry.path().extension() != ".sst") continue;
    std::FILE* file = std::fopen(entry.path().c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    std::fseek(file, 200, SEEK_SET);
    std::fputs("damage", file);
    std::fclose(file);
  }
  auto rocks = RocksEngine::open({.directory = directory / "db"});
  if (!rocks.ok()) return;  // found at once
  const Status scanned = (*rocks)->scan("", "", [](std::string_view, std::string_view) { return true; });
  EXPECT_EQ(scanned.code(), Code::kDataLoss);
}

}  // namespace
}  // namespace clew::rocks
