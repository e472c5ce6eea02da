#include "api/etcd/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <set>

#include "api/etcd/client_test.h"
#include "api/etcd/single_node_test.h"
#include "api/etcd/snapshot_file.h"
#include "api/rpc/budget.h"
#include "api/test_certificates.h"
#include "api/test_support.h"
#include "sim/disk.h"

namespace clew::api::etcd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Etcd : public testing::Test {
 protected:
  void start(EtcdEndpoint endpoint = {}) {
    endpoint.endpoint = "127.0.0.1:0";
    server_ = std::make_unique<EtcdServer>(endpoint, node_, loops_.all(), "1.2.3");
    const Status started = server_->start();
    ASSERT_TRUE(started.ok()) << started.to_string();
    server_->set_ready(true);
    client_ = std::make_unique<Client>(address());
  }
  void SetUp() override { start(); }
  void TearDown() override {
    node_.release();
    server_.reset();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  std::string call(const std::string& method, const std::string& request, const Client::Metadata& metadata = {}) {
    return client_->call(method, request, metadata);
  }
  template <typename F>
  static void eventually(F holds) {
    while (!holds()) std::this_thread::yield();
  }

  SingleNode node_;
  api::test::Loops loops_{2};
  std::unique_ptr<EtcdServer> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(Etcd, headersNameClusterMemberRevisionAndTerm) {
  eventually([&] {  // the server learns who it is from the service, a moment after its start
    grpc::ClientContext context;
    pb::PutResponse response;
    EXPECT_TRUE(client_->kv->Put(&context, parse<pb::PutRequest>("key: 'a'"), &response).ok());
    EXPECT_EQ(response.header().raft_term(), 3u);
    return response.header().cluster_id() == SingleNode::kCluster && response.header().member_id() == 7;
  });
  EXPECT_THAT(call("Status", ""), HasSubstr("version: \"3.4.0+clew.1.2.3\" dbSize: 4096 leader: 7"));
}

TEST_F(Etcd, answersOfOneMemberAlone) {
  EXPECT_EQ(
      call("MemberList", ""),
      R"(header { } members { ID: 7 name: "one" peerURLs: "http://127.0.0.1:2380" clientURLs: "http://127.0.0.1:2379" })");
  EXPECT_EQ(call("MemberList", "linearizable: true"), call("MemberList", ""));
  EXPECT_EQ(call("Defragment", ""), "");
  EXPECT_THAT(call("Hash", ""), StartsWith("header { revision: 1 } hash: "));
  call("Put", "key: 'a'");
  const std::string at_one = call("HashKV", "revision: 2");
  call("Put", "key: 'b'");
  EXPECT_EQ(call("HashKV", "revision: 2").substr(22), at_one.substr(22)) << "the past has one hash";
  EXPECT_NE(call("HashKV", "").substr(22), at_one.substr(22));
  EXPECT_EQ(call("HashKV", "revision: 9"), "error 11: etcdserver: mvcc: required revision is a future revision");
}

TEST_F(Etcd, membersAreAddedUpdatedPromotedAndRemoved) {
  EXPECT_EQ(
      call("MemberAdd", "peerURLs: 'http://h:1' isLearner: true"),
      R"(header { } member { ID: 100 peerURLs: "http://h:1" isLearner: true } members { ID: 7 name: "one" peerURLs: )"
      R"("http://127.0.0.1:2380" clientURLs: "http://127.0.0.1:2379" } members { ID: 100 peerURLs: "http://h:1" isLearner: true })");
  EXPECT_EQ(call("MemberAdd", "peerURLs: 'http://h:1'"), "error 9: etcdserver: Peer URLs already exists");
  for (const char* bad : {"", "peerURLs: 'h:1'", "peerURLs: 'ftp://h:1'", "peerURLs: 'http://h'",
                          "peerURLs: 'http://:1'", "peerURLs: 'http://h:x'", "peerURLs: 'http://h:1/path'"}) {
    EXPECT_EQ(call("MemberAdd", bad), "error 3: etcdserver: given member URLs are invalid") << bad;
  }
  EXPECT_THAT(call("MemberUpdate", "ID: 100 peerURLs: 'http://h:2'"), HasSubstr(R"(peerURLs: "http://h:2")"));
  EXPECT_EQ(call("MemberPromote", "ID: 7"), "error 9: etcdserver: can only promote a learner member");
  node_.set_behind(consensus::NodeId{100}, 5);
  EXPECT_EQ(call("MemberPromote", "ID: 100"),
            "error 9: etcdserver: can only promote a learner member which is in sync with leader");
  node_.set_behind(consensus::NodeId{100}, 0);
  EXPECT_THAT(call("MemberPromote", "ID: 100"), HasSubstr(R"(members { ID: 100 peerURLs: "http://h:2" })"));
  EXPECT_EQ(call("MoveLeader", "targetID: 100"), "header { revision: 1 }");
  EXPECT_THAT(call("Status", ""), HasSubstr("leader: 100"));
  EXPECT_EQ(call("MoveLeader", "targetID: 8"), "error 9: etcdserver: bad leader transferee");
  EXPECT_THAT(call("MemberRemove", "ID: 100"), testing::Not(HasSubstr("ID: 100")));
  for (const char* method : {"MemberRemove", "MemberPromote"}) {
    EXPECT_EQ(call(method, "ID: 100"), "error 5: etcdserver: member not found");
  }
  EXPECT_EQ(call("MemberUpdate", "ID: 100 peerURLs: 'http://h:2'"), "error 5: etcdserver: member not found");
}

TEST_F(Etcd, withoutALeaderRequestsAreToldSo) {
  call("Put", "key: 'a' value: '1'");
  call("LeaseGrant", "ID: 5 TTL: 100");
  node_.set_leader(false);
  const std::string none = "error 14: etcdserver: no leader";
  EXPECT_EQ(call("Put", "key: 'a'"), none);
  EXPECT_EQ(call("Range", "key: 'a'"), none);
  EXPECT_EQ(call("MemberAdd", "peerURLs: 'http://h:1'"), none);
  EXPECT_EQ(call("MemberList", "linearizable: true"), none);
  EXPECT_THAT(call("Range", "key: 'a' serializable: true"), HasSubstr(R"(value: "1")"));
  EXPECT_THAT(call("MemberList", ""), HasSubstr("ID: 7"));
  EXPECT_THAT(call("Status", ""), HasSubstr(R"(errors: "etcdserver: no leader")"));
  EXPECT_EQ(call("Range", "key: 'a' serializable: true", {{"hasleader", "true"}}), none);
  Watching patient(*client_), demanding(*client_, {{"hasleader", "true"}});
  patient.send("create_request { key: 'a' }");
  EXPECT_TRUE(patient.next().created());
  demanding.send("create_request { key: 'a' }");
  EXPECT_TRUE(demanding.next().created());
  EXPECT_EQ(show(demanding.finish()), none);
  grpc::ClientContext context;
  const auto renewals = client_->lease->LeaseKeepAlive(&context);
  renewals->Write(parse<pb::LeaseKeepAliveRequest>("ID: 5"));
  pb::LeaseKeepAliveResponse response;
  EXPECT_FALSE(renewals->Read(&response));
  EXPECT_EQ(show(renewals->Finish()), none);
  node_.set_leader(true);
  call("Put", "key: 'a' value: '2'");
  EXPECT_EQ(patient.events(1).size(), 1u) << "the patient watch goes on";
}

TEST_F(Etcd, metadataChoosesTheConsistencyAndCarriesTheSession) {
  call("Put", "key: 'a'");
  EXPECT_TRUE(client_->trailers.empty()) << "nobody asked for a token";
  call("Put", "key: 'a'", {{"clew-consistency", "linearizable"}});
  const std::string token = client_->trailers["clew-session-token"];
  EXPECT_FALSE(token.empty());
  EXPECT_THAT(call("Range", "key: 'a'", {{"clew-consistency", "sequential"}, {"clew-session-token", token}}),
              StartsWith("header"));
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kSequential);
  EXPECT_EQ(std::to_string(node_.last_options().at_least), token);
  call("Range", "key: 'a'", {{"clew-consistency", "lease"}});
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kLease);
  call("Range", "key: 'a' serializable: true");
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kSequential);
  call("Txn", "success { request_range { key: 'a' serializable: true } }");
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kSequential);
  call("Txn", "success { request_range { key: 'a' serializable: true } } success { request_range { key: 'b' } }");
  EXPECT_EQ(node_.last_options().consistency, control::Consistency::kLinearizable);
  EXPECT_THAT(call("Range", "key: 'a'", {{"clew-consistency", "strong"}}), HasSubstr("use linearizable, lease or"));
  EXPECT_THAT(call("Range", "key: 'a'", {{"clew-session-token", "x7"}}), StartsWith("error 3"));
}

TEST_F(Etcd, aDeadlineEndsTheCallAndBoundsTheService) {
  node_.hold();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(80));
  pb::PutResponse response;
  const grpc::Status status = client_->kv->Put(&context, parse<pb::PutRequest>("key: 'a'"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  eventually([&] { return server_->stats().open_calls == 0; });
  node_.release();
  call("Range", "key: 'a'");
  EXPECT_GT(node_.last_options().timeout_ns, 5'000'000'000 - 1) << "a client without a deadline gets the server's";
}

TEST_F(Etcd, watchesWithoutGapOrDuplicateWhileKeysChange) {
  Watching watching(*client_);
  watching.send("create_request { key: 'k' start_revision: 1 }");
  constexpr int kChanges = 3'000;
  std::thread writer([&] {
    Client other(address());
    for (int i = 1; i <= kChanges; ++i) other.call("Put", "key: 'k' value: '" + std::to_string(i) + "'");
  });
  int expected = 1;
  while (expected <= kChanges && !watching.ended()) {
    const pb::WatchResponse response = watching.next();
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().value(), std::to_string(expected));
      expected++;
    }
  }
  writer.join();
  EXPECT_EQ(expected, kChanges + 1);
}

TEST_F(Etcd, aWatcherThatDoesNotReadHoldsItselfBackAndLosesNothing) {
  Watching slow(*client_);
  slow.send("create_request { key: 'k' start_revision: 1 }");
  EXPECT_TRUE(slow.next().created());
  const std::string big(100'000, 'v');
  constexpr int kChanges = 600;  // 60 MB: more than any window, queue or socket holds
  for (int i = 0; i < kChanges; ++i) call("Put", "key: 'k' value: '" + big + std::to_string(i) + "'");
  EXPECT_LT(server_->stats().held_bytes, 16u << 20);
  int seen = 0;
  while (seen < kChanges && !slow.ended()) {
    const pb::WatchResponse response = slow.next();
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().value().substr(big.size()), std::to_string(seen));
      seen++;
    }
  }
  EXPECT_EQ(seen, kChanges);
}

TEST_F(Etcd, tenThousandWatchesOnOneStreamAndTheirEnd) {
  constexpr int kWatches = 10'000;
  {
    Watching many(*client_);
    for (int i = 0; i < kWatches; ++i) many.send("create_request { key: 'w" + std::to_string(i) + "' }");
    std::set<int64_t> ids;
    while (ids.size() < kWatches && !many.ended()) ids.insert(many.next().watch_id());
    EXPECT_EQ(node_.watchers(), static_cast<size_t>(kWatches));
    call("Put", "key: 'w9999' value: 'x'");
    EXPECT_THAT(many.events(1), testing::ElementsAre(HasSubstr(R"(key: "w9999")")));
  }
  eventually([&] { return node_.watchers() == 0; });
}

TEST_F(Etcd, progressFragmentsAndCancelling) {
  Watching watching(*client_);
  watching.send("create_request { key: 'a' range_end: 'z' fragment: true watch_id: 4 }");
  EXPECT_EQ(show(watching.next()), "header { revision: 1 } watch_id: 4 created: true");
  watching.send("progress_request { }");
  EXPECT_EQ(show(watching.next()), "header { revision: 1 } watch_id: -1");
  std::string txn;
  for (char c = 'a'; c < 'e'; ++c)
    txn += std::string("success { request_put { key: '") + c + "' value: '" + std::string(330'000, 'x') + "' } } ";
  call("Txn", txn);
  call("Txn", txn);
  size_t events = 0;
  while (events < 8) events += static_cast<size_t>(watching.next().events_size());
  watching.send("cancel_request { watch_id: 4 }");
  EXPECT_EQ(show(watching.next()), "header { revision: 3 } watch_id: 4 canceled: true");
}

TEST_F(Etcd, leasesOfDeadClientsEnd) {
  call("LeaseGrant", "ID: 9 TTL: 2");
  call("Put", "key: 'held' lease: 9");
  EXPECT_THAT(call("LeaseTimeToLive", "ID: 9 keys: true"), HasSubstr(R"(grantedTTL: 2 keys: "held")"));
  Watching watching(*client_);
  watching.send("create_request { key: 'held' start_revision: 2 }");
  EXPECT_THAT(watching.events(2), testing::ElementsAre(HasSubstr("version: 1"), StartsWith("type: DELETE")));
  EXPECT_EQ(call("LeaseTimeToLive", "ID: 9"), "header { revision: 3 } ID: 9 TTL: -1");
}

TEST_F(Etcd, snapshotsArriveWholeInAFileThatEtcdctlTakes) {
  for (int i = 0; i < 200; ++i)
    call("Put", "key: 'k" + std::to_string(i) + "' value: '" + std::string(20'000, 'v') + "'");
  grpc::ClientContext context;
  const auto stream = client_->maintenance->Snapshot(&context, {});
  pb::SnapshotResponse piece;
  std::string file;
  uint64_t remaining = 0;
  while (stream->Read(&piece)) {
    file += piece.blob();
    remaining = piece.remaining_bytes();
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(remaining, 0u);
  EXPECT_EQ(file.size() % 512, 32u);
  // The snapshot's bytes, "" when the file is refused.
  const auto opened = [](const std::string& bytes) {
    sim::SimDisk disk;
    EXPECT_TRUE(disk.make_dirs("/d").ok());
    EXPECT_TRUE(env::write_file_atomically(disk, "/d", "snapshot", bytes).ok());
    auto reader = SnapshotFileReader::open(disk, "/d/snapshot");
    std::string snapshot;
    while (reader.ok()) {
      const auto part = (*reader)->read();
      EXPECT_TRUE(part.ok());
      if (!part.ok() || part->empty()) break;
      snapshot += *part;
    }
    return snapshot;
  };
  const std::string snapshot = opened(file);
  EXPECT_GT(snapshot.size(), 4'000'000u);
  EXPECT_EQ(file.substr(kSnapshotFileHead, snapshot.size()), snapshot);
  std::string damaged = file;
  damaged[damaged.size() / 2] ^= 1;
  for (const std::string& bad :
       {damaged, file.substr(0, file.size() - 1), file.substr(0, 10), std::string(), file + "x"})
    EXPECT_EQ(opened(bad), "");
}

TEST_F(Etcd, healthIsCheckedAndWatched) {
  namespace health = grpc::health::v1;
  const auto check = [&](const std::string& service) {
    grpc::ClientContext context;
    health::HealthCheckRequest request;
    health::HealthCheckResponse response;
    request.set_service(service);
    const grpc::Status status = client_->health->Check(&context, request, &response);
    return status.ok() ? health::HealthCheckResponse::ServingStatus_Name(response.status()) : show(status);
  };
  EXPECT_EQ(check(""), "SERVING");
  EXPECT_EQ(check("etcdserverpb.KV"), "SERVING");
  EXPECT_EQ(check("other"), "error 5: unknown service");
  grpc::ClientContext context;
  const auto watch = client_->health->Watch(&context, {});
  health::HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), health::HealthCheckResponse::SERVING);
  server_->set_ready(false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), health::HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(check(""), "NOT_SERVING");
  context.TryCancel();
}

TEST_F(Etcd, whoComesAndGoesLeavesNoHealthWatcherBehind) {
  namespace health = grpc::health::v1;
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto watch = client_->health->Watch(&context, {});
    health::HealthCheckResponse response;
    ASSERT_TRUE(watch->Read(&response));
    context.TryCancel();
  }
  eventually([&] { return server_->stats().open_calls == 0; });
  eventually([&] { return server_->health_watchers() == 0; });
}

TEST_F(Etcd, aStreamOfRenewalsWhoseAnswersNobodyReadsEnds) {
  call("LeaseGrant", "ID: 5 TTL: 1000");
  grpc::ClientContext context;
  const auto renewals = client_->lease->LeaseKeepAlive(&context);
  // The client's library takes what its window allows, and then no more.
  const auto request = parse<pb::LeaseKeepAliveRequest>("ID: 5");
  constexpr int kMost = 2'000'000;
  int sent = 0;
  while (sent < kMost && server_->stats().by_code[static_cast<size_t>(Code::kResourceExhausted)] == 0 &&
         renewals->Write(request)) {
    sent++;
  }
  EXPECT_LT(sent, kMost);
  EXPECT_LT(server_->stats().held_bytes, 2u << 20);
  pb::LeaseKeepAliveResponse response;
  while (renewals->Read(&response)) {
  }
  EXPECT_EQ(show(renewals->Finish()), "error 8: etcdserver: too many requests");
}

TEST_F(Etcd, streamsThatWantALeaderAreLookedAfterByOneQuestionAnInterval) {
  eventually([&] { return call("Put", "key: 'a'").find("error") == std::string::npos && node_.statuses() > 0; });
  node_.set_leader(false);
  const size_t before = node_.statuses();
  std::vector<std::unique_ptr<Watching>> demanding;
  for (int i = 0; i < 50; ++i) {
    demanding.push_back(std::make_unique<Watching>(*client_, Client::Metadata{{"hasleader", "true"}}));
    demanding.back()->send("create_request { key: 'a' }");
  }
  EXPECT_TRUE(demanding.front()->next().created());
  for (const auto& watching : demanding) EXPECT_EQ(show(watching->finish()), "error 14: etcdserver: no leader");
  // The leader's absence is counted in answers: if each new stream asked, a short one would end them all.
  EXPECT_LT(node_.statuses() - before, 40u);
}

TEST_F(Etcd, drainEndsStreamsLetsCallsFinishAndRefusesNewOnes) {
  Watching watching(*client_);
  watching.send("create_request { key: 'a' }");
  EXPECT_TRUE(watching.next().created());
  node_.hold();
  std::string answer;
  std::thread waiting([&] {
    Client other(address());
    answer = other.call("Put", "key: 'a'");
  });
  node_.wait_for_held(1);
  std::promise<void> drained;
  server_->drain(60'000, [&] { drained.set_value(); });
  EXPECT_EQ(show(watching.finish()), "error 14: etcdserver: server stopped");
  node_.release();
  waiting.join();
  EXPECT_EQ(answer, "header { revision: 2 }");
  drained.get_future().wait();
}

TEST_F(Etcd, aServerThatGoesWhileCallsAreHeldAnswersNobody) {
  node_.hold();
  std::thread waiting([&] {
    Client other(address());
    EXPECT_THAT(other.call("Put", "key: 'a'"), StartsWith("error 14"));
  });
  node_.wait_for_held(1);
  server_.reset();
  waiting.join();
  node_.release();
}

// Bytes to a method as they are.
std::string raw(Client& client, const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(client.channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(bytes);
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, &answer);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  return status.ok() ? "ok" : show(status);
}

TEST_F(Etcd, strangeBytesAndMethodsAreRefusedAsByAGoServer) {
  EXPECT_THAT(raw(*client_, "/etcdserverpb.KV/Put", "\x0a\xff\xff"), StartsWith("error 13: grpc: error unmarshalling"));
  EXPECT_THAT(raw(*client_, "/etcdserverpb.KV/Txn", std::string(3, '\xff')), StartsWith("error 13"));
  EXPECT_EQ(raw(*client_, "/etcdserverpb.KV/Range", std::string("\x0a\x01z\x28\x07", 5)),
            "error 3: etcdserver: invalid sort option");
  EXPECT_EQ(raw(*client_, "/etcdserverpb.KV/Nothing", ""),
            "error 12: unknown method Nothing for service etcdserverpb.KV");
  EXPECT_EQ(raw(*client_, "/other.Service/Nothing", ""), "error 12: unknown service other.Service");
  EXPECT_EQ(raw(*client_, "/x", ""), "error 12: unknown service x");
  // A field of an unexpected type is unknown, as protobuf has it: here the key.
  EXPECT_EQ(raw(*client_, "/etcdserverpb.KV/Put", std::string("\x08\x01", 2)),
            "error 3: etcdserver: key is not provided");
  // Nested deeper than anybody needs.
  std::string txn;
  for (int i = 0; i < 400; ++i) {
    std::string op = "\x22";  // request_txn
    for (size_t n = txn.size();; n >>= 7) {
      op.push_back(static_cast<char>(n < 128 ? n : (n & 127) | 128));
      if (n < 128) break;
    }
    op += txn;
    std::string outer = "\x12";  // success
    for (size_t n = op.size();; n >>= 7) {
      outer.push_back(static_cast<char>(n < 128 ? n : (n & 127) | 128));
      if (n < 128) break;
    }
    txn = outer + op;
  }
  EXPECT_EQ(raw(*client_, "/etcdserverpb.KV/Txn", txn), "error 3: etcdserver: too many operations in txn request");
}

class EtcdWith : public Etcd {
 protected:
  void SetUp() override {}
};

TEST_F(EtcdWith, moreThanTheServerMayHoldIsRefused) {
  EtcdEndpoint endpoint;
  endpoint.max_pending_bytes = 1u << 20;
  start(endpoint);
  for (int i = 0; i < 4; ++i)
    call("Put", "key: 'k" + std::to_string(i) + "' value: '" + std::string(400'000, 'v') + "'");
  // One answer above the limit is given; while it waits for its client, there is no room for others.
  grpc::ClientContext context;
  auto stream = client_->maintenance->Snapshot(&context, {});  // a stream that nobody reads
  node_.hold();
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(address()));
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string answer =
          clients[static_cast<size_t>(i)]->call("Put", "key: 'k' value: '" + std::string(600'000, 'v') + "'");
      if (answer == "error 8: etcdserver: too many requests") refused++;
    });
  }
  eventually([&] { return refused.load() >= 1; });
  node_.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(refused.load(), 3);
  context.TryCancel();
}

TEST_F(EtcdWith, callsAboveTheBoundAreRefused) {
  EtcdEndpoint endpoint;
  endpoint.max_pending_calls = 2;
  start(endpoint);
  node_.hold();
  std::vector<std::thread> threads;
  std::atomic<int> served{0};
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      if (Client(address()).call("Put", "key: 'a'").substr(0, 6) == "header") served++;
    });
  }
  node_.wait_for_held(2);
  EXPECT_EQ(call("Put", "key: 'b'"), "error 8: etcdserver: too many requests");
  node_.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served.load(), 2);
  eventually([&] { return server_->stats().open_calls == 0; });
  EXPECT_THAT(call("Put", "key: 'b'"), StartsWith("header"));
}

TEST_F(EtcdWith, bearerTokensInEveryWayThatClientsSendThem) {
  EtcdEndpoint endpoint;
  endpoint.auth.bearer_tokens = {{"secret", ""}, {"theirs", "shop"}};
  start(endpoint);
  EXPECT_EQ(call("Range", "key: 'a'"), "error 3: etcdserver: user name is empty");
  EXPECT_EQ(call("Range", "key: 'a'", {{"token", "theirs"}}), "error 7: etcdserver: permission denied")
      << "a tenant's token is good for its traces, not for the group's keys";
  EXPECT_EQ(call("Range", "key: 'a'", {{"token", "old"}}), "error 16: etcdserver: invalid auth token");
  EXPECT_EQ(call("Range", "key: 'a'", {{"authorization", "Bearer old"}}), "error 16: etcdserver: invalid auth token");
  EXPECT_THAT(call("Range", "key: 'a'", {{"authorization", "Bearer secret"}}), StartsWith("header"));
  EXPECT_EQ(call("Authenticate", "name: 'me' password: 'wrong'"),
            "error 3: etcdserver: authentication failed, invalid user ID or password");
  EXPECT_THAT(call("Authenticate", "name: 'me' password: 'secret'"), HasSubstr(R"(token: "secret")"));
  EXPECT_THAT(call("Range", "key: 'a'", {{"token", "secret"}}), StartsWith("header"));
  EXPECT_THAT(call("AuthStatus", "", {{"token", "secret"}}), HasSubstr("enabled: true"));
  {
    Watching watching(*client_);
    EXPECT_EQ(show(watching.finish()), "error 3: etcdserver: user name is empty");
  }
  server_->replace_tokens({{{"newer", ""}}});
  EXPECT_EQ(call("Range", "key: 'a'", {{"token", "secret"}}), "error 16: etcdserver: invalid auth token");
  EXPECT_THAT(call("Range", "key: 'a'", {{"token", "newer"}}), StartsWith("header"));
}

TEST_F(EtcdWith, thoseWithoutATokenCannotTakeThePlacesOfThoseWithOne) {
  EtcdEndpoint endpoint;
  endpoint.auth.bearer_tokens = {{"secret", ""}};
  endpoint.max_pending_calls = 4 * rpc::kStrangersShare;
  start(endpoint);
  namespace health = grpc::health::v1;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<health::HealthCheckResponse>>> watches;
  std::string refused;
  for (int i = 0; i < 5; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    watches.push_back(client_->health->Watch(contexts.back().get(), {}));
    health::HealthCheckResponse response;
    if (!watches.back()->Read(&response)) refused = show(watches.back()->Finish());
  }
  EXPECT_EQ(refused, "error 8: etcdserver: too many requests");
  EXPECT_THAT(call("Range", "key: 'a'", {{"token", "secret"}}), StartsWith("header"));
  for (const auto& context : contexts) context->TryCancel();
}

TEST_F(EtcdWith, tlsAndClientCertificates) {
  api::test::CertificateFiles files;
  EtcdEndpoint endpoint;
  endpoint.tls = {files.write("server.pem", files.server.certificate), files.write("server.key", files.server.key),
                  files.write("ca.pem", files.authority.certificate)};
  start(endpoint);
  const auto answer = [&](const grpc::SslCredentialsOptions& options) {
    Client client("localhost:" + std::to_string(server_->port()), grpc::SslCredentials(options));
    return client.call("Put", "key: 'a'");
  };
  EXPECT_THAT(answer({files.authority.certificate, files.client.key, files.client.certificate}), StartsWith("header"));
  EXPECT_THAT(answer({files.authority.certificate, "", ""}), StartsWith("error 14"));
  EXPECT_THAT(answer({files.authority.certificate, files.stranger.key, files.stranger.certificate}),
              StartsWith("error 14"));
  EXPECT_THAT(call("Put", "key: 'a'"), StartsWith("error 14")) << "plain text to a TLS port";
  EXPECT_GE(server_->stats().tls_failures, 3u);
  files.write("server.pem", files.renewed.certificate);
  EXPECT_FALSE(server_->reload_tls().ok()) << "a certificate without its key";
  EXPECT_THAT(answer({files.authority.certificate, files.client.key, files.client.certificate}), StartsWith("header"));
  files.write("server.key", files.renewed.key);
  EXPECT_TRUE(server_->reload_tls().ok());
  EXPECT_THAT(answer({files.stranger.certificate, files.client.key, files.client.certificate}), StartsWith("header"));
}

}  // namespace
}  // namespace clew::api::etcd::test
