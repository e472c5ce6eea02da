// Lines: the workload of our own client library's sessions (control/session.h): each line of work appends to a list of
// its own, several commands at a time, and reads it by its session. A line dies with the process that it belongs to,
// and another one goes on with the same list.
//
// Judged: each command takes effect once at most, and once when it was answered; what was told to have had no effect
// had none; reads of a session never go backwards and show what it was told to be done. The rest is the checkers'.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/session.h"
#include "sim/nodes/workload.h"

namespace clew::sim::nodes {

class Lines final : public Workload {
 public:
  Lines(Stage stage, size_t count);
  std::string_view name() const override { return "sessions"; }
  void issue(Generator random) override;
  std::string settle() override;
  void stopped(NodeIndex machine) override;
  void finish() override;
  std::vector<check::History> histories() override;

 private:
  struct Line {
    std::string key;
    NodeIndex machine{0};
    std::unique_ptr<control::Session> session;
    // To be ended on the loop of the process that they belong to, which they must not outlive.
    std::vector<std::pair<NodeIndex, std::unique_ptr<control::Session>>> retired;
    size_t open = 0;  // commands without an answer
    Generator random{0};
  };
  void go_elsewhere(size_t index, NodeIndex machine);
  static void end_retired(Line& line, NodeIndex machine);
  void append(size_t index);
  void read(size_t index, bool final);
  template <typename F>
  void with_session(size_t index, int64_t timeout_ns, F ask, Switchboard::Then<control::CallReply> then);

  const Stage stage_;
  check::History history_;
  std::map<check::OpIndex, uint64_t> hashes_;
  std::vector<Line> lines_;
  uint64_t next_number_ = 0;
  uint64_t next_process_ = 0;
  bool finals_started_ = false;
};

}  // namespace clew::sim::nodes
