#include "kv/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/machine_test.h"

namespace clew::kv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Watch : public ::testing::Test {
 protected:
  explicit Watch(WatchOptions options = {}) : hub(machine.state->store(), options) {
    machine.state->on_commit([this] { hub.on_commit(); });
    machine.state->on_restore([this] { hub.on_restore(); });
    stream = hub.open([this] { ready++; });
  }
  ~Watch() override { hub.check_invariants(); }

  std::vector<WatchResponse> take() {
    std::vector<WatchResponse> all;
    WatchResponse response;
    while (hub.next(stream, response)) all.push_back(std::move(response));
    return all;
  }
  // Short words for what a stream was told: "+key=value@revision", "-key@revision", "!created", ...
  std::vector<std::string> told() {
    std::vector<std::string> words;
    for (const WatchResponse& response : take()) {
      const std::string id = std::to_string(response.id) + ":";
      if (response.created) words.push_back(id + "created");
      if (response.cancelled) words.push_back(id + "cancelled " + std::to_string(response.compact_revision));
      if (!response.created && !response.cancelled && response.events.empty()) {
        words.push_back(id + "progress " + std::to_string(response.revision));
      }
      for (const auto& event : response.events) {
        const bool put = event->type == Event::Type::kPut;
        words.push_back(id + (put ? "+" : "-") + event->kv.key + (put ? "=" + event->kv.value : "") + "@" +
                        std::to_string(event->kv.mod_revision) +
                        (event->previous ? " was " + event->previous->value : ""));
      }
    }
    return words;
  }
  void erase(std::string key, std::string end = "") {
    machine.done(DeleteRangeRequest{std::move(key), std::move(end)});
  }

  MemoryEngine engine;
  CustomRegistry registry;
  Machine machine{engine, registry};
  WatchHub hub;
  StreamId stream{};
  int ready = 0;
};

TEST_F(Watch, whatComesAfterTheRequest) {
  machine.put("a", "0");
  hub.create(stream, {.key = "a"});
  hub.create(stream, {.key = "b", .range_end = "d"});
  EXPECT_EQ(ready, 1);
  machine.put("a", "1");
  machine.put("c", "1");
  machine.put("d", "1");
  erase("a", "z");
  EXPECT_THAT(told(), ElementsAre("0:created", "1:created", "0:+a=1@3", "1:+c=1@4", "0:-a@6", "1:-c@6"));
}

TEST_F(Watch, fromAnOldRevisionWithoutGapOrDuplicate) {
  for (int i = 0; i < 4; i++) machine.put("a", std::to_string(i));  // 2 to 5
  hub.create(stream, {.key = "a", .start_revision = 3});
  machine.put("a", "4");
  EXPECT_THAT(told(), ElementsAre("0:created"));
  EXPECT_EQ(hub.behind(), 1u);
  EXPECT_FALSE(hub.pump());
  machine.put("a", "5");
  EXPECT_THAT(told(), ElementsAre("0:+a=1@3", "0:+a=2@4", "0:+a=3@5", "0:+a=4@6", "0:+a=5@7"));
}

TEST_F(Watch, fromAFutureRevision) {
  hub.create(stream, {.key = "a", .start_revision = 4});
  hub.request_progress(stream);
  for (int i = 2; i < 6; i++) machine.put("a", std::to_string(i));
  EXPECT_THAT(told(), ElementsAre("0:created", "0:+a=4@4", "-1:progress 4", "0:+a=5@5"));
}

TEST_F(Watch, thatGoesOnWhereAnotherEnded_isToldOfProgressAtOnce) {
  for (int i = 2; i < 4; i++) machine.put("a", std::to_string(i));
  hub.create(stream, {.key = "a", .start_revision = 4, .resumes = true});
  hub.request_progress(stream);
  EXPECT_THAT(told(), ElementsAre("0:created", "-1:progress 3"));
  machine.put("a", "4");
  EXPECT_THAT(told(), ElementsAre("0:+a=4@4"));
}

TEST_F(Watch, filtersAndPreviousValues) {
  hub.create(stream, {.key = "a", .no_put = true, .prev_kv = true});
  hub.create(stream, {.key = "a", .no_delete = true, .prev_kv = true});
  machine.put("a", "1");
  machine.put("a", "2");
  erase("a");
  EXPECT_THAT(told(), ElementsAre("0:created", "1:created", "1:+a=1@2", "1:+a=2@3 was 1", "0:-a@4 was 2"));
}

TEST_F(Watch, refusals) {
  hub.create(stream, {.key = "b", .range_end = "a"});
  hub.create(stream, {.key = "a", .start_revision = -1});
  hub.create(stream, {.key = "a", .id = 7});
  hub.create(stream, {.key = "a", .id = 7});
  hub.cancel(stream, 9);
  const auto all = take();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].cancel_reason, "mvcc: watcher range is empty");
  EXPECT_EQ(all[1].cancel_reason, "etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(all[2].id, 7);
  EXPECT_FALSE(all[2].cancelled);
  EXPECT_EQ(all[3].cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
  EXPECT_EQ(all[3].id, kNoWatch);
  EXPECT_EQ(hub.watchers(), 1u);
}

TEST_F(Watch, cancelledOnesAreToldNothingMore) {
  hub.create(stream, {.key = "a"});
  hub.cancel(stream, 0);
  machine.put("a", "1");
  EXPECT_THAT(told(), ElementsAre("0:created", "0:cancelled 0"));
}

TEST_F(Watch, overCompaction) {
  for (int i = 0; i < 4; i++) machine.put("a", std::to_string(i));
  erase("a");  // 6
  machine.must<CompactResponse>(CompactRequest{6});
  hub.create(stream, {.key = "a", .start_revision = 5});
  hub.create(stream, {.key = "a", .start_revision = 6, .prev_kv = true});
  hub.pump();
  EXPECT_THAT(told(), ElementsAre("0:created", "1:created", "0:cancelled 6", "1:-a@6"));
  EXPECT_EQ(hub.watchers(), 1u);
}

TEST_F(Watch, progressOnceAllAreSynced) {
  machine.put("a", "1");
  hub.create(stream, {.key = "a", .start_revision = 1});
  hub.create(stream, {.key = "b", .progress_notify = true});
  hub.request_progress(stream);
  EXPECT_THAT(told(), ElementsAre("0:created", "1:created"));
  hub.pump();
  EXPECT_THAT(told(), ElementsAre("0:+a=1@2", "-1:progress 2"));
  hub.tick_progress();
  EXPECT_THAT(told(), IsEmpty());  // not idle for a whole interval
  hub.tick_progress();
  EXPECT_THAT(told(), ElementsAre("1:progress 2"));
  machine.put("b", "1");
  hub.tick_progress();
  EXPECT_THAT(told(), ElementsAre("1:+b=1@3"));
}

TEST_F(Watch, aSnapshotInstalledMeanwhileLeavesNoGap) {
  MemoryEngine other_engine;
  Machine other(other_engine, registry);
  for (Machine* both : {&machine, &other}) both->put("a", "1");
  hub.create(stream, {.key = "a"});
  hub.create(stream, {.key = "a", .start_revision = 5});
  for (int i = 2; i < 6; i++) other.put("a", std::to_string(i));  // 3 to 6
  StringSource source(other.snapshot());
  ASSERT_TRUE(machine.state->restore(source).ok());
  EXPECT_EQ(hub.behind(), 2u);
  hub.pump();
  EXPECT_THAT(told(), ElementsAre("0:created", "1:created", "0:+a=2@3", "0:+a=3@4", "0:+a=4@5", "0:+a=5@6", "1:+a=4@5",
                                  "1:+a=5@6"));
}

TEST_F(Watch, aSnapshotWithoutTheHistoryCancels) {
  MemoryEngine other_engine;
  Machine other(other_engine, registry);
  for (Machine* both : {&machine, &other}) both->put("a", "1");
  hub.create(stream, {.key = "a"});
  for (int i = 2; i < 6; i++) other.put("a", std::to_string(i));
  other.must<CompactResponse>(CompactRequest{5});
  StringSource source(other.snapshot());
  ASSERT_TRUE(machine.state->restore(source).ok());
  hub.pump();
  EXPECT_THAT(told(), ElementsAre("0:created", "0:cancelled 5"));
}

struct Tight {
  static WatchOptions options() {
    WatchOptions tight;
    tight.max_queued_responses = 3;
    tight.max_fragment_bytes = 200;
    tight.pump_records = 2;
    tight.max_watchers = 2;
    return tight;
  }
};
class TightWatch : public Watch {
 protected:
  TightWatch() : Watch(Tight::options()) {}
};

TEST_F(TightWatch, aSlowWatcherIsBoundedAndLosesNothing) {
  hub.create(stream, {.key = "a"});
  for (int i = 0; i < 50; i++) machine.put("a", std::to_string(i));
  EXPECT_TRUE(hub.full(stream));
  EXPECT_EQ(hub.behind(), 1u);
  EXPECT_FALSE(hub.pump());  // nothing to be done before the client reads
  std::vector<std::string> all;
  while (all.size() < 51) {
    const auto more = told();
    ASSERT_FALSE(more.empty() && hub.behind() == 0);
    all.insert(all.end(), more.begin(), more.end());
    hub.pump();
  }
  for (int i = 0; i < 50; i++) {
    EXPECT_EQ(all[static_cast<size_t>(i) + 1], "0:+a=" + std::to_string(i) + "@" + std::to_string(i + 2));
  }
  machine.put("a", "x");
  EXPECT_THAT(told(), ElementsAre("0:+a=x@52"));
  EXPECT_EQ(hub.behind(), 0u);
}

TEST_F(TightWatch, revisionsComeInOneResponseOrInMarkedFragments) {
  hub.create(stream, {.key = "k", .range_end = "l"});
  hub.create(stream, {.key = "k", .range_end = "l", .fragment = true});
  TxnRequest txn;
  for (int i = 0; i < 4; i++) txn.success.push_back({PutRequest{.key = "k" + std::to_string(i), .value = "value"}});
  take();
  machine.done(txn);
  const auto all = take();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].events.size(), 4u);
  EXPECT_EQ(all[1].events.size(), 2u);
  EXPECT_TRUE(all[1].fragment);
  EXPECT_EQ(all[2].events.size(), 2u);
  EXPECT_FALSE(all[2].fragment);
}

TEST_F(TightWatch, tooManyWatchersAreRefused) {
  for (int i = 0; i < 3; i++) hub.create(stream, {.key = "a"});
  const auto all = take();
  EXPECT_TRUE(all[2].cancelled);
  EXPECT_EQ(hub.watchers(), 2u);
  hub.close(stream);
  EXPECT_EQ(hub.watchers(), 0u);
}

TEST_F(Watch, tenThousandRangesAreEachToldTheirOwn) {
  std::vector<StreamId> streams;
  for (int i = 0; i < 10'000; i++) {
    streams.push_back(hub.open({}));
    const std::string prefix = "p" + std::to_string(i) + "/";
    hub.create(streams.back(), {.key = prefix, .range_end = prefix_end(prefix)});
  }
  machine.put("p77/x", "1");
  for (size_t i = 0; i < streams.size(); i++) {
    WatchResponse response;
    ASSERT_TRUE(hub.next(streams[i], response));
    ASSERT_EQ(hub.next(streams[i], response), i == 77);
  }
}

class FewBytes : public Watch {
 protected:
  FewBytes() : Watch({.max_watcher_bytes = 1u << 20}) {}
};

TEST_F(FewBytes, keysThatAreWatchedAreBoundedAndGivenBack) {
  const std::string long_key(100'000, 'k');
  size_t created = 0;
  for (int i = 0; i < 20; ++i) hub.create(stream, {.key = long_key + std::to_string(i)});
  for (const WatchResponse& response : take()) {
    if (!response.cancelled) {
      created++;
    } else {
      EXPECT_THAT(response.cancel_reason, ::testing::HasSubstr("as much memory of this member as they may (1 MiB)"));
    }
  }
  EXPECT_EQ(created, 5u);
  EXPECT_LE(hub.watcher_bytes(), 1u << 20);
  hub.cancel(stream, 0);
  hub.create(stream, {.key = long_key});
  EXPECT_FALSE(take().back().cancelled);
  hub.close(stream);
  EXPECT_EQ(hub.watcher_bytes(), 0u);
}

}  // namespace
}  // namespace clew::kv
