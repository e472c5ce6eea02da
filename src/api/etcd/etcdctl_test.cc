// Debian's etcdctl against Debian's etcd and against ours: every command prints the same and ends the same way, but for
// ids, ports, times and sizes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>

#include "api/etcd/client_test.h"
#include "api/etcd/real_etcd_test.h"
#include "api/etcd/server.h"
#include "api/etcd/single_node_test.h"
#include "api/etcd/snapshot_file.h"
#include "api/test_support.h"
#include "sim/disk.h"

namespace clew::api::etcd::test {
namespace {

using testing::HasSubstr;

class Etcdctl : public testing::Test {
 protected:
  void SetUp() override {
    if (!RealEtcd::installed() || ::access("/usr/bin/etcdctl", X_OK) != 0)
      GTEST_SKIP() << "etcd and etcdctl are not installed (./dev test installs them)";
    real_ = std::make_unique<RealEtcd>();
    Client theirs(real_->address());
    ASSERT_TRUE(theirs.channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(30)));
    while (theirs.call("Range", "key: 'x'").substr(0, 5) == "error") {
    }
    start({});
  }
  void TearDown() override { server_.reset(); }
  void start(EtcdEndpoint endpoint) {
    endpoint.endpoint = "127.0.0.1:0";
    server_ = std::make_unique<EtcdServer>(endpoint, node_, loops_.all(), "test");
    ASSERT_TRUE(server_->start().ok());
    server_->set_ready(true);
    ours_ = "127.0.0.1:" + std::to_string(server_->port());
  }

  // What the shell command, in which CTL is etcdctl and its endpoint, prints, and its exit code.
  static std::string run(const std::string& address, const std::string& command) {
    const std::string script = "ADDRESS=" + address +
                               "; CTL() { ETCDCTL_API=3 timeout 20 etcdctl --endpoints=" + address + " \"$@\"; }; { " +
                               command + "; } 2>&1";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
        ::popen(("bash -c '" + std::regex_replace(script, std::regex("'"), "'\\''") + "'").c_str(), "r"), ::pclose);
    std::string out;
    char chunk[4096];
    while (const size_t size = std::fread(chunk, 1, sizeof chunk, pipe.get())) out.append(chunk, size);
    return out;
  }
  static std::string plain(std::string text, const std::string& address) {
    const auto replace = [&](const char* pattern, const char* with) {
      text = std::regex_replace(text, std::regex(pattern), with);
    };
    for (size_t at; (at = text.find(address)) != std::string::npos;) text.replace(at, address.size(), "ADDRESS");
    replace(R"re("(cluster_id|member_id|raft_term|ID|id|term|hash)":\d+)re", R"re("$1":N)re");
    replace(R"re("(ClusterID|MemberID|RaftTerm)" : \d+)re", R"re("$1" : N)re");
    replace(R"re(\b[0-9a-f]{15,16}\b)re", "ID");
    replace(R"re(took = [^,\s]+|took: [^,\s]+|\d+(\.\d+)?(ms|µs))re", "TIME");
    replace(R"re(\{"level":"(warn|info)[^\n]*\n)re", "");
    replace(R"re(ADDRESS, \d+)re", "ADDRESS, HASH");
    return text;
  }
  void same(const std::string& command) {
    EXPECT_EQ(plain(run(ours_, command), ours_), plain(run(real_->address(), command), real_->address())) << command;
  }

  SingleNode node_;
  api::test::Loops loops_{1};
  std::unique_ptr<EtcdServer> server_;
  std::unique_ptr<RealEtcd> real_;
  std::string ours_;
};

TEST_F(Etcdctl, keysAndTransactions) {
  for (const char* command : {
           "CTL put a 1",
           "CTL put a 2 --prev-kv",
           "CTL put b 3; echo piped | CTL put c",
           "CTL put d --ignore-value; echo $?",
           "CTL put a --ignore-value",
           "CTL put a x --ignore-lease",
           "CTL put \"\" x; echo $?",
           "CTL put e 1 --lease=1234; echo $?",
           "CTL get a",
           "CTL get nothing; echo $?",
           "CTL get a z --limit=2",
           "CTL get --prefix \"\"",
           "CTL get --from-key b --keys-only",
           "CTL get --prefix \"\" --print-value-only --order=DESCEND --sort-by=MODIFY",
           "CTL get --prefix \"\" --order=ASCEND --sort-by=VERSION",
           "CTL get a --rev=2",
           "CTL get a --rev=900; echo $?",
           "CTL get a --consistency=s",
           "CTL get a --hex",
           "CTL get a -w json",
           "CTL get a -w fields",
           "CTL get a -w simple",
           "CTL get --prefix \"\" -w json",
           "CTL del b --prev-kv",
           "CTL del b",
           "CTL del x y",
           "CTL del c --prefix -w json",
           ("printf \"value(\\\"a\\\") = \\\"x\\\"\\nmod(\\\"a\\\") > \\\"1\\\"\\n\\nput t yes\\nget a\\n\\nput t "
            "no\\n\\n\" | CTL txn"),
           "printf \"create(\\\"a\\\") = \\\"0\\\"\\n\\nput t yes\\n\\nget t\\ndel t\\n\\n\" | CTL txn",
           "printf \"\\nput x 1\\nput x 2\\n\\n\\n\" | CTL txn; echo $?",
           "CTL compaction 4",
           "CTL compaction 4; echo $?",
           "CTL compaction 400; echo $?",
           "CTL compact 5 --physical",
           "CTL get a --rev=3; echo $?",
       })
    same(command);
}

TEST_F(Etcdctl, watches) {
  same("CTL put a 1; CTL put a 2; CTL put b 1; CTL del a");
  // A watch goes on until it is ended: here by having printed what there is.
  const auto lines = [](const char* flags, int count) {
    return std::string("exec 3< <(ETCDCTL_API=3 exec etcdctl --endpoints=$ADDRESS watch ") + flags +
           "); W=$!; for i in $(seq " + std::to_string(count) +
           "); do IFS= read -r -t 15 -u 3 l && echo \"$l\"; done; kill $W";
  };
  same(lines("a --rev=2", 9));
  same(lines("a --rev=2 --prev-kv", 13));
  same(lines("--prefix \"\" --rev=3", 8));
  same(lines("a z --rev=2", 12));
}

TEST_F(Etcdctl, leasesMembersAndMaintenance) {
  for (const char* command : {
           ("id=$(CTL lease grant 500 | cut -d\" \" -f2); CTL put l 1 --lease=$id; CTL lease timetolive $id --keys | "
            "sed \"s/remaining([0-9]*s)/remaining/\"; CTL lease list; CTL lease keep-alive --once $id; CTL get l -w "
            "fields | grep -v Lease; "
            "CTL lease revoke $id; CTL get l; CTL lease timetolive $id; CTL lease revoke $id; echo $?"),
           "CTL lease grant 9000000001; echo $?",
           "CTL lease list",
           "CTL endpoint health",
           "CTL endpoint hashkv",
           "CTL alarm list",
           "CTL alarm disarm",
           "CTL defrag",
           "CTL member remove 1234; echo $?",
           "CTL member promote 1234; echo $?",
           "CTL member update 1234 --peer-urls=http://127.0.0.1:1; echo $?",
           "CTL member add new --peer-urls=nonsense; echo $?",
           "CTL move-leader 1234; echo $?",
           "CTL user list; CTL role list; CTL user get x; echo $?",
           "CTL auth enable; echo $?",
           "CTL --user=root:x get a; echo $?",
           "CTL lock name echo held",
           "CTL lock name --ttl=5 bash -c \"exit 3\"; echo $?",
       })
    same(command);
}

TEST_F(Etcdctl, whatOnlyOursIsAsked) {
  EXPECT_THAT(run(ours_, "CTL member list"),
              HasSubstr("7, started, one, http://127.0.0.1:2380, http://127.0.0.1:2379"));
  EXPECT_THAT(run(ours_, "CTL member list -w table"), HasSubstr("IS LEARNER"));
  EXPECT_THAT(run(ours_, "CTL member add two --peer-urls=http://127.0.0.1:2390 --learner"),
              HasSubstr("added to cluster"));
  EXPECT_THAT(run(ours_, "CTL member update 64 --peer-urls=http://127.0.0.1:2391"), HasSubstr("updated in cluster"));
  EXPECT_THAT(run(ours_, "CTL member promote 64"), HasSubstr("promoted in cluster"));
  EXPECT_THAT(run(ours_, "CTL move-leader 64"), HasSubstr("Leadership transferred from 7 to 64"));
  EXPECT_THAT(run(ours_, "CTL member remove 64"), HasSubstr("removed from cluster"));
  EXPECT_THAT(run(ours_, "CTL endpoint status"), HasSubstr(", 7, 3.4.0+clew.test, 4.1 kB, "));
  EXPECT_THAT(run(ours_, "CTL endpoint status -w table"), HasSubstr("RAFT APPLIED INDEX"));
  EXPECT_THAT(run(ours_, "coproc E { ETCDCTL_API=3 exec etcdctl --endpoints=" + ours_ +
                             " elect boss me; }; read -r key <&${E[0]}; read -r value <&${E[0]}; echo $key=$value; "
                             "CTL elect --listen boss & sleep 0; kill $! $E_PID; wait"),
              HasSubstr("boss/"));
}

TEST_F(Etcdctl, aSnapshotIsSaved) {
  run(ours_, "CTL put a 1");
  const auto path = std::filesystem::temp_directory_path() / ("clew-snapshot-" + std::to_string(::getpid()));
  EXPECT_THAT(run(ours_, "CTL snapshot save " + path.string()), HasSubstr("Snapshot saved at"));
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  sim::SimDisk disk;
  ASSERT_TRUE(disk.make_dirs("/d").ok());
  ASSERT_TRUE(env::write_file_atomically(disk, "/d", "snapshot", bytes).ok());
  EXPECT_TRUE(SnapshotFileReader::open(disk, "/d/snapshot").ok());
  std::filesystem::remove(path);
}

TEST_F(Etcdctl, aBearerTokenIsAPassword) {
  server_.reset();
  EtcdEndpoint endpoint;
  endpoint.auth.bearer_tokens = {{"secret", ""}};
  start(endpoint);
  EXPECT_THAT(run(ours_, "CTL get a"), HasSubstr("etcdserver: user name is empty"));
  EXPECT_THAT(run(ours_, "CTL --user=me:wrong get a"), HasSubstr("invalid user ID or password"));
  EXPECT_EQ(run(ours_, "CTL --user=me:secret put a 1"), "OK\n");
}

}  // namespace
}  // namespace clew::api::etcd::test
