// ServerProcess: a real `clew serve` for tests of the whole program: started on free loopback ports, waited for,
// killed. Its output goes to <directory>/serve.log. Ends by pid only; the destructor kills what still runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/http_client.h"
#include "base/status.h"

namespace clew::tests {

struct Ports {
  uint16_t otlp_grpc = 0, otlp_http = 0, http = 0, tempo = 0;
};
Ports claimed_ports();

class ServerProcess {
 public:
  // `directory` holds data/, clew.yaml (written from `config`) and serve.log.
  ServerProcess(std::string program, std::string directory, std::string config, Ports ports);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  Status start();   // returns when /ready answers 200
  void kill_now();  // SIGKILL, reaped
  int terminate();  // SIGTERM; the exit code
  bool running() const { return pid_ > 0; }

  app::HttpClient query_client() const;
  app::HttpClient otlp_client() const;
  std::string log() const;

 private:
  app::HttpClient client(uint16_t port) const;
  int reap();
  std::string program_, directory_;
  Ports ports_;
  int pid_ = 0;
};

}  // namespace clew::tests
