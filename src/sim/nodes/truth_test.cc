// What judges whole nodes is itself judged: Truth and WatchAudit find what is wrong, and nothing else.
#include "sim/nodes/truth.h"

#include <gtest/gtest.h>

#include <memory>

#include "consensus/replica_command.h"
#include "kv/memory_engine.h"
#include "sim/nodes/watch_audit.h"

namespace clew::sim::nodes {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

struct Judged : testing::Test {
  Judged() {
    kv::Spaces::Engines engines;
    for (auto& engine : engines) engine = std::make_unique<kv::MemoryEngine>();
    spaces = kv::Spaces::open(std::move(engines), registry).value();
  }
  // Applied by the only node.
  Status apply(const kv::Request& request) {
    const std::string body = kv::Spaces::command(kv::Space::kUser, request);
    consensus::CommandHeader header;
    header.proposed_ns = now_ns;
    const consensus::Entry entry{1, consensus::EntryKind::kCommand, consensus::encode_command(header, body)};
    ++position;
    const std::string result = spaces->apply({position, now_ns, 1}, body);
    return truth.deliver({consensus::NodeId{1}, position, position - 1, entry, result, *spaces, spaces->digest()});
  }
  void put(const std::string& key, const std::string& value) {
    kv::PutRequest request;
    request.key = key;
    request.value = value;
    truth.proposed(request);
    ASSERT_TRUE(apply(request).ok());
  }
  // What a hub would say of the changes first..last of Truth.
  kv::WatchResponse response(size_t first, size_t last) const {
    kv::WatchResponse made;
    made.id = 1;
    for (size_t i = first; i <= last; ++i) {
      made.events.push_back(std::make_shared<const kv::Event>(truth.changes()[i].event));
      made.revision = truth.changes()[i].event.kv.mod_revision;
    }
    return made;
  }
  WatchAudit audit(kv::Revision from = 2) const {
    kv::WatchRequest request;
    request.id = 1;
    request.range_end = std::string(1, '\0');
    request.start_revision = from;
    WatchAudit made(truth, request);
    kv::WatchResponse created;
    created.id = 1;
    created.created = true;
    created.revision = truth.revision();
    EXPECT_TRUE(made.take(created).ok());
    return made;
  }

  kv::CustomRegistry registry;
  std::unique_ptr<kv::Spaces> spaces;
  Truth truth;
  consensus::Position position = 0;
  int64_t now_ns = 1'000 * kSecond;
};

TEST_F(Judged, aWatchThatIsGivenEverythingIsFine) {
  for (int i = 0; i < 5; ++i) put("k", "v" + std::to_string(i));
  WatchAudit watch = audit();
  EXPECT_TRUE(watch.take(response(0, 1)).ok());
  EXPECT_TRUE(watch.take(response(2, 4)).ok());
  EXPECT_EQ(watch.next(), truth.revision() + 1);
  EXPECT_TRUE(watch.take_progress(truth.revision()).ok());
}

TEST_F(Judged, aGapADuplicateAndAFalseProgressAreFound) {
  for (int i = 0; i < 5; ++i) put("k", "v" + std::to_string(i));
  WatchAudit skips = audit();
  ASSERT_TRUE(skips.take(response(0, 0)).ok());
  EXPECT_FALSE(skips.take(response(2, 2)).ok());
  WatchAudit repeats = audit();
  ASSERT_TRUE(repeats.take(response(0, 1)).ok());
  EXPECT_FALSE(repeats.take(response(1, 2)).ok());
  WatchAudit lied_to = audit();
  ASSERT_TRUE(lied_to.take(response(0, 1)).ok());
  EXPECT_FALSE(lied_to.take_progress(truth.revision()).ok());
  WatchAudit ahead = audit();
  EXPECT_FALSE(ahead.take_progress(truth.revision() + 1).ok());
}

TEST_F(Judged, aCompactionEndsOnlyWatchesThatItPassed) {
  for (int i = 0; i < 5; ++i) put("k", "v" + std::to_string(i));
  ASSERT_TRUE(apply(kv::CompactRequest{4}).ok());
  kv::WatchResponse cancelled;
  cancelled.id = 1;
  cancelled.cancelled = true;
  cancelled.compact_revision = 4;
  EXPECT_TRUE(audit(2).take(cancelled).ok());
  EXPECT_FALSE(audit(4).take(cancelled).ok());
  cancelled.compact_revision = 5;  // nobody compacted there
  EXPECT_FALSE(audit(2).take(cancelled).ok());
}

TEST_F(Judged, aPreviousStateThatIsNotTheOneBeforeIsFound) {
  put("k", "v1");
  put("k", "v2");
  kv::WatchRequest request;
  request.key = "k";
  request.start_revision = 3;
  request.prev_kv = true;
  kv::WatchResponse created;
  created.created = true;
  created.revision = truth.revision();
  kv::WatchResponse given = response(1, 1);
  kv::Event event = *given.events[0];
  WatchAudit without(truth, request), right(truth, request), wrong(truth, request);
  for (WatchAudit* watch : {&without, &right, &wrong}) ASSERT_TRUE(watch->take(created).ok());
  EXPECT_FALSE(without.take(given).ok());
  event.previous = truth.changes()[0].event.kv;
  given.events[0] = std::make_shared<const kv::Event>(event);
  EXPECT_TRUE(right.take(given).ok());
  event.previous->value = "v0";
  given.events[0] = std::make_shared<const kv::Event>(event);
  EXPECT_FALSE(wrong.take(given).ok());
}

TEST_F(Judged, whatNoClientAskedForAndWhatIsDoneTwiceIsFound) {
  kv::PutRequest request;
  request.key = "k";
  request.value = "v";
  EXPECT_FALSE(apply(request).ok());
}

TEST_F(Judged, aRequestThatChangesSomethingTwiceIsFound) {
  kv::AppendRequest request;
  request.key = "k";
  request.suffix = "v";
  truth.proposed(request);
  EXPECT_TRUE(apply(request).ok());
  EXPECT_FALSE(apply(request).ok());
}

TEST_F(Judged, aLeaseIsKeptAccountOf) {
  kv::LeaseGrantRequest grant;
  grant.id = kv::LeaseId{7};
  grant.ttl_s = 5;
  ASSERT_TRUE(apply(grant).ok());
  ASSERT_TRUE(apply(kv::LeaseExtendRequest{1}).ok());
  now_ns += 3 * kSecond;
  ASSERT_TRUE(apply(kv::LeaseKeepAliveRequest{{kv::LeaseId{7}}}).ok());
  EXPECT_EQ(truth.leases().at(kv::LeaseId{7}).renewed_ns, now_ns);
  now_ns += 5 * kSecond;
  ASSERT_TRUE(apply(kv::LeaseExpireRequest{1}).ok());
  EXPECT_TRUE(truth.leases().empty());
  EXPECT_TRUE(truth.expired(kv::LeaseId{7}));
}

}  // namespace
}  // namespace clew::sim::nodes
