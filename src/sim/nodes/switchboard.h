// Switchboard: how workloads and the operator ask the control plane for something: a call goes to a process on a
// machine (a node, as api/ does it within one process, or a machine of clients, over the network), and comes to exactly
// one end: the service's answer, or no_answer() when the process is down or dies first.
//
// It judges what every Service owes (control/service.h): each call is answered once, and not long after its timeout.
// Answers take a little while on their way back and are handled in an event of nobody's. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "base/random.h"
#include "control/service.h"
#include "sim/nodes/serving.h"
#include "sim/world.h"

namespace clew::sim::nodes {

class Switchboard {
 public:
  // Machines below `nodes` are members' and spares', the others clients'.
  Switchboard(World& world, size_t nodes, uint64_t seed) : world_(world), nodes_(nodes), random_(seed) {}

  size_t nodes() const { return nodes_; }
  size_t machines() const { return world_.nodes(); }
  bool is_client(NodeIndex machine) const { return at(machine) >= nodes_; }
  NodeIndex any(Generator& random) const { return NodeIndex{static_cast<uint32_t>(random.below(machines()))}; }
  // A machine of clients two times out of three, when there is one.
  NodeIndex door(Generator& random) const;

  template <typename T>
  using Then = std::function<void(std::variant<T, control::CallError>)>;
  // `ask` runs on the process's loop, with its service. `timeout_ns`: by when the service itself gives up.
  template <typename T>
  void call(NodeIndex machine, int64_t timeout_ns, std::function<void(control::Service&, control::Done<T>)> ask,
            Then<T> then) {
    auto shared = std::make_shared<Then<T>>(std::move(then));  // by the answer and by the death, whichever comes
    const uint64_t number = begin(machine, timeout_ns, [shared](bool asked) { (*shared)(no_answer(asked)); });
    Serving* const serving = this->serving(machine);
    if (serving == nullptr) return lose(number, false);
    serving->machine().loop.post([this, number, serving, shared, ask = std::move(ask)] {
      control::Service* const service = serving->service();
      if (service == nullptr) return lose(number, false);
      ask(*service, [this, number, shared, said = false](std::variant<T, control::CallError> answer) mutable {
        if (std::exchange(said, true)) return twice(number);
        // In a box, so that the task can be copied.
        auto box = std::make_shared<std::variant<T, control::CallError>>(std::move(answer));
        answered(number, [shared, box] { (*shared)(std::move(*box)); });
      });
    });
  }
  // A process died: what it was asked gets no answer any more.
  void stopped(NodeIndex machine);
  // Whether what the life `life` of that process says now leaves it.
  bool speaks(NodeIndex machine, uint64_t life) const;
  Serving* serving(NodeIndex machine) const { return static_cast<Serving*>(world_.process(machine)); }
  uint64_t answers() const { return answers_; }
  size_t open() const { return open_.size(); }

  // Said by nobody; uncertain when somebody was asked.
  static control::CallError no_answer(bool asked);

 private:
  static constexpr int64_t kRefusedNs = 5'000'000;

  struct Open {
    NodeIndex machine;
    uint64_t life;
    bool answered = false;
    int64_t timeout_ns;
    std::function<void(bool asked)> lose;
  };
  uint64_t begin(NodeIndex machine, int64_t timeout_ns, std::function<void(bool asked)> lose);
  void answered(uint64_t number, std::function<void()> deliver);
  void twice(uint64_t number);
  void lose(uint64_t number, bool asked);
  void end(uint64_t number, const std::function<void()>& deliver);
  void check(uint64_t number, int strikes);

  World& world_;
  const size_t nodes_;
  Generator random_;
  uint64_t last_ = 0;
  uint64_t answers_ = 0;
  std::map<uint64_t, Open> open_;
};

}  // namespace clew::sim::nodes
