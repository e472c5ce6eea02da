// The control plane for subcommands: a control::Client with a loop of its own, asked and waited for. ControlFlags are
// the options that all of them share.
//
// One thread (a call blocks until its answer or its timeout); the destructor waits for the loop.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/mutex.h"
#include "control/client.h"
#include "os/condition.h"
#include "os/loop.h"
#include "os/random.h"
#include "os/workers.h"

namespace clew::app {

struct ControlFlags {
  std::string servers;  // "host:port,host:port"
  std::string token;
  std::string ca_file, cert_file, key_file;
  std::string timeout = "5s";
  bool trust_gateway = false;
  void add_to(CLI::App& command);
  Result<int64_t> timeout_ns() const;
};

class ControlClient {
 public:
  struct Options {
    bool fail_fast = true;  // an address that refuses is an answer to a person, not to a load generator
  };
  static Result<std::unique_ptr<ControlClient>> connect(const ControlFlags& flags, Options options);
  static Result<std::unique_ptr<ControlClient>> connect(const ControlFlags& flags) { return connect(flags, Options()); }
  ~ControlClient();

  control::Client& client() { return *client_; }
  os::OsLoop& loop() { return *loop_; }
  control::CallOptions call_options() const { return call_options_; }  // with --timeout

  // Runs `start`, which gets a completion, on the loop, and waits for that.
  template <typename T, typename F>
  std::variant<T, control::CallError> wait(F start) {
    struct State {
      Mutex mutex;
      os::Condition condition;
      std::optional<std::variant<T, control::CallError>> result CLEW_GUARDED_BY(mutex);
    };
    auto state = std::make_shared<State>();  // shared with the completion
    loop_->post([state, start = std::move(start)]() mutable {
      start([state](std::variant<T, control::CallError> result) {
        {
          const MutexLock lock(state->mutex);
          state->result = std::move(result);
        }
        state->condition.notify_one();
      });
    });
    const MutexLock lock(state->mutex);
    while (!state->result) state->condition.wait(state->mutex);
    return *std::move(state->result);
  }
  std::variant<control::CallReply, control::CallError> execute(kv::Space space, kv::Request request,
                                                               control::CallOptions options);
  // Of whoever answers first, when it is a member and hears a leader; else the others that are named are asked one by
  // one: who was removed, or is cut off, knows no better.
  std::variant<control::GroupStatus, control::CallError> status();
  uint64_t cluster();  // of who answered; 0: nobody did

 private:
  ControlClient() = default;
  void close(std::unique_ptr<control::Client>& client);

  os::Workers workers_;
  os::OsRandom random_;
  std::unique_ptr<env::Network> network_;
  std::unique_ptr<os::OsLoop> loop_;
  std::unique_ptr<control::Client> client_;
  control::CallOptions call_options_;
  control::ClientOptions client_options_;
};

// "clew: MESSAGE" with what is known about the effect; exit code 2.
int fail(const control::CallError& error);

}  // namespace clew::app
