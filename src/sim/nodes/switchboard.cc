#include "sim/nodes/switchboard.h"

namespace clew::sim::nodes {
namespace {

// A service looks after its timeouts at intervals, and a loop that was stopped needs a moment.
constexpr int64_t kLateNs = 1'500'000'000;
constexpr int kStrikes = 3;

}  // namespace

control::CallError Switchboard::no_answer(bool asked) {
  return {Code::kUnavailable,
          asked ? "the process that was asked is gone" : "there is no process to ask",
          asked,
          consensus::kNobody,
          {}};
}

NodeIndex Switchboard::door(Generator& random) const {
  const size_t clients = machines() - nodes_;
  if (clients == 0 || random.one_in(3)) return NodeIndex{static_cast<uint32_t>(random.below(nodes_))};
  return NodeIndex{static_cast<uint32_t>(nodes_ + random.below(clients))};
}

bool Switchboard::speaks(NodeIndex machine, uint64_t life) const {
  return world_.up(machine) && world_.life(machine) == life && !world_.disk(machine).crashed();
}

uint64_t Switchboard::begin(NodeIndex machine, int64_t timeout_ns, std::function<void(bool asked)> lose) {
  const uint64_t number = ++last_;
  open_[number] = {machine, world_.life(machine), false, timeout_ns, std::move(lose)};
  world_.scheduler().at(world_.now_ns() + timeout_ns + kLateNs, [this, number] { check(number, kStrikes); });
  return number;
}

void Switchboard::answered(uint64_t number, std::function<void()> deliver) {
  const auto found = open_.find(number);
  // What a dying process says in its destructors reaches nobody: stopped() has closed its calls.
  if (found == open_.end() || !speaks(found->second.machine, found->second.life)) return;
  found->second.answered = true;
  const auto delay = static_cast<int64_t>(50'000 + random_.below(500'000));
  world_.scheduler().at(world_.now_ns() + delay,
                        [this, number, deliver = std::move(deliver)] { end(number, deliver); });
}

void Switchboard::twice(uint64_t number) {
  world_.fail("call " + std::to_string(number) + " of a service was answered twice");
}

void Switchboard::lose(uint64_t number, bool asked) {
  world_.scheduler().at(world_.now_ns() + kRefusedNs, [this, number, asked] {
    const auto found = open_.find(number);
    if (found != open_.end()) end(number, [lose = found->second.lose, asked] { lose(asked); });
  });
}

void Switchboard::end(uint64_t number, const std::function<void()>& deliver) {
  if (open_.erase(number) == 0) return;
  ++answers_;
  deliver();
}

void Switchboard::stopped(NodeIndex machine) {
  for (auto& [number, call] : open_) {
    if (call.machine != machine || call.answered) continue;
    call.answered = true;
    lose(number, true);
  }
}

void Switchboard::check(uint64_t number, int strikes) {
  const auto found = open_.find(number);
  if (found == open_.end()) return;
  // A stopped process answers when it goes on.
  const bool strike = !found->second.answered && !world_.paused(found->second.machine);
  if (strike && strikes == 0) {
    return world_.fail("a call of the service of " + name(found->second.machine) + " has had no answer for " +
                       seconds(kLateNs) + " s and more after its timeout of " + seconds(found->second.timeout_ns) +
                       " s");
  }
  world_.scheduler().at(world_.now_ns() + kLateNs,
                        [this, number, next = strike ? strikes - 1 : kStrikes] { check(number, next); });
}

}  // namespace clew::sim::nodes
