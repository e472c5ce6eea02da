// The same requests to Debian's etcd and to ours: the answers are equal, to the field and the word.
#include <gtest/gtest.h>

#include <random>

#include "api/etcd/client_test.h"
#include "api/etcd/real_etcd_test.h"
#include "api/etcd/server.h"
#include "api/etcd/single_node_test.h"
#include "api/test_support.h"

namespace clew::api::etcd::test {
namespace {

struct Request {
  std::string method;
  std::string text;
};

class EtcdDifferential : public testing::Test {
 protected:
  void SetUp() override {
    if (!RealEtcd::installed()) GTEST_SKIP() << "etcd is not installed (./dev test installs it)";
    real_ = std::make_unique<RealEtcd>();
    theirs_ = std::make_unique<Client>(real_->address());
    ASSERT_TRUE(theirs_->channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30)));
    while (theirs_->call("Range", "key: 'x'").substr(0, 5) == "error") {  // until it has elected itself
    }
    EtcdEndpoint endpoint;
    endpoint.endpoint = "127.0.0.1:0";
    server_ = std::make_unique<EtcdServer>(endpoint, node_, loops_.all(), "test");
    ASSERT_TRUE(server_->start().ok());
    ours_ = std::make_unique<Client>("127.0.0.1:" + std::to_string(server_->port()));
  }
  void TearDown() override { server_.reset(); }

  void same(const Request& request) {
    const std::string theirs = theirs_->call(request.method, request.text);
    EXPECT_EQ(ours_->call(request.method, request.text), theirs) << request.method << " " << request.text;
  }

  SingleNode node_;
  api::test::Loops loops_{1};
  std::unique_ptr<EtcdServer> server_;
  std::unique_ptr<RealEtcd> real_;
  std::unique_ptr<Client> theirs_, ours_;
};

TEST_F(EtcdDifferential, scriptOfEveryUnaryCall) {
  const std::vector<Request> script = {
      {"Range", "key: 'a'"},
      {"Put", "key: 'a' value: '1'"},
      {"Put", "key: 'a' value: '2' prev_kv: true"},
      {"Put", "key: 'b' prev_kv: true"},
      {"Put", "key: 'c' value: '3'"},
      {"Put", "key: 'd' value: '0'"},
      {"Put", "value: 'no key'"},
      {"Put", "key: 'a' value: 'x' ignore_value: true"},
      {"Put", "key: 'nothing' ignore_value: true"},
      {"Put", "key: 'a' ignore_value: true prev_kv: true"},
      {"Put", "key: 'a' value: 'y' ignore_lease: true"},
      {"Put", "key: 'nothing' ignore_lease: true"},
      {"Put", "key: 'a' lease: 5 ignore_lease: true"},
      {"Put", "key: 'a' lease: 4711"},
      {"Range", "key: 'a' range_end: 'z'"},
      {"Range", "key: 'a' range_end: '\\000'"},
      {"Range", "key: '\\000' range_end: '\\000'"},
      {"Range", "key: 'a' range_end: 'z' limit: 2"},
      {"Range", "key: 'a' range_end: 'z' limit: -1"},
      {"Range", "key: 'a' range_end: 'z' limit: 3 sort_order: DESCEND sort_target: VALUE"},
      {"Range", "key: 'a' range_end: 'z' sort_order: ASCEND sort_target: MOD"},
      {"Range", "key: 'a' range_end: 'z' sort_order: DESCEND sort_target: VERSION"},
      {"Range", "key: 'a' range_end: 'z' sort_target: CREATE"},
      {"Range", "key: 'a' range_end: 'z' sort_order: DESCEND"},
      {"Range", "key: 'a' range_end: 'z' keys_only: true"},
      {"Range", "key: 'a' range_end: 'z' count_only: true"},
      {"Range", "key: 'a' range_end: 'z' count_only: true limit: 1"},
      {"Range", "key: 'a' range_end: 'z' serializable: true"},
      {"Range", "key: 'a' range_end: 'z' revision: 3"},
      {"Range", "key: 'a' range_end: 'z' revision: 1"},
      {"Range", "key: 'a' range_end: 'z' revision: -1"},
      {"Range", "key: 'a' range_end: 'z' revision: 99"},
      {"Range", "key: 'a' range_end: 'z' min_mod_revision: 4"},
      {"Range", "key: 'a' range_end: 'z' max_mod_revision: 4 limit: 1"},
      {"Range", "key: 'a' range_end: 'z' min_create_revision: 4"},
      {"Range", "key: 'a' range_end: 'z' max_create_revision: 4"},
      {"Range", "key: 'z' range_end: 'a'"},
      {"Range", "range_end: 'a'"},
      {"DeleteRange", "key: 'b' prev_kv: true"},
      {"DeleteRange", "key: 'b'"},
      {"DeleteRange", ""},
      {"DeleteRange", "key: 'c' range_end: 'e' prev_kv: true"},
      {"Txn", ""},
      {"Txn",
       "compare { key: 'a' target: VERSION version: 4 } success { request_put { key: 't' value: 'yes' } "
       "} failure { request_put { key: 't' value: 'no' } }"},
      {"Txn",
       "compare { key: 'a' target: VALUE value: 'y' result: NOT_EQUAL } success { request_range { key: "
       "'a' } } failure { request_range { key: 't' } } failure { request_delete_range { key: 't' "
       "prev_kv: true } }"},
      {"Txn",
       "compare { key: 'none' target: CREATE create_revision: 0 } compare { key: 'none' target: MOD "
       "result: LESS mod_revision: 1 } success { request_put { key: 'm' value: '1' prev_kv: true } } "
       "success { request_range { key: 'm' } } success { request_put { key: 'n' value: '2' } }"},
      {"Txn",
       "compare { key: 'm' range_end: 'o' target: VERSION result: GREATER version: 0 } success { "
       "request_txn { compare { key: 'm' target: LEASE lease: 0 } success { request_put { key: 'inner' "
       "value: 'i' } } success { request_range { key: 'inner' } } } } success { request_range { key: "
       "'inner' count_only: true } }"},
      {"Txn", "compare { key: 'a' target: VALUE version: 3 } success { request_range { key: 'a' } }"},
      {"Txn", "compare { key: 'none' target: VALUE value: 'x' }"},
      {"Txn", "success { request_put { key: 'x' } } success { request_put { key: 'x' } }"},
      {"Txn",
       "success { request_put { key: 'x' } } success { request_delete_range { key: 'w' range_end: 'y' } "
       "}"},
      {"Txn", "success { request_put { value: 'x' } }"},
      {"Txn", "success { }"},
      {"Txn", "compare { target: VERSION }"},
      {"Txn", "success { request_range { key: 'a' revision: 999 } }"},
      {"Txn", "success { request_put { key: 'x' lease: 99 } }"},
      {"Txn", "success { request_put { key: 'x' ignore_value: true } }"},
      {"LeaseGrant", "ID: 77 TTL: 1000"},
      {"LeaseGrant", "ID: 77 TTL: 10"},
      {"LeaseGrant", "ID: 78 TTL: 9000000001"},
      {"LeaseGrant", "ID: 79 TTL: 600"},
      {"Put", "key: 'leased' value: 'x' lease: 77"},
      {"Put", "key: 'also' value: 'x' lease: 77"},
      {"Range", "key: 'leased'"},
      {"LeaseLeases", ""},
      {"LeaseRevoke", "ID: 77"},
      {"LeaseRevoke", "ID: 77"},
      {"LeaseTimeToLive", "ID: 77 keys: true"},
      {"Range", "key: 'leased'"},
      {"LeaseRevoke", "ID: 79"},
      {"LeaseLeases", ""},
      {"Compact", "revision: 5"},
      {"Compact", "revision: 5"},
      {"Compact", "revision: 3"},
      {"Compact", "revision: 1000"},
      {"Range", "key: 'a' revision: 4"},
      {"Range", "key: 'a' revision: 5"},
      {"Compact", "revision: 7 physical: true"},
      {"Txn", "success { request_range { key: 'a' revision: 2 } }"},
      {"MemberRemove", "ID: 12345"},
      {"MemberPromote", "ID: 12345"},
      {"MemberUpdate", "ID: 12345 peerURLs: 'http://127.0.0.1:1'"},
      {"MemberAdd", "peerURLs: 'nonsense'"},
      {"MemberAdd", ""},
      {"MoveLeader", "targetID: 99"},
      {"Authenticate", "name: 'root' password: 'x'"},
      {"AuthEnable", ""},
      {"AuthDisable", ""},
      {"UserGet", "name: 'x'"},
      {"UserList", ""},
      {"UserDelete", "name: 'x'"},
      {"RoleGet", "role: 'x'"},
      {"RoleList", ""},
      {"RoleDelete", "role: 'x'"},
      {"Range", "key: '\\000' range_end: '\\000'"},
  };
  for (const Request& request : script) same(request);
}

// etcd 3.4 sends no header with alarms; 3.5 does, and so do we.
TEST_F(EtcdDifferential, alarms) {
  for (const char* text : {"", "action: ACTIVATE memberID: 5 alarm: CORRUPT", "alarm: CORRUPT", "alarm: NOSPACE",
                           "action: DEACTIVATE memberID: 5 alarm: CORRUPT", ""}) {
    const std::string ours = ours_->call("Alarm", text);
    EXPECT_EQ(ours.substr(std::min(ours.size(), ours.find('}') + 2)), theirs_->call("Alarm", text)) << text;
  }
}

TEST_F(EtcdDifferential, limitsOfRequests) {
  std::string many;
  for (int i = 0; i < 128; ++i) many += "success { request_put { key: 'k" + std::to_string(i) + "' } } ";
  same({"Txn", many});
  same({"Txn", many + "success { request_put { key: 'over' } }"});
  const auto put = [](size_t size) { return "key: 'big' value: '" + std::string(size, 'v') + "'"; };
  same({"Put", put(1'000'000)});
  same({"Put", put(1'572'864)});
  same({"Put", put(2'097'130)});
  same({"Put", put(2'097'160)});  // above what one message may have
  same({"Range", "key: 'big' count_only: true"});
}

// Requests drawn by chance over a few keys; every answer is compared.
TEST_F(EtcdDifferential, requestsByChance) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::initializer_list<const char*> choices) {
      return std::string(choices.begin()[random() % choices.size()]);
    };
    const auto key = [&] { return "'" + pick({"a", "ab", "b", "c", "\\000", "d\\377"}) + "'"; };
    const auto flag = [&](const char* name) {
      return random() % 4 == 0 ? std::string(name) + ": true " : std::string();
    };
    const auto end = [&] {
      return random() % 2 == 0 ? "range_end: '" + pick({"b", "z", "\\000", "a"}) + "' " : std::string();
    };
    const auto number = [&](const char* name, int below) {
      return random() % 3 == 0 ? std::string(name) + ": " + std::to_string(random() % below) + " " : std::string();
    };
    const auto range = [&] {
      return "key: " + key() + " " + end() + number("limit", 4) + number("revision", 60) +
             pick({"", "sort_order: ASCEND ", "sort_order: DESCEND "}) +
             pick({"", "sort_target: VERSION ", "sort_target: MOD ", "sort_target: VALUE ", "sort_target: CREATE "}) +
             flag("keys_only") + flag("count_only") + flag("serializable") + number("min_mod_revision", 40) +
             number("max_create_revision", 40);
    };
    const auto put = [&] {
      return "key: " + key() + " " + (random() % 5 != 0 ? "value: '" + pick({"1", "2", "x", ""}) + "' " : "") +
             flag("prev_kv") + flag("ignore_value") + flag("ignore_lease") + number("lease", 4);
    };
    const auto erase = [&] { return "key: " + key() + " " + end() + flag("prev_kv"); };
    const auto op = [&] {
      switch (random() % 3) {
        case 0:
          return "request_range { " + range() + "} ";
        case 1:
          return "request_put { " + put() + "} ";
        default:
          return "request_delete_range { " + erase() + "} ";
      }
    };
    const auto compare = [&] {
      const std::string what =
          pick({"target: VERSION version: 1 ", "target: VALUE value: '1' ", "target: LEASE lease: 2 ",
                "target: MOD mod_revision: 9 ", "target: CREATE create_revision: 5 "});
      return "compare { key: " + key() + " " + end() + what +
             pick({"", "result: GREATER ", "result: LESS ", "result: NOT_EQUAL "}) + "} ";
    };
    const auto branch = [&](const std::string& name) {
      std::string text;
      for (uint32_t i = random() % 4; i > 0; --i) text += name + " { " + op() + "} ";
      return text;
    };
    for (int i = 0; i < 400; ++i) {
      switch (random() % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
          same({"Put", put()});
          break;
        case 4:
        case 5:
        case 6:
        case 7:
          same({"Range", range()});
          break;
        case 8:
          same({"DeleteRange", erase()});
          break;
        case 9:
        case 10:
        case 11:
          same({"Txn", compare() + (random() % 2 == 0 ? compare() : "") + branch("success") + branch("failure")});
          break;
        case 12:
          same({"Txn", "success { request_txn { " + compare() + branch("success") + branch("failure") + "} } " +
                           branch("success")});
          break;
        case 13:
          same({"LeaseGrant", "ID: " + std::to_string(1 + random() % 4) + " TTL: 1000"});
          break;
        case 14:
          same({"LeaseRevoke", "ID: " + std::to_string(1 + random() % 4)});
          break;
        default:
          if (random() % 4 == 0) same({"Compact", "revision: " + std::to_string(random() % 40)});
      }
      if (HasFailure()) {
        ADD_FAILURE() << "seed " << seed << ", request " << i;
        return;
      }
    }
  }
}

TEST_F(EtcdDifferential, watchesSeeTheSame) {
  const std::vector<std::string> watches = {
      "create_request { key: 'a' range_end: 'z' start_revision: 1 }",
      "create_request { key: 'a' start_revision: 2 prev_kv: true }",
      "create_request { key: 'a' range_end: 'z' start_revision: 2 filters: NOPUT prev_kv: true }",
      "create_request { key: 'a' range_end: 'z' start_revision: 3 filters: NODELETE }",
      "create_request { start_revision: 1 range_end: '\\000' watch_id: 55 }",
  };
  for (const char* text : {"key: 'a' value: '1'", "key: 'b' value: '1'", "key: 'a' value: '2'"}) same({"Put", text});
  same({"DeleteRange", "key: 'a'"});
  same({"Txn",
        "success { request_put { key: 'a' value: '3' } } success { request_put { key: 'c' value: '1' } } "
        "success { request_delete_range { key: 'b' } }"});
  const size_t counts[] = {7, 4, 2, 4, 7};  // of what was done above
  for (size_t i = 0; i < watches.size(); ++i) {
    Watching theirs(*theirs_), ours(*ours_);
    theirs.send(watches[i]);
    ours.send(watches[i]);
    EXPECT_EQ(show(ours.next()), show(theirs.next())) << watches[i];
    EXPECT_EQ(ours.events(counts[i]), theirs.events(counts[i])) << watches[i];
  }
  same({"Compact", "revision: 4"});
  for (const char* refused : {"create_request { key: 'a' start_revision: 2 }",
                              "create_request { key: 'z' range_end: 'a' }", "cancel_request { watch_id: 3 }"}) {
    Watching theirs(*theirs_), ours(*ours_);
    for (Watching* one : {&theirs, &ours}) {
      one->send(refused);
      one->send("create_request { key: 'q' watch_id: 9 }");
      one->send("create_request { key: 'q' watch_id: 9 }");
      one->send("progress_request { }");
      one->send("cancel_request { watch_id: 9 }");
    }
    // Answers to different watches may come in any order.
    const bool compacted = std::string(refused).find("start_revision") != std::string::npos;
    const auto all = [&](Watching& watching) {
      std::multiset<std::string> answers;
      bool cancelled = false;
      while ((!cancelled || (compacted && answers.size() < 6)) && !watching.ended()) {
        const pb::WatchResponse response = watching.next();
        cancelled = cancelled || (response.watch_id() == 9 && response.canceled());
        if (response.compact_revision() !=
            0) {  // etcd 3.4 says no more than this about it; we name revision and reason
          EXPECT_TRUE(response.canceled());
          answers.insert("compacted " + std::to_string(response.watch_id()) + " at " +
                         std::to_string(response.compact_revision()));
        } else {
          answers.insert(show(response));
        }
      }
      return answers;
    };
    EXPECT_EQ(all(ours), all(theirs)) << refused;
  }
}

TEST_F(EtcdDifferential, leasesAreKeptAlive) {
  same({"LeaseGrant", "ID: 5 TTL: 100"});
  same({"Put", "key: 'a' lease: 5"});
  for (Client* client : {theirs_.get(), ours_.get()}) {
    grpc::ClientContext context;
    auto stream = client->lease->LeaseKeepAlive(&context);
    pb::LeaseKeepAliveResponse response;
    stream->Write(parse<pb::LeaseKeepAliveRequest>("ID: 5"));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(show(response), "header { revision: 2 } ID: 5 TTL: 100");
    stream->Write(parse<pb::LeaseKeepAliveRequest>("ID: 6"));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(show(response), "header { revision: 2 } ID: 6");
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_TRUE(stream->Finish().ok());
  }
}

}  // namespace
}  // namespace clew::api::etcd::test
