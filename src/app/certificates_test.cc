#include "app/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "os/loop.h"
#include "os/tls_network.h"
#include "os/workers.h"

namespace clew::app {
namespace {

class Certificates : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/clew-keys-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const Pem& pem) const {
    ASSERT_TRUE(write_new_file(path(name + ".crt"), pem.certificate, false).ok());
    ASSERT_TRUE(write_new_file(path(name + ".key"), pem.key, true).ok());
  }
  std::string directory_;
};

// What two ends with these certificates think of each other: the name that the listener sees.
std::string identity_seen(const os::TlsNetworkOptions& server, const os::TlsNetworkOptions& client) {
  os::Workers workers;
  auto listening = os::TlsNetwork::make(server);
  auto connecting = os::TlsNetwork::make(client);
  if (!listening.ok() || !connecting.ok()) return "no network";
  Mutex mutex;
  os::Condition changed;
  std::optional<std::string> seen;
  const auto tell = [&](std::string text) {
    {
      const MutexLock lock(mutex);
      if (!seen) seen = std::move(text);
    }
    changed.notify_all();
  };
  std::unique_ptr<env::Listener> listener;
  std::vector<std::unique_ptr<env::Stream>> streams;
  os::OsLoop loop("test", workers);
  loop.post([&] {
    listener = (*listening)
                   ->listen(loop, "127.0.0.1:0",
                            [&](std::unique_ptr<env::Stream> stream) {
                              tell(stream->peer_identity());
                              streams.push_back(std::move(stream));
                            })
                   .value();
    (*connecting)->connect(loop, "127.0.0.1:" + std::to_string(listener->port()), [&](auto stream) {
      if (!stream.ok()) return tell("refused");
      stream.value()->start({.on_bytes = {}, .on_closed = [&](const Status&) { tell("refused"); }, .on_writable = {}});
      streams.push_back(std::move(stream).value());
    });
  });
  {
    const MutexLock lock(mutex);
    while (!seen) changed.wait(mutex);
  }
  bool closed = false;
  loop.post([&] {
    streams.clear();
    listener.reset();
    {
      const MutexLock lock(mutex);
      closed = true;
    }
    changed.notify_all();
  });
  const MutexLock lock(mutex);
  while (!closed) changed.wait(mutex);
  return *seen;
}

TEST_F(Certificates, ofOneAuthority_openConnectionsUnderTheirNames) {
  const Pem ca = make_authority("a cluster", 10).value();
  const Pem other_ca = make_authority("a cluster", 10).value();
  CertificateRequest node, user;
  node.common_name = "node-3";
  node.dns_names = {"node-3", "db.example"};
  node.ip_addresses = {"127.0.0.1", "::1"};
  node.server = true;
  user.common_name = "operator";
  write("ca", ca);
  write("node", sign(ca, node).value());
  write("user", sign(ca, user).value());
  write("foreign", sign(other_ca, user).value());
  const auto options = [&](const std::string& name) {
    os::TlsNetworkOptions tls;
    tls.ca_file = path("ca.crt");
    tls.cert_file = path(name + ".crt");
    tls.key_file = path(name + ".key");
    return tls;
  };
  EXPECT_EQ(identity_seen(options("node"), options("user")), "operator");
  EXPECT_EQ(identity_seen(options("node"), options("node")), "node-3");
  EXPECT_EQ(identity_seen(options("node"), options("foreign")), "refused");
}

TEST_F(Certificates, keys_areTheirOwnersAndNothingIsOverwritten) {
  ASSERT_TRUE(write_new_file(path("a.key"), "secret", true).ok());
  struct stat status {};
  ASSERT_EQ(::stat(path("a.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  EXPECT_EQ(write_new_file(path("a.key"), "other", true).code(), Code::kAlreadyExists);
  EXPECT_EQ(read_whole_file(path("a.key")).value(), "secret");
}

TEST_F(Certificates, namesThatWouldMeanMore_areRefused) {
  const Pem ca = make_authority("a cluster", 10).value();
  CertificateRequest request;
  request.common_name = "operator";
  request.dns_names = {"a,DNS:node-1"};
  EXPECT_EQ(sign(ca, request).status().code(), Code::kInvalidArgument);
  request.dns_names = {};
  EXPECT_EQ(sign({ca.certificate, make_authority("b", 1).value().key}, request).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(sign({"no", "pem"}, request).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace clew::app
