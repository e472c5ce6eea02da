// A history: what the clients of a replicated object asked, what they were told, and in which order the two happened;
// with what the nodes themselves reported. It is all that the checkers of this folder look at.
//
// An event is the invocation or the return of an operation. Events are numbered in the order in which they were
// recorded, and that order is the only clock of the checkers: operation A precedes B when A's return was recorded
// before B's invocation. So a recorder notes an invocation *before* it sends the request and a return *after* it has
// the answer; then the recorded order never claims more than what was true. Times are carried for people only.
//
// A process is a client that waits for its answer: it has one operation at a time. One that gives up and asks anew
// leaves its operation behind as unknown. A client with eight requests in flight is eight processes.
//
// Not for traces of spans, and not a log: nothing here is durable (history_file.h writes and reads histories).
// Plain values, one thread; a finished history may be read from many.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clew::sim::check {

enum class ProcessId : uint64_t {};
enum class SessionId : uint64_t {};  // of the replicated log: exactly once is promised per session
enum class NodeId : uint64_t {};
template <typename Id>
constexpr uint64_t number(Id id) {
  return static_cast<uint64_t>(id);
}

// What kind of object stands behind every key.
enum class Workload : uint8_t {
  kRegister,  // read, write, cas, delete
  kList,      // read, append
  kCounter,   // read, add (negative, too)
  kSet,       // read, insert, erase
  kBank,      // accounts that are not independent: read of some or all, transfer
};

enum class Kind : uint8_t { kRead, kWrite, kCas, kDelete, kAppend, kAdd, kInsert, kErase, kTransfer };
bool belongs(Kind kind, Workload workload);

enum class Outcome : uint8_t {
  kOk,       // done, and the output is what it answered
  kFail,     // definitely not done and never will be; it counts for nothing
  kUnknown,  // no answer, or one that does not tell: it may have taken effect, may still, or never
};

// What the answer claims. Operations that claim less than a checker tests are not held to it.
enum class Level : uint8_t { kEventual, kCausal, kSequential, kLinearizable };

// Only the fields of its kind mean something.
struct Input {
  std::string value;                    // write, cas: the new value; append, insert, erase: the element
  std::optional<std::string> expected;  // cas: what must be there; nothing: the key must be absent
  int64_t amount = 0;                   // add; transfer: not negative
  std::string target;                   // transfer: the account that receives; the key is the one that pays
  friend bool operator==(const Input&, const Input&) = default;
};

struct Output {
  // cas: the value was as expected and was replaced. insert, erase: the set changed. transfer: the payer had enough.
  bool applied = true;
  std::optional<std::string> value;         // read of a register; nothing: absent
  std::vector<std::string> values;          // read of a list (in order) or of a set (any order)
  int64_t number = 0;                       // read of a counter
  std::map<std::string, int64_t> balances;  // read of a bank: the accounts that were asked for, or all
  friend bool operator==(const Output&, const Output&) = default;
};

constexpr uint64_t kNever = UINT64_MAX;
constexpr uint64_t kMaxPosition = 1ull << 60;

struct Operation {
  ProcessId process{};
  std::optional<SessionId> session;
  uint64_t sequence = 0;       // of the command in its session, from 1; 0: none
  std::optional<NodeId> node;  // that was asked
  std::string key;
  Kind kind = Kind::kRead;
  Level level = Level::kLinearizable;
  bool final = false;  // a read after everything else ended, of a healed system: what is durable must show in it
  Input input;

  Outcome outcome = Outcome::kUnknown;
  Output output;  // only of kOk
  // Of a write: the place in the log where it took effect. Of a read: the log was applied up to and with this place.
  // At most kMaxPosition. Of an unknown write: who records the history learnt from the log itself that it changed
  // something there; without one it may have taken effect anywhere, or never.
  std::optional<uint64_t> position;

  uint64_t invoked = 0;  // numbers of the two events
  uint64_t returned = kNever;
  int64_t invoked_ns = 0;
  int64_t returned_ns = 0;

  bool reads() const { return kind == Kind::kRead; }
  bool ok() const { return outcome == Outcome::kOk; }
};

// A node executed the command (session, sequence) at `position`; commands that it recognised as repeated are not
// reported. Saying it again after a restart is fine.
struct Applied {
  NodeId node{};
  uint64_t position = 0;
  SessionId session{};
  uint64_t sequence = 0;
};

// The digest of a node's state after everything up to `position`.
struct Digest {
  NodeId node{};
  uint64_t position = 0;
  std::string digest;
};

// Index into History::operations.
using OpIndex = size_t;

struct History {
  Workload workload = Workload::kRegister;
  // What a read of each key would have answered at the start; keys that are not here are absent, empty or 0. Of a bank,
  // one entry per account, in `number`: all accounts that there are.
  std::map<std::string, Output> initial;
  std::vector<Operation> operations;  // in the order of their invocations
  std::vector<Applied> applied;
  std::vector<Digest> digests;
  uint64_t events = 0;  // recorded so far

  // Records an invocation; the caller has filled what is known before the answer. Clears what is not.
  OpIndex invoke(Operation operation);
  // Records the return of an operation that has none yet.
  void answer(OpIndex index, Outcome outcome, Output output = {}, std::optional<uint64_t> position = std::nullopt,
              int64_t time_ns = 0);
};

std::string_view name(Workload workload);  // "register"
std::string_view name(Kind kind);          // "cas"
std::string_view name(Outcome outcome);    // "unknown"
std::string_view name(Level level);        // "sequential"
std::optional<Workload> workload_from(std::string_view name);
std::optional<Kind> kind_from(std::string_view name);
std::optional<Outcome> outcome_from(std::string_view name);
std::optional<Level> level_from(std::string_view name);

// One line of a play: `#12 client 3: cas x "1" -> "2" = applied`. Long values are cut.
std::string describe(const History& history, OpIndex index);
// The same with the time or event span in front, for lists that are read top down.
std::string describe_in_time(const History& history, OpIndex index);
std::string describe_value(const std::optional<std::string>& value);  // "absent" or quoted
std::string describe_values(const std::vector<std::string>& values);  // ["a", "b"], the middle of a long one left out

}  // namespace clew::sim::check
