// Objects: the workload of registers, lists and a bank: each client is bound to one kind, has one operation at a time,
// and asks any machine. A command without a session is given up when nobody knows what became of it; one with a session
// is asked again, possibly elsewhere and while the first try is still under way. What was asked and answered goes into
// histories for the checkers of sim/check.
//
// Judged at once: that a linearizable answer shows all that was committed when it was asked for; that a sequential one
// is not older than the token; that an answer names the position of its command; that what was told to have had no
// effect had none; that the money in the bank is always the same.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/nodes/workload.h"

namespace clew::sim::nodes {

class Objects final : public Workload {
 public:
  explicit Objects(Stage stage);
  std::string_view name() const override { return "objects"; }
  void issue(Generator random) override;
  std::string settle() override;
  void finish() override;
  std::vector<check::History> histories() override { return std::move(histories_); }

 private:
  struct Account {
    int64_t balance = 0;
    kv::Revision mod_revision = 0;
  };
  struct Client {
    check::ProcessId process{};
    size_t history = 0;
    bool has_session = false;
    consensus::SessionId session = consensus::kNoSession;
    uint64_t sequence = 0;
    consensus::Position seen = 0;
    Generator random{0};
    // The operation under way.
    bool busy = false;
    bool final = false;
    uint64_t serial = 0;  // of the operation: late answers are told apart by it
    bool invoked = false;
    bool transfers = false;  // what it reads now is for a transfer
    check::OpIndex op = 0;
    check::Operation wanted;
    kv::Request request;
    uint64_t hash = 0;  // of the command
    control::Consistency level = control::Consistency::kLinearizable;
    consensus::Position at_least = 0;
    consensus::Position agreed = 0;  // when it was asked first
    NodeIndex machine{0};
    uint64_t uncertain = 0;  // tries that may have had an effect, or still may
    int64_t give_up_ns = 0;
  };
  template <typename T>
  using Answered = std::variant<T, control::CallError>;

  void draw(Client& client, Generator& random);
  void draw_read(Client& client, Generator& random);
  void draw_register(Client& client, Generator& random);
  void draw_transfer(Client& client, const std::map<std::string, Account>& accounts);
  void begin(Client& client);
  void ask(size_t index);
  void open_session(size_t index);
  void ask_again(size_t index);
  void on_reply(size_t index, Answered<control::CallReply> answer);
  void on_error(size_t index, const control::CallError& error);
  void on_read(size_t index, const control::CallReply& reply);
  void on_written(size_t index, const control::CallReply& reply);
  void end(Client& client, check::Outcome outcome, check::Output output = {},
           std::optional<uint64_t> position = std::nullopt);
  void start_final_reads();
  void wrong(const Client& client, const std::string& what);

  const Stage stage_;
  std::vector<check::History> histories_;
  std::vector<std::map<check::OpIndex, uint64_t>> hashes_;  // by history, of its commands
  std::vector<Client> clients_;
  uint64_t next_number_ = 0;
  bool finals_started_ = false;
  size_t finals_open_ = 0;
};

}  // namespace clew::sim::nodes
