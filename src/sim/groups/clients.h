// Clients of a simulated group: each is bound to one workload, has one operation at a time, asks any node, follows
// hints who leads, asks again when it is refused, and, when it has a session, also after an outcome that it does not
// know: possibly while the first try is still under way. What was asked and answered goes into histories.
//
// Clients are outside of the simulated network: their requests take a little while, and a paused node answers late, but
// partitions do not concern them. They live as long as the scenario. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "consensus/replica.h"
#include "sim/check/history.h"
#include "sim/groups/canon.h"
#include "sim/groups/ledger.h"
#include "sim/groups/profile.h"
#include "sim/scheduler.h"

namespace clew::sim::groups {

// A node as clients see it: what reaches it is a task on its loop.
class Endpoints {
 public:
  virtual ~Endpoints() = default;
  virtual size_t nodes() const = 0;
  // Runs `task` with the replica on the loop of that node, now or when it goes on; never, when it is down or dies.
  virtual void post(NodeIndex node, std::function<void(consensus::Replica&)> task) = 0;
  // Whether what the node says now still leaves it (its power may have gone within the running event).
  virtual bool speaks(NodeIndex node) const = 0;
  virtual NodeIndex machine_of(consensus::NodeId id) const = 0;
  // Where the command of a session first took effect; nothing when that is not known to anybody.
  virtual std::optional<consensus::Position> applied_at(consensus::SessionId session, uint64_t sequence) const = 0;
  // Everything up to there is committed, and somebody knows it.
  virtual consensus::Position agreed() const = 0;
  virtual void proposed(std::string_view command) = 0;
  virtual void wrong(std::string what) = 0;  // a promise of the replica's is broken
};

class Clients {
 public:
  Clients(Scheduler& scheduler, Endpoints& endpoints, const Shape& shape, uint64_t seed);

  // An idle client asks `node` for something that `random` draws. False: all are busy.
  bool issue(NodeIndex node, bool read, Generator random);
  bool idle() const;
  // One read of everything at the end, of level linearizable.
  void start_final_reads();
  bool final_reads_done() const { return finals_started_ && finals_open_ == 0; }

  // At the end of everything: an operation of unknown outcome that `execution_of` (the log) does not know failed; of
  // one that changed something the log knows the position. It leaves the checkers less to try, and more to find: the
  // effect of an operation that no log holds.
  void resolve(const std::function<std::optional<Canon::Execution>(uint64_t command_hash)>& execution_of);
  std::vector<check::History>& histories() { return histories_; }
  uint64_t answered() const { return answered_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t failed() const { return failed_; }
  uint64_t busy() const { return skipped_; }
  std::string who_waits() const;  // for a failure's report

 private:
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
    uint64_t serial = 0;  // of the operation, raised when it ends: late answers and timers are told apart by it
    bool opening = false;
    check::OpIndex op = 0;
    bool invoked = false;
    bool reading = false;
    check::Operation wanted;
    consensus::ReadLevel level = consensus::ReadLevel::kLinearizable;
    consensus::Position at_least = 0;
    consensus::Position agreed = 0;  // when it was asked first: a linearizable read has to show that
    std::string body;
    NodeIndex asked{0};
    uint64_t tries = 0;
    uint64_t uncertain = 0;  // tries that may have had an effect, or still may
    int64_t give_up_ns = 0;
  };
  template <typename T>
  using Answered = std::variant<T, consensus::RequestError>;

  void begin(Client& client, NodeIndex node);
  void open_session(size_t index);
  void try_once(size_t index);
  void on_session(size_t index, uint64_t serial, NodeIndex node, Answered<consensus::SessionId> answer);
  void on_reply(size_t index, uint64_t serial, NodeIndex node, Answered<consensus::Reply> answer);
  void on_silence(size_t index, uint64_t serial, uint64_t tries);
  void ask_again(size_t index, consensus::NodeId hint);
  void end(Client& client, check::Outcome outcome, check::Output output = {},
           std::optional<uint64_t> position = std::nullopt);
  void draw_operation(Client& client, bool read, Generator& random);
  void later(int64_t delay_ns, std::function<void()> task);
  template <typename T>
  consensus::Answer<T> answer_to(size_t index, uint64_t serial, NodeIndex node,
                                 void (Clients::*handler)(size_t, uint64_t, NodeIndex, Answered<T>));

  Scheduler& scheduler_;
  Endpoints& endpoints_;
  const Shape& shape_;
  std::vector<check::History> histories_;
  std::vector<std::map<check::OpIndex, uint64_t>> command_hashes_;  // by history, of its writes
  std::vector<Client> clients_;
  uint64_t next_number_ = 0;
  bool finals_started_ = false;
  size_t finals_open_ = 0;
  uint64_t answered_ = 0, unknown_ = 0, failed_ = 0, skipped_ = 0;
};

}  // namespace clew::sim::groups
