// Ledger: the state machine that simulated groups replicate. One machine holds an object of every workload that the
// checkers know (registers, lists, counters, a bank), so that one run exercises them all; commands and queries are
// written in the checkers' own terms.
//
// The digest is kept incrementally: a sum over keys. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "consensus/state_machine.h"
#include "sim/check/history.h"

namespace clew::sim::groups {

struct LedgerCommand {
  check::Workload workload = check::Workload::kRegister;
  check::Kind kind = check::Kind::kWrite;
  uint64_t number = 0;  // of the operation: makes every command's bytes unique
  std::string key;
  check::Input input;
};
std::string encode(const LedgerCommand& command);

// A read of one key, or of the whole bank.
std::string encode_query(check::Workload workload, std::string_view key);
// What apply() and query() answered.
check::Output decode_answer(std::string_view bytes);
// Whether the answer of a command says that the state is another one than before.
bool changed_something(std::string_view answer);

constexpr int kAccounts = 4;
constexpr int64_t kInitialBalance = 100;
std::string account(int number);  // "a0"

class Ledger final : public consensus::StateMachine {
 public:
  // `loses_appends`: a fault for the harness itself to find: one append in 32 is acknowledged and lost, on every node
  // alike.
  explicit Ledger(bool loses_appends = false);

  std::string apply(const consensus::Applied& at, std::string_view command) override;
  std::string query(std::string_view request) const override;
  UniqueFunction<Status(consensus::SnapshotSink&)> freeze() override;
  Status restore(consensus::SnapshotSource& source) override;
  Hash128 digest() const override { return {digest_lo_, digest_hi_}; }

  // The newest position at which a command was executed, rather than recognised as repeated.
  consensus::Position executed() const { return executed_; }

 private:
  struct List {
    std::vector<std::string> values;
    Hash128 hash;  // of all of them in their order
  };
  void count(Hash128 part, bool add);
  Hash128 part_of_register(const std::string& key, const std::string& value) const;
  void set_register(const std::string& key, const std::string* value);
  void set_number(std::map<std::string, int64_t>& numbers, char prefix, const std::string& key, int64_t value);

  bool loses_appends_;
  std::map<std::string, std::string> registers_;
  std::map<std::string, List> lists_;
  std::map<std::string, int64_t> counters_;
  std::map<std::string, int64_t> bank_;
  uint64_t digest_lo_ = 0, digest_hi_ = 0;
  consensus::Position executed_ = 0;
};

}  // namespace clew::sim::groups
