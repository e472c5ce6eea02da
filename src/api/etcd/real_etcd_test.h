// Debian's etcd as a process of its own, for comparison; a test that needs it skips where it is not installed.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "os/claimed_port_test.h"

extern char** environ;

namespace clew::api::etcd::test {

class RealEtcd {
 public:
  static bool installed() { return ::access("/usr/bin/etcd", X_OK) == 0; }
  // Returns when it answers.
  RealEtcd() {
    std::string pattern = (std::filesystem::temp_directory_path() / "clew-etcd-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    begin();
    while (!listens()) {
      CHECK(::waitpid(pid_, nullptr, WNOHANG) == 0);  // else it does not start at all; its log is in the directory
      ::usleep(5'000);                                // until the next look
    }
  }
  ~RealEtcd() {
    if (pid_ != 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }
  RealEtcd(const RealEtcd&) = delete;
  RealEtcd& operator=(const RealEtcd&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void begin() {
    port_ = os::test::claimed_port();
    const std::string client = "http://127.0.0.1:" + std::to_string(port_);
    const std::string peer = "http://127.0.0.1:" + std::to_string(os::test::claimed_port());
    std::vector<std::string> words = {"/usr/bin/etcd",
                                      "--name",
                                      "one",
                                      "--data-dir",
                                      directory_.string() + "/data",
                                      "--listen-client-urls",
                                      client,
                                      "--advertise-client-urls",
                                      client,
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      "one=" + peer,
                                      "--unsafe-no-fsync"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, (directory_.string() + "/log").c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    CHECK(posix_spawn(&pid_, words.front().c_str(), &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  bool listens() const {
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket socket(io);
    boost::system::error_code failed;
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), port_}, failed);
    return !failed;
  }
  std::filesystem::path directory_;
  uint16_t port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace clew::api::etcd::test
