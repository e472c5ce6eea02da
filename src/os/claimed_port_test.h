// Loopback ports for servers of tests, which are named on a command line before they are bound. A port that the system
// gives out (bind to 0) and that is closed again is soon somebody's outgoing connection; these lie below the ports that
// it gives out, and are claimed by a lock on their byte of a file that all tests of this user share (tests/node.py does
// the same) until the process ends.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "base/check.h"

namespace clew::os::test {

// One that nothing listens on and that no other call, in this process or another one, has been told.
inline uint16_t claimed_port() {
  constexpr uint16_t kFirst = 12'000, kEnd = 32'000;
  static const int claims = [] {
    const auto path = std::filesystem::temp_directory_path() / ("clew-test-ports-" + std::to_string(::getuid()));
    return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }();
  CHECK(claims >= 0);
  static uint16_t next = kFirst + std::random_device{}() % (kEnd - kFirst);  // a process never asks for its own twice
  for (int tried = 0; tried < kEnd - kFirst; ++tried) {
    const uint16_t port = next;
    next = port + 1 == kEnd ? kFirst : port + 1;
    struct flock claim {};
    claim.l_type = F_WRLCK;
    claim.l_whence = SEEK_SET;
    claim.l_start = port;
    claim.l_len = 1;
    if (::fcntl(claims, F_SETLK, &claim) != 0) continue;  // another process's
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const bool free = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(socket);
    if (free) return port;
  }
  CHECK(false);  // 20,000 ports in use
  return 0;
}

}  // namespace clew::os::test
