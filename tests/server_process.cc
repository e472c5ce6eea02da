#include "server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "os/claimed_port_test.h"

namespace clew::tests {

Ports claimed_ports() {
  using os::test::claimed_port;
  return {claimed_port(), claimed_port(), claimed_port(), claimed_port()};
}

ServerProcess::ServerProcess(std::string program, std::string directory, std::string config, Ports ports)
    : program_(std::move(program)), directory_(std::move(directory)), ports_(ports) {
  std::ofstream(directory_ + "/clew.yaml") << config;
}
ServerProcess::~ServerProcess() {
  if (running()) kill_now();
}

Status ServerProcess::start() {
  const auto address = [](uint16_t port) { return "127.0.0.1:" + std::to_string(port); };
  std::vector<std::string> arguments{program_,      "serve",
                                     "--config",    directory_ + "/clew.yaml",
                                     "--data-dir",  directory_ + "/data",
                                     "--otlp-grpc", address(ports_.otlp_grpc),
                                     "--otlp-http", address(ports_.otlp_http),
                                     "--http",      address(ports_.http),
                                     "--tempo",     address(ports_.tempo),
                                     "--peer",      address(0),
                                     "--client",    address(0),
                                     "--etcd",      address(0)};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log_path = directory_ + "/serve.log";
  pid_ = fork();
  if (pid_ == 0) {
    const int log_file = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log_file, STDOUT_FILENO);
    dup2(log_file, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  app::HttpClient client = query_client();
  while (std::chrono::steady_clock::now() < deadline) {
    const auto ready = client.get("/ready");
    if (ready.ok() && ready->status == 200) return {};
    int state = 0;
    if (waitpid(pid_, &state, WNOHANG) == pid_) {
      pid_ = 0;
      return Status(Code::kInternal, "clew serve ended at once:\n" + log());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Status(Code::kDeadlineExceeded, "clew serve was not ready after 60 s:\n" + log());
}

int ServerProcess::reap() {
  int state = 0;
  waitpid(pid_, &state, 0);
  pid_ = 0;
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}
void ServerProcess::kill_now() {
  kill(pid_, SIGKILL);
  reap();
}
int ServerProcess::terminate() {
  kill(pid_, SIGTERM);
  return reap();
}

app::HttpClient ServerProcess::client(uint16_t port) const {
  return app::HttpClient({"127.0.0.1", std::to_string(port), ""},
                         {.timeout_ms = 20'000, .bearer_token = "", .tenant = ""});
}
app::HttpClient ServerProcess::query_client() const { return client(ports_.http); }
app::HttpClient ServerProcess::otlp_client() const { return client(ports_.otlp_http); }

std::string ServerProcess::log() const {
  std::ifstream file(directory_ + "/serve.log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace clew::tests
