// The rules of etcd v3, each by its circumstance. Expected values were taken from a running etcd 3.4 where the two can
// be asked the same.
#include "kv/state_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/machine_test.h"
#include "kv/validate.h"

namespace clew::kv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

RequestOp put_op(std::string key, std::string value = "") {
  return {PutRequest{.key = std::move(key), .value = std::move(value)}};
}
RequestOp delete_op(std::string key, std::string end = "") {
  return {DeleteRangeRequest{.key = std::move(key), .range_end = std::move(end)}};
}
RequestOp range_op(std::string key, Revision revision = 0) {
  return {RangeRequest{.key = std::move(key), .revision = revision}};
}
RequestOp txn_op(std::vector<RequestOp> success, std::vector<RequestOp> failure = {}) {
  return {TxnRequest{.compare = {}, .success = std::move(success), .failure = std::move(failure)}};
}
TxnRequest txn(std::vector<RequestOp> success, std::vector<Compare> compare = {}, std::vector<RequestOp> failure = {}) {
  return {.compare = std::move(compare), .success = std::move(success), .failure = std::move(failure)};
}

class Rules : public ::testing::Test {
 protected:
  std::vector<std::string> keys(const RangeRequest& request) const {
    std::vector<std::string> result;
    for (const KeyValue& kv : machine.range(request).kvs) result.push_back(kv.key);
    return result;
  }
  std::string refusal(const Request& request) { return error_of(machine.call(request)); }

  MemoryEngine engine;
  CustomRegistry registry;
  Machine machine{engine, registry};
};

TEST_F(Rules, revisionsVersionsAndGenerations) {
  EXPECT_EQ(machine.range({.key = "a"}).revision, 1);
  EXPECT_EQ(machine.put("a", "1"), 2);
  EXPECT_EQ(machine.put("a", "2"), 3);
  EXPECT_EQ(machine.put("b", ""), 4);
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0],
            (KeyValue{.key = "a", .create_revision = 2, .mod_revision = 3, .version = 2, .value = "2"}));
  EXPECT_EQ(machine.must<DeleteRangeResponse>(DeleteRangeRequest{.key = "a"}).revision, 5);
  EXPECT_EQ(machine.put("a", "3"), 6);
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0],
            (KeyValue{.key = "a", .create_revision = 6, .mod_revision = 6, .version = 1, .value = "3"}));
  EXPECT_EQ(machine.range({.key = "a", .revision = 2}).kvs[0].value, "1");
  EXPECT_EQ(machine.range({.key = "a", .revision = 3}).kvs[0].version, 2);
  EXPECT_THAT(machine.range({.key = "a", .revision = 5}).kvs, IsEmpty());
  EXPECT_EQ(machine.range({.key = "a", .revision = 2}).revision, 6);
}

TEST_F(Rules, aDeleteOfNothingMakesNoRevision) {
  const auto response = machine.must<DeleteRangeResponse>(DeleteRangeRequest{.key = "a", .range_end = "z"});
  EXPECT_EQ(response, (DeleteRangeResponse{.revision = 1, .deleted = 0, .prev_kvs = {}}));
}

TEST_F(Rules, putAnswersWhatStoodThereWhenAsked) {
  machine.put("a", "1");
  EXPECT_EQ(machine.must<PutResponse>(PutRequest{.key = "a", .value = "2", .prev_kv = true}).prev_kv->value, "1");
  EXPECT_EQ(machine.must<PutResponse>(PutRequest{.key = "b", .prev_kv = true}).prev_kv, std::nullopt);
  EXPECT_EQ(machine.must<PutResponse>(PutRequest{.key = "a", .value = "3"}).prev_kv, std::nullopt);
  const auto deleted = machine.must<DeleteRangeResponse>(DeleteRangeRequest{"a", std::string(1, '\0'), true});
  EXPECT_EQ(deleted.deleted, 2);
  EXPECT_EQ(deleted.prev_kvs.size(), 2u);
}

TEST_F(Rules, ignoredValueAndLeaseAreKept) {
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{7}, 60});
  machine.put("a", "1", LeaseId{7});
  machine.done(PutRequest{.key = "a", .ignore_value = true});
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0].value, "1");
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0].lease, kNoLease);
  machine.put("a", "2", LeaseId{7});
  machine.done(PutRequest{.key = "a", .value = "3", .ignore_lease = true});
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0].lease, LeaseId{7});
}

TEST_F(Rules, rangesOfPrefixFromKeyAndInverted) {
  for (const char* key : {"a", "k0", "k1", "k2", "l", "z"}) machine.put(key, "");
  EXPECT_THAT(keys({.key = "k", .range_end = prefix_end("k")}), ElementsAre("k0", "k1", "k2"));
  EXPECT_THAT(keys({.key = "k2", .range_end = std::string(1, '\0')}), ElementsAre("k2", "l", "z"));
  EXPECT_THAT(keys({.key = std::string(1, '\0'), .range_end = std::string(1, '\0')}),
              ElementsAre("a", "k0", "k1", "k2", "l", "z"));
  EXPECT_THAT(keys({.key = "l", .range_end = "k"}), IsEmpty());
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff"), std::string(1, '\0'));
}

TEST_F(Rules, limitSortBoundsAndCount) {
  for (int i = 0; i < 5; i++) machine.put("k" + std::to_string(i), "v" + std::to_string(9 - i));  // revisions 2 to 6
  const RangeRequest all{.key = "k", .range_end = "l"};
  RangeRequest request = all;
  request.limit = 2;
  EXPECT_THAT(keys(request), ElementsAre("k0", "k1"));
  EXPECT_TRUE(machine.range(request).more);
  EXPECT_EQ(machine.range(request).count, 5);
  request.sort_order = SortOrder::kDescend;
  EXPECT_THAT(keys(request), ElementsAre("k4", "k3"));
  // Without an order the limit, and one, comes before the sorting.
  request.sort_order = SortOrder::kNone;
  request.sort_target = SortTarget::kValue;
  EXPECT_THAT(keys(request), ElementsAre("k2", "k1"));
  request.sort_order = SortOrder::kAscend;
  EXPECT_THAT(keys(request), ElementsAre("k4", "k3"));
  request = all;
  request.limit = 2;
  request.min_mod_revision = 3;
  request.keys_only = true;
  EXPECT_THAT(keys(request), ElementsAre("k1", "k2"));
  EXPECT_TRUE(machine.range(request).more);
  EXPECT_EQ(machine.range(request).kvs[0].value, "");
  EXPECT_EQ(machine.range(request).count, 5);
  request = all;
  request.max_mod_revision = 3;
  request.min_create_revision = 3;
  EXPECT_THAT(keys(request), ElementsAre("k1"));
  request = all;
  request.count_only = true;
  request.limit = 2;
  request.min_mod_revision = 99;
  EXPECT_EQ(machine.range(request).count, 5);
  EXPECT_FALSE(machine.range(request).more);
  EXPECT_THAT(machine.range(request).kvs, IsEmpty());
  request = all;
  request.limit = 5;
  EXPECT_FALSE(machine.range(request).more);
}

TEST_F(Rules, anUncountedPageEndsAtItsLimitAndSaysThatThereIsMore) {
  for (int i = 0; i < 5; i++) machine.put("k" + std::to_string(i), "v");  // revisions 2 to 6
  machine.put("k0", "w");
  RangeRequest request{.key = "k", .range_end = "l", .limit = 2, .keys_only = true, .uncounted = true};
  const RangeResponse page = machine.range(request);
  EXPECT_THAT(keys(request), ElementsAre("k0", "k1"));
  EXPECT_TRUE(page.more);
  EXPECT_EQ(page.count, -1);
  EXPECT_EQ(page.kvs[0].version, 2);
  EXPECT_EQ(page.kvs[0].create_revision, 2);
  EXPECT_EQ(page.kvs[0].mod_revision, 7);
  request.revision = 6;  // before the second change of k0: its record says what it was
  EXPECT_EQ(machine.range(request).kvs[0].version, 1);
  EXPECT_EQ(machine.range(request).kvs[0].mod_revision, 2);
  request.limit = 5;
  EXPECT_FALSE(machine.range(request).more);
  TxnRequest txn;
  txn.success.push_back({request});
  EXPECT_FALSE(validate(txn).ok()) << "what stands in the log means the same to members that do not know it";
}

TEST_F(Rules, refusalsHaveTheCodesAndWordsOfEtcd) {
  const struct {
    Request request;
    const char* error;
  } cases[] = {
      {PutRequest{}, "INVALID_ARGUMENT: etcdserver: key is not provided"},
      {DeleteRangeRequest{}, "INVALID_ARGUMENT: etcdserver: key is not provided"},
      {AppendRequest{}, "INVALID_ARGUMENT: etcdserver: key is not provided"},
      {CompareAndSetRequest{}, "INVALID_ARGUMENT: etcdserver: key is not provided"},
      {PutRequest{.key = "a", .value = "x", .ignore_value = true}, "INVALID_ARGUMENT: etcdserver: value is provided"},
      {PutRequest{.key = "a", .lease = LeaseId{1}, .ignore_lease = true},
       "INVALID_ARGUMENT: etcdserver: lease is provided"},
      {PutRequest{.key = "zz", .ignore_value = true}, "INVALID_ARGUMENT: etcdserver: key not found"},
      {PutRequest{.key = "zz", .ignore_lease = true}, "INVALID_ARGUMENT: etcdserver: key not found"},
      {PutRequest{.key = "a", .lease = LeaseId{99}}, "NOT_FOUND: etcdserver: requested lease not found"},
      {txn({{std::monostate()}}), "INVALID_ARGUMENT: etcdserver: key not found"},
      {txn({}, {Compare{}}), "INVALID_ARGUMENT: etcdserver: key is not provided"},
      {txn({{PutRequest{.key = "a", .lease = LeaseId{99}}}}), "NOT_FOUND: etcdserver: requested lease not found"},
      {txn({put_op("a"), range_op("a", 999)}),
       "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision"},
      {txn({range_op("a", -5)}), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted"},
      {txn(std::vector<RequestOp>(129, range_op("a"))),
       "INVALID_ARGUMENT: etcdserver: too many operations in txn request"},
      {txn({txn_op(std::vector<RequestOp>(128, range_op("a")))}),
       "INVALID_ARGUMENT: etcdserver: too many operations in txn request"},
      {CompactRequest{99}, "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision"},
      {CompactRequest{-1}, "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted"},
      {LeaseGrantRequest{LeaseId{1}, 9'000'000'001}, "OUT_OF_RANGE: etcdserver: too large lease TTL"},
      {LeaseRevokeRequest{LeaseId{1}}, "NOT_FOUND: etcdserver: requested lease not found"},
      {PutRequest{.key = "a", .value = std::string(kMaxRequestBytes, 'x')},
       "INVALID_ARGUMENT: etcdserver: request is too large"},
  };
  for (const auto& test : cases) EXPECT_EQ(refusal(test.request), test.error);
  EXPECT_EQ(machine.state->store().revision(), 1);
  EXPECT_EQ(error_of(machine.ask(RangeRequest{.key = "a", .revision = 9})),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(error_of(machine.ask(RangeRequest{})), "INVALID_ARGUMENT: etcdserver: key is not provided");
  EXPECT_EQ(error_of(machine.ask(RangeRequest{.key = "a", .revision = -5})), "OK");
  EXPECT_FALSE(machine.ask(PutRequest{.key = "a"}).ok());
  EXPECT_FALSE(machine.call(LeasesRequest{}).ok());
}

TEST_F(Rules, oneTransactionPutsAKeyOnceAndNotBesideADelete) {
  const char* duplicate = "INVALID_ARGUMENT: etcdserver: duplicate key given in txn request";
  EXPECT_EQ(refusal(txn({put_op("a"), put_op("a")})), duplicate);
  EXPECT_EQ(refusal(txn({put_op("a"), delete_op("a")})), duplicate);
  EXPECT_EQ(refusal(txn({put_op("b"), delete_op("a", "c")})), duplicate);
  EXPECT_EQ(refusal(txn({delete_op("a", "b"), delete_op("b", "d"), put_op("c")})), duplicate);
  EXPECT_EQ(refusal(txn({put_op("a"), txn_op({put_op("a")})})), duplicate);
  EXPECT_EQ(refusal(txn({txn_op({put_op("a")}), txn_op({}, {put_op("a")})})), duplicate);
  EXPECT_EQ(refusal(txn({txn_op({put_op("a")}), delete_op("a")})), duplicate);
  EXPECT_EQ(refusal(txn({txn_op({delete_op("a")}), txn_op({put_op("a")})})), duplicate);
  EXPECT_EQ(refusal(txn({txn_op({delete_op("a")}), put_op("a")})), duplicate);
  EXPECT_EQ(refusal(txn({}, {}, {put_op("a"), put_op("a")})), duplicate);
  // These pass in etcd.
  EXPECT_EQ(refusal(txn({txn_op({put_op("a")}, {put_op("a")})})), "OK");
  EXPECT_EQ(refusal(txn({txn_op({put_op("a")}), txn_op({delete_op("a")})})), "OK");
  EXPECT_EQ(refusal(txn({put_op("a"), delete_op("a", std::string(1, '\0'))})), "OK");
  EXPECT_EQ(refusal(txn({put_op("b"), delete_op("a", "b")})), "OK");
}

TEST_F(Rules, aTransactionIsOneRevisionAndSeesItself) {
  machine.put("c1", "");
  const auto response = machine.must<TxnResponse>(
      txn({put_op("c2", "1"), range_op("c2"), delete_op("c1"), range_op("c1"), range_op("c1", 2)}));
  EXPECT_EQ(response.revision, 3);
  EXPECT_TRUE(response.succeeded);
  EXPECT_EQ(std::get<RangeResponse>(response.responses[1].op).kvs[0].mod_revision, 3);
  EXPECT_EQ(std::get<DeleteRangeResponse>(response.responses[2].op).deleted, 1);
  EXPECT_EQ(std::get<RangeResponse>(response.responses[3].op).count, 0);
  EXPECT_EQ(std::get<RangeResponse>(response.responses[4].op).count, 1);
  EXPECT_EQ(machine.must<TxnResponse>(txn({delete_op("none")})).revision, 3);
}

TEST_F(Rules, comparisons) {
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{7}, 60});
  machine.put("a", "m", LeaseId{7});  // 2
  machine.put("a", "n", LeaseId{7});  // 3
  machine.put("b", "x");              // 4
  using T = Compare::Target;
  using R = Compare::Result;
  const struct {
    Compare compare;
    bool holds;
  } cases[] = {
      {{R::kEqual, T::kVersion, "a", "", 2, ""}, true},
      {{R::kGreater, T::kVersion, "a", "", 2, ""}, false},
      {{R::kEqual, T::kCreate, "a", "", 2, ""}, true},
      {{R::kLess, T::kMod, "a", "", 4, ""}, true},
      {{R::kNotEqual, T::kMod, "a", "", 3, ""}, false},
      {{R::kEqual, T::kValue, "a", "", 0, "n"}, true},
      {{R::kGreater, T::kValue, "a", "", 0, "m"}, true},
      {{R::kEqual, T::kLease, "a", "", 7, ""}, true},
      {{R::kEqual, T::kVersion, "none", "", 0, ""}, true},
      {{R::kEqual, T::kCreate, "none", "", 0, ""}, true},
      {{R::kGreater, T::kCreate, "none", "nonf", 0, ""}, false},
      {{R::kNotEqual, T::kValue, "none", "", 0, "x"}, false},
      {{R::kEqual, T::kValue, "none", "", 0, ""}, false},
      {{R::kGreater, T::kMod, "a", "c", 2, ""}, true},
      {{R::kGreater, T::kMod, "a", "c", 3, ""}, false},
      {{R::kGreater, T::kMod, "b", std::string(1, '\0'), 3, ""}, true},
  };
  for (const auto& test : cases) {
    const auto response = std::get<TxnResponse>(*machine.ask(txn({range_op("a")}, {test.compare})));
    EXPECT_EQ(response.succeeded, test.holds) << &test - cases;
    EXPECT_EQ(response.responses.size(), test.holds ? 1u : 0u);
  }
}

TEST_F(Rules, innerComparisonsLookAtTheStateBeforeTheTransaction) {
  TxnRequest inner = txn({put_op("seen")}, {{Compare::Result::kGreater, Compare::Target::kVersion, "a", "", 0, ""}},
                         {put_op("unseen")});
  const auto response = machine.must<TxnResponse>(txn({put_op("a"), {inner}}));
  EXPECT_FALSE(std::get<TxnResponse>(response.responses[1].op).succeeded);
  EXPECT_EQ(std::get<TxnResponse>(response.responses[1].op).revision, 0);
  EXPECT_EQ(machine.range({.key = "unseen"}).count, 1);
}

TEST_F(Rules, compaction) {
  machine.put("a", "1");                                              // 2
  machine.put("a", "2");                                              // 3
  machine.put("b", "1");                                              // 4
  machine.must<DeleteRangeResponse>(DeleteRangeRequest{.key = "b"});  // 5
  machine.put("a", "3");                                              // 6
  EXPECT_EQ(machine.must<CompactResponse>(CompactRequest{5}).revision, 6);
  EXPECT_EQ(refusal(CompactRequest{5}), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(error_of(machine.ask(RangeRequest{.key = "a", .revision = 4})),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(machine.range({.key = "a", .revision = 5}).kvs[0].value, "2");
  EXPECT_THAT(machine.range({.key = "b", .revision = 5}).kvs, IsEmpty());
  // 3, the visible one of a; 5, which a watch from the compaction on must see; 6.
  EXPECT_EQ(machine.state->store().records(), 3u);
  machine.must<CompactResponse>(CompactRequest{6});
  EXPECT_EQ(machine.state->store().records(), 1u);
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0].version, 3);
  EXPECT_FALSE(machine.state->store().sweeping());
}

TEST_F(Rules, compactionAtNothingSucceedsOnceAsInEtcd) {
  EXPECT_EQ(refusal(CompactRequest{0}), "OK");
  EXPECT_EQ(refusal(CompactRequest{0}), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
}

TEST_F(Rules, compactionWorksInStepsThatNoReaderSees) {
  const int versions = static_cast<int>(kSweepPerCommand) * 3;
  for (int i = 0; i < versions; i++) machine.put("hot", std::to_string(i));
  machine.must<CompactResponse>(CompactRequest{versions + 1});
  EXPECT_TRUE(machine.state->store().sweeping());
  EXPECT_FALSE(machine.ask(RangeRequest{.key = "hot", .revision = 5}).ok());
  for (int i = 0; i < 3; i++) machine.put("tick", "");
  EXPECT_FALSE(machine.state->store().sweeping());
  EXPECT_EQ(machine.state->store().records(), 4u);
  EXPECT_EQ(machine.range({.key = "hot"}).kvs[0].version, versions);
}

TEST_F(Rules, leases) {
  EXPECT_EQ(machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{7}, 0}).ttl_s, kMinLeaseTtlSeconds);
  EXPECT_EQ(machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{-9}, 5}).id, LeaseId{-9});
  EXPECT_EQ(refusal(LeaseGrantRequest{LeaseId{7}, 100}), "FAILED_PRECONDITION: etcdserver: lease already exists");
  const auto chosen = machine.must<LeaseGrantResponse>(LeaseGrantRequest{kNoLease, 30}, kSecond);
  EXPECT_GT(number(chosen.id), 0);
  machine.put("b", "", chosen.id);
  machine.put("a", "", chosen.id);
  machine.put("c", "", chosen.id);
  machine.put("c", "");  // no longer of the lease
  const auto left = std::get<LeaseTimeToLiveResponse>(
      *machine.ask(LeaseTimeToLiveRequest{.id = chosen.id, .keys = true, .now_ns = 11 * kSecond}));
  EXPECT_EQ(left.ttl_s, 20);
  EXPECT_EQ(left.granted_ttl_s, 30);
  EXPECT_THAT(left.keys, ElementsAre("a", "b"));
  EXPECT_EQ(std::get<LeaseTimeToLiveResponse>(*machine.ask(LeaseTimeToLiveRequest{.id = LeaseId{77}})).ttl_s, -1);
  EXPECT_THAT(std::get<LeasesResponse>(*machine.ask(LeasesRequest{})).ids,
              ElementsAre(LeaseId{7}, LeaseId{-9}, chosen.id));
  const Revision before = machine.state->store().revision();
  EXPECT_EQ(machine.must<LeaseRevokeResponse>(LeaseRevokeRequest{chosen.id}).revision, before + 1);
  EXPECT_THAT(keys({.key = "a", .range_end = "z"}), ElementsAre("c"));
  EXPECT_EQ(machine.must<LeaseRevokeResponse>(LeaseRevokeRequest{LeaseId{7}}).revision, before + 1);
  EXPECT_THAT(machine.must<LeaseKeepAliveResponse>(LeaseKeepAliveRequest{{LeaseId{7}, LeaseId{-9}}}).ttl_s,
              ElementsAre(0, 5));
}

TEST_F(Rules, theLongestLeaseNeverEnds) {
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{1}, 9'000'000'000}, INT64_MAX / 2);
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{}, INT64_MAX - 1).revoked, IsEmpty());
}

TEST_F(Rules, leasesEndByTheCommandOfTheReigningLeaderOnly) {
  machine.must<LeaseExtendResponse>(LeaseExtendRequest{.reign = 4});
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{1}, 10});
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{2}, 20});
  machine.put("a", "", LeaseId{1});
  machine.put("b", "", LeaseId{1});
  EXPECT_EQ(machine.state->leases().next_deadline_ns(), 10 * kSecond);
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{4}, 9 * kSecond).revoked, IsEmpty());
  // Another member's clock took replicated time ahead after the leader had asked.
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{4, 9 * kSecond}, 11 * kSecond).revoked, IsEmpty());
  // Time alone ends nothing, nor does somebody who does not reign, whether before or after.
  machine.must<LeaseExpireResponse>(LeaseExpireRequest{3}, 11 * kSecond);
  machine.must<LeaseExpireResponse>(LeaseExpireRequest{5}, 11 * kSecond);
  EXPECT_EQ(machine.range({.key = "a"}).count, 1);
  // A new leader gives every lease its whole time again; that its predecessor still ends some is void, and that it
  // extends them is not, as its clock may have taken replicated time along with it.
  machine.must<LeaseExtendResponse>(LeaseExtendRequest{.reign = 5}, 12 * kSecond);
  machine.must<LeaseExtendResponse>(LeaseExtendRequest{.reign = 4}, 19 * kSecond);
  EXPECT_EQ(machine.state->reign(), 5u);
  // One that has not begun is nobody's: believed, it would keep all that follow from ending anything.
  EXPECT_EQ(machine.call(LeaseExtendRequest{.reign = 6}, 19 * kSecond).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(machine.state->reign(), 5u);
  machine.must<LeaseExpireResponse>(LeaseExpireRequest{4}, 23 * kSecond);
  EXPECT_EQ(machine.state->leases().size(), 2u);
  machine.must<LeaseKeepAliveResponse>(LeaseKeepAliveRequest{{LeaseId{2}}}, 23 * kSecond);
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{5}, 28 * kSecond).revoked, IsEmpty());
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{5}, 29 * kSecond).revoked, ElementsAre(LeaseId{1}));
  EXPECT_EQ(machine.range({.key = "a", .range_end = "c"}).count, 0);
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{5}, 42 * kSecond).revoked, IsEmpty());
  EXPECT_THAT(machine.must<LeaseExpireResponse>(LeaseExpireRequest{5}, 43 * kSecond).revoked, ElementsAre(LeaseId{2}));
}

TEST_F(Rules, expiryIsBoundedAndSaysThatMoreIsDue) {
  for (size_t i = 1; i <= kMaxExpiredPerCommand + 1; i++) {
    machine.done(LeaseGrantRequest{LeaseId{static_cast<int64_t>(i)}, 10});
  }
  const auto first = machine.must<LeaseExpireResponse>(LeaseExpireRequest{}, 10 * kSecond);
  EXPECT_EQ(first.revoked.size(), kMaxExpiredPerCommand);
  EXPECT_TRUE(first.more);
  EXPECT_FALSE(machine.must<LeaseExpireResponse>(LeaseExpireRequest{}, 10 * kSecond).more);
  EXPECT_EQ(machine.state->leases().size(), 0u);
}

TEST_F(Rules, appendAndCompareAndSet) {
  EXPECT_EQ(machine.must<AppendResponse>(AppendRequest{"a", "xy"}), (AppendResponse{2, 2}));
  EXPECT_EQ(machine.must<AppendResponse>(AppendRequest{"a", "z"}), (AppendResponse{3, 3}));
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0].value, "xyz");
  using Expect = CompareAndSetRequest::Expect;
  CompareAndSetRequest request{.key = "a", .expect = Expect::kAbsent, .value = "new"};
  auto response = machine.must<CompareAndSetResponse>(request);
  EXPECT_FALSE(response.swapped);
  EXPECT_EQ(response.current->value, "xyz");
  request.expect = Expect::kValue;
  request.expected_value = "xyz";
  EXPECT_TRUE(machine.must<CompareAndSetResponse>(request).swapped);
  EXPECT_FALSE(machine.must<CompareAndSetResponse>(request).swapped);
  request.expect = Expect::kModRevision;
  request.expected_mod_revision = 4;
  EXPECT_EQ(machine.must<CompareAndSetResponse>(request).revision, 5);
  request = {.key = "b", .expect = Expect::kAbsent, .value = "1"};
  EXPECT_TRUE(machine.must<CompareAndSetResponse>(request).swapped);
}

TEST_F(Rules, anAppendDoesNotGrowAValueWithoutBound) {
  const std::string half(kMaxValueBytes / 2, 'x');
  EXPECT_EQ(refusal(AppendRequest{"a", half}), "OK");
  EXPECT_EQ(refusal(AppendRequest{"a", half}), "OK");
  EXPECT_EQ(refusal(AppendRequest{"a", "y"}), "INVALID_ARGUMENT: etcdserver: request is too large");
}

TEST_F(Rules, whatWouldFillMemoryIsRefusedBeforeItIsRead) {
  const std::string large(1u << 20, 'x');
  for (int i = 0; i < 130; i++) machine.put("k" + std::to_string(i), large);
  const Revision before = machine.state->store().revision();
  const RangeRequest all{.key = "k", .range_end = "l"};
  EXPECT_EQ(machine.range(all).count, 130);
  const auto twice = machine.ask(txn({{all}, {all}}));
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, Code::kResourceExhausted);
  EXPECT_FALSE(machine.call(txn({put_op("a"), {all}, {DeleteRangeRequest{"k", "l", true}}})).ok());
  EXPECT_EQ(machine.state->store().revision(), before);
  RangeRequest few = all;
  few.limit = 3;
  EXPECT_TRUE(machine.ask(txn({{few}, {all}})).ok());
  few.count_only = true;
  EXPECT_TRUE(machine.ask(txn({{few}, {few}, {all}})).ok());
  for (int i = 130; i < 260; i++) machine.put("k" + std::to_string(i), large);
  EXPECT_EQ(machine.ask(all).error().code, Code::kResourceExhausted);
  EXPECT_EQ(machine.call(DeleteRangeRequest{"k", "l", true}).error().code, Code::kResourceExhausted);
  EXPECT_EQ(machine.must<DeleteRangeResponse>(DeleteRangeRequest{"k", "l", false}).deleted, 260);
}

TEST_F(Rules, customCommandsAreAtomicAndNamed) {
  CustomRegistry commands;
  commands.add("transfer", 1, [](CustomContext& context, std::string_view amount) -> Result<std::string> {
    context.put("from", context.get("from").value_or("") + "-" + std::string(amount));
    context.put("to", context.get("to").value_or("") + "+" + std::string(amount));
    if (amount == "too much") return Error{Code::kFailedPrecondition, "not so much"};
    if (amount == "nowhere") context.put("", "");
    context.erase("note");
    std::string seen;
    for (const auto& [key, value] : context.range({"a", "z"}, 10)) seen += key + value + ";";
    return seen;
  });
  MemoryEngine memory;
  Machine bank(memory, commands);
  bank.put("note", "");
  bank.put("other", "!");
  EXPECT_EQ(bank.must<CustomResponse>(CustomRequest{"transfer", 1, "5"}), (CustomResponse{4, "from-5;other!;to+5;"}));
  EXPECT_EQ(error_of(bank.call(CustomRequest{"transfer", 1, "too much"})), "FAILED_PRECONDITION: not so much");
  EXPECT_FALSE(bank.call(CustomRequest{"transfer", 1, "nowhere"}).ok());
  EXPECT_EQ(bank.call(CustomRequest{"transfer", 2, "5"}).error().code, Code::kUnimplemented);
  EXPECT_EQ(bank.state->store().revision(), 4);
  EXPECT_EQ(bank.range({.key = "from"}).kvs[0].value, "-5");
  EXPECT_NE(commands.fingerprint(), registry.fingerprint());
}

TEST_F(Rules, aDeleteOfEverythingBeforeAPutThatKeepsTheValueKeepsNothing) {
  machine.put("a", "1");
  machine.done(txn({delete_op("a", std::string(1, '\0')), {PutRequest{.key = "a", .ignore_value = true}}}));
  EXPECT_EQ(machine.range({.key = "a"}).kvs[0],
            (KeyValue{.key = "a", .create_revision = 3, .mod_revision = 3, .version = 1, .value = ""}));
}

TEST_F(Rules, hashesNameTheRevisionTheyAreOf) {
  machine.put("a", "1");
  const auto first = std::get<HashResponse>(*machine.ask(HashRequest{}));
  machine.put("a", "2");
  EXPECT_EQ(std::get<HashResponse>(*machine.ask(HashRequest{2})).hash, first.hash);
  EXPECT_NE(std::get<HashResponse>(*machine.ask(HashRequest{})).hash, first.hash);
  EXPECT_FALSE(machine.ask(HashRequest{4}).ok());
}

TEST_F(Rules, aSnapshotIsTakenOfTheMomentAndReadBackWhole) {
  machine.must<LeaseGrantResponse>(LeaseGrantRequest{LeaseId{3}, 60}, kSecond);
  for (int i = 0; i < 200; i++) machine.put("k" + std::to_string(i), std::string(static_cast<size_t>(i), 'v'));
  machine.put("leased", "", LeaseId{3});
  machine.must<CompactResponse>(CompactRequest{50});
  const Hash128 digest = machine.state->digest();
  auto write = machine.state->freeze();
  const std::string now = machine.snapshot();
  machine.must<DeleteRangeResponse>(DeleteRangeRequest{"k", "l", false});
  machine.must<LeaseRevokeResponse>(LeaseRevokeRequest{LeaseId{3}});
  EXPECT_NE(machine.state->digest(), digest);
  StringSink sink;
  EXPECT_TRUE(write(sink).ok());
  EXPECT_EQ(sink.bytes(), now);
  for (const size_t piece : {1u, 100u, 1'000'000u}) {
    MemoryEngine other;
    Machine copy(other, registry);
    copy.put("to be forgotten", "");
    StringSource source(sink.bytes(), piece);
    ASSERT_TRUE(copy.state->restore(source).ok());
    EXPECT_EQ(copy.state->digest(), digest);
    EXPECT_EQ(copy.snapshot(), sink.bytes());
    EXPECT_EQ(copy.state->leases().find(LeaseId{3})->keys.size(), 1u);
    EXPECT_EQ(copy.state->time_ns(), kSecond);
  }
}

TEST_F(Rules, damagedSnapshotsAreRefused) {
  for (int i = 0; i < 5; i++) machine.put("k" + std::to_string(i), "v");
  const std::string good = machine.snapshot();
  for (size_t cut = 0; cut < good.size(); cut++) {
    MemoryEngine other;
    Machine copy(other, registry);
    StringSource source(good.substr(0, cut), 64);
    EXPECT_EQ(copy.state->restore(source).code(), Code::kDataLoss) << cut;
  }
  MemoryEngine other;
  Machine copy(other, registry);
  StringSource longer(good + "x", 64);
  EXPECT_EQ(copy.state->restore(longer).code(), Code::kDataLoss);
}

// One command is carried out at one go on every member, and nothing else is meanwhile.
TEST_F(Rules, aChangeThatWouldLookAtTooManyKeysIsRefusedAndChangesNothing) {
  const auto key = [](size_t n) { return "k" + std::to_string(1'000'000 + n); };
  for (size_t n = 0; n <= kMaxRangeKeys; n += kMaxTxnOps) {
    TxnRequest puts;
    for (size_t i = n; i < n + kMaxTxnOps && i <= kMaxRangeKeys; ++i) puts.success.push_back(put_op(key(i)));
    machine.done(puts);
  }
  const Revision before = machine.state->store().revision();
  const std::string refused = error_of(Result<Response>(errors::too_many_keys()));
  EXPECT_EQ(refusal(DeleteRangeRequest{.key = "k", .range_end = "l"}), refused);
  EXPECT_EQ(refusal(DeleteRangeRequest{.key = "k", .range_end = "l", .prev_kv = true}), refused);
  EXPECT_EQ(refusal(txn({delete_op("k", "l")})), refused);
  EXPECT_EQ(refusal(txn({put_op("a")}, {Compare{.key = "k", .range_end = "l"}})), refused);
  EXPECT_EQ(refusal(txn({delete_op("k", key(50'001)), delete_op(key(50'001), "l")})), refused);
  EXPECT_EQ(error_of(machine.ask(txn({{RangeRequest{.key = "k", .range_end = "l", .limit = 1}}}))), refused);
  EXPECT_EQ(machine.state->store().revision(), before);
  EXPECT_EQ(machine.range({.key = "k", .range_end = "l", .count_only = true}).count, kMaxRangeKeys + 1)
      << "a read of a range goes in steps";
  EXPECT_EQ(machine.must<DeleteRangeResponse>(DeleteRangeRequest{.key = "k", .range_end = key(kMaxRangeKeys)}).deleted,
            kMaxRangeKeys);
}

}  // namespace
}  // namespace clew::kv
