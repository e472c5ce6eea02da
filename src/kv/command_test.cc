#include "kv/command.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/varint.h"

namespace clew::kv {
namespace {

// One value of each kind with every field set.
std::vector<Request> all_requests() {
  const RangeRequest range{"k", "l", 3, 4, SortOrder::kDescend, SortTarget::kValue, true, true, true, 5, 6, 7, 8};
  const PutRequest put{"k", "v", LeaseId{-3}, true, true, true};
  const DeleteRangeRequest erase{"k", "l", true};
  const Compare compare{Compare::Result::kNotEqual, Compare::Target::kLease, "k", "l", -9, "v"};
  TxnRequest inner{{compare}, {{put}}, {{erase}, {std::monostate()}}};
  TxnRequest txn{{compare, compare}, {{range}, {inner}}, {{put}}};
  return {put,
          erase,
          txn,
          CompactRequest{INT64_MIN},
          AppendRequest{"k", "s"},
          CompareAndSetRequest{"k", CompareAndSetRequest::Expect::kModRevision, "e", 4, "v", LeaseId{5}},
          CustomRequest{"name", 4'000'000'000, "arguments"},
          LeaseGrantRequest{LeaseId{INT64_MAX}, 60},
          LeaseRevokeRequest{LeaseId{1}},
          LeaseKeepAliveRequest{{LeaseId{1}, LeaseId{2}}},
          LeaseExtendRequest{UINT64_MAX},
          LeaseExpireRequest{3, 5'000'000'000},
          range,
          LeaseTimeToLiveRequest{LeaseId{1}, true, 9},
          LeasesRequest{},
          HashRequest{7}};
}

std::vector<Result<Response>> all_responses() {
  const KeyValue kv{"k", 2, 3, 2, LeaseId{7}, "v"};
  const RangeResponse range{9, {kv, kv}, true, 5};
  const TxnResponse inner{0, true, {{PutResponse{9, kv}}}};
  return {Response(PutResponse{9, std::nullopt}),
          Response(DeleteRangeResponse{9, 2, {kv}}),
          Response(TxnResponse{9, false, {{range}, {inner}, {DeleteRangeResponse{}}}}),
          Response(CompactResponse{9}),
          Response(AppendResponse{9, 4}),
          Response(CompareAndSetResponse{9, false, kv}),
          Response(CustomResponse{9, "r"}),
          Response(LeaseGrantResponse{9, LeaseId{-1}, 60}),
          Response(LeaseRevokeResponse{9}),
          Response(LeaseKeepAliveResponse{9, {1, 0}}),
          Response(LeaseExtendResponse{9}),
          Response(LeaseExpireResponse{9, {LeaseId{4}}, true}),
          Response(range),
          Response(LeaseTimeToLiveResponse{9, LeaseId{4}, -1, 3, {"a", "b"}}),
          Response(LeasesResponse{9, {LeaseId{4}}}),
          Response(HashResponse{9, 4, {1, 2}}),
          Error{Code::kUnauthenticated, "why"}};
}

bool same(const Result<Response>& a, const Result<Response>& b) {
  if (a.ok() != b.ok()) return false;
  return a.ok() ? *a == *b : a.error().code == b.error().code && a.error().message == b.error().message;
}

TEST(Command, everyKindComesBackAsItWas) {
  ASSERT_EQ(all_requests().size(), std::variant_size_v<Request::variant>);
  for (const Request& request : all_requests()) EXPECT_EQ(decode_request(encode(request)).value(), request);
  ASSERT_EQ(all_responses().size(), std::variant_size_v<Response::variant> + 1);
  for (const auto& response : all_responses()) EXPECT_TRUE(same(decode_response(encode(response)), response));
}

TEST(Command, nothingShorterOrLongerIsTaken) {
  for (const Request& request : all_requests()) {
    const std::string bytes = encode(request);
    for (size_t cut = 0; cut < bytes.size(); cut++) EXPECT_FALSE(decode_request(bytes.substr(0, cut)).ok());
    EXPECT_FALSE(decode_request(bytes + '\0').ok());
  }
  for (const auto& response : all_responses()) {
    const std::string bytes = encode(response);
    for (size_t cut = 0; cut < bytes.size(); cut++) {
      EXPECT_EQ(decode_response(bytes.substr(0, cut)).status().code(), Code::kDataLoss);
    }
    EXPECT_EQ(decode_response(bytes + '\0').status().code(), Code::kDataLoss);
  }
}

TEST(Command, changedBytesAreRefusedOrMeanSomethingElse) {
  Generator random(1);
  for (const Request& request : all_requests()) {
    const std::string bytes = encode(request);
    for (int i = 0; i < 300; i++) {
      std::string changed = bytes;
      changed[random.below(changed.size())] ^= static_cast<char>(1 << random.below(8));
      auto decoded = decode_request(changed);
      // Varints have longer spellings of the same number: what is decoded need not have been canonical, but is again.
      if (decoded.ok()) {
        EXPECT_EQ(decode_request(encode(*decoded)).value(), *decoded);
      }
    }
  }
}

TEST(Command, aPromisedLengthCostsNothingUntilTheBytesAreThere) {
  std::string bytes = "\x01";
  bytes.push_back(9);  // keep-alive
  append_varint(bytes, UINT64_MAX);
  EXPECT_FALSE(decode_request(bytes).ok());
}

TEST(Command, depthAndNumberOfOperationsAreBounded) {
  TxnRequest txn;
  for (int depth = 1; depth < kMaxTxnDepth; depth++) txn = TxnRequest{{}, {{std::move(txn)}}, {}};
  EXPECT_TRUE(decode_request(encode(Request(txn))).ok());
  txn = TxnRequest{{}, {{std::move(txn)}}, {}};
  EXPECT_FALSE(decode_request(encode(Request(txn))).ok());
  TxnRequest wide{{}, std::vector<RequestOp>(kMaxDecodedOps), {}};
  EXPECT_TRUE(decode_request(encode(Request(wide))).ok());
  wide.failure.emplace_back();
  EXPECT_FALSE(decode_request(encode(Request(wide))).ok());
}

}  // namespace
}  // namespace clew::kv
