#include "api/etcd/errors.h"

#include <gtest/gtest.h>

namespace clew::api::etcd {
namespace {

TEST(EtcdErrors, failuresOfTheServiceInTheWordsThatClientsCompare) {
  constexpr consensus::NodeId kLeader{2};
  const struct {
    control::CallError error;
    Error wanted;
  } table[] = {
      {{Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted", false, kLeader, {}},
       {Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted"}},
      {{Code::kUnavailable, "no leader: 1 of 3 voters is reachable", false, consensus::kNobody, {}},
       {Code::kUnavailable, "etcdserver: no leader"}},
      {{Code::kUnavailable, "etcdserver: no leader", false, kLeader, {}},
       {Code::kUnavailable, "etcdserver: no leader"}},
      {{Code::kUnavailable, "node 2 does not answer", true, kLeader, {}},
       {Code::kUnavailable, "node 2 does not answer"}},
      {{Code::kDeadlineExceeded, "no answer within 5 s", true, kLeader, {}},
       {Code::kUnavailable, "etcdserver: request timed out"}},
      {{Code::kDeadlineExceeded, "etcdserver: request timed out", false, kLeader, {}},
       {Code::kUnavailable, "etcdserver: request timed out"}},
      {{Code::kDeadlineExceeded, "etcdserver: no leader", false, consensus::kNobody, {}},
       {Code::kUnavailable, "etcdserver: no leader"}},
      {{Code::kResourceExhausted, "etcdserver: mvcc: database space exceeded", false, kLeader, {}},
       {Code::kResourceExhausted, "etcdserver: mvcc: database space exceeded"}},
  };
  for (const auto& row : table) {
    const Error got = as_etcd(row.error);
    EXPECT_EQ(got.code, row.wanted.code) << row.error.message;
    EXPECT_EQ(got.message, row.wanted.message);
  }
}

}  // namespace
}  // namespace clew::api::etcd
