#include "sim/lab/cap.h"

#include <utility>
#include <variant>

#include "sim/check/linearizability.h"
#include "sim/groups/ledger.h"

namespace clew::sim::lab {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kPatienceNs = 1'000 * kMs;
constexpr const char* kKey = "x";
const std::string kBefore = "written before";
const std::string kDuring = "written during the partition";

class Partition final : public LabGroup {
 public:
  explicit Partition(const groups::Family& family, const Setting& setting) : LabGroup(family, setting) {
    for (check::History* history : {&consistent_, &available_}) history->workload = check::Workload::kRegister;
    cap_.patience_ns = kPatienceNs;
  }

  Result<Cap> result() {
    CLEW_TRY(run(12'000 * kMs, 10 * kMs));
    if (scene_ == 0) return Error{Code::kInternal, "no leader was elected"};
    cap_.consistent = check::check_linearizability(consistent_);
    cap_.available = check::check_linearizability(available_);
    return std::move(cap_);
  }

 private:
  int64_t now() { return world().now_ns(); }

  // One scene after the other, each a while after the one before: what was written has reached whom it can reach.
  void tick() override {
    if (now() < next_at_ns_) return;
    const auto leads = leader();
    if (scene_ == 0 && !leads) return;
    next_at_ns_ = now() + 2 * kPatienceNs;
    switch (scene_++) {
      case 0:
        majority_ = *leads;
        alone_ = NodeIndex{at(majority_) == 0 ? 1u : 0u};
        write_at_majority(kBefore);
        break;
      case 1:
        ask(Phase::kWhole);
        break;
      case 2:
        world().links().cut(mask_of(alone_), everybody() & ~mask_of(alone_));
        world().links().cut(everybody() & ~mask_of(alone_), mask_of(alone_));
        write_at_majority(kDuring);
        break;
      case 3:
        ask(Phase::kParted);
        break;
      case 4:
        world().links().heal();
        break;
      case 5:
        ask(Phase::kHealed);
        break;
      default:
        break;
    }
  }

  check::OpIndex invoke(check::History& history, check::Kind kind, const std::string& value) {
    check::Operation operation;
    operation.process = check::ProcessId{++clients_};
    operation.key = kKey;
    operation.kind = kind;
    operation.input.value = value;
    operation.invoked_ns = now();
    return history.invoke(std::move(operation));
  }

  // Both choices see it.
  void write_at_majority(const std::string& value) {
    const check::OpIndex first = invoke(consistent_, check::Kind::kWrite, value);
    const check::OpIndex second = invoke(available_, check::Kind::kWrite, value);
    submit(majority_, write(kKey, value), [this, first, second](const auto& answer) {
      if (!std::holds_alternative<consensus::Reply>(answer)) return;
      const uint64_t position = std::get<consensus::Reply>(answer).position;
      consistent_.answer(first, check::Outcome::kOk, {}, position, now());
      available_.answer(second, check::Outcome::kOk, {}, position, now());
    });
  }

  void ask(Phase phase) {
    ask_read(phase, Choice::kConsistency, consensus::ReadLevel::kLinearizable, consistent_);
    ask_read(phase, Choice::kAvailability, consensus::ReadLevel::kLocal, available_);
    if (phase == Phase::kParted) ask_write();
  }

  void ask_read(Phase phase, Choice choice, consensus::ReadLevel level, check::History& history) {
    const size_t index = cap_.asked.size();
    cap_.asked.push_back({.phase = phase, .choice = choice});
    const int64_t asked_at = now();
    const check::OpIndex operation = invoke(history, check::Kind::kRead, "");
    read(alone_, kKey, level, [this, index, asked_at, operation, &history](const auto& answer) {
      // Who has lost patience hears nothing any more.
      if (!std::holds_alternative<consensus::Reply>(answer) || now() - asked_at > kPatienceNs) return;
      check::Output output = groups::decode_answer(std::get<consensus::Reply>(answer).result);
      Asked& asked = cap_.asked[index];
      asked.answered = true;
      asked.took_ns = now() - asked_at;
      asked.value = output.value.value_or("nothing");
      history.answer(operation, check::Outcome::kOk, std::move(output), std::nullopt, now());
    });
  }

  // Without a leader on its side a member cannot even take it for later: whoever asked may ask elsewhere.
  void ask_write() {
    const size_t index = cap_.asked.size();
    cap_.asked.push_back({.phase = Phase::kParted, .choice = Choice::kConsistency, .read = false, .value = "another"});
    const int64_t asked_at = now();
    const check::OpIndex operation = invoke(consistent_, check::Kind::kWrite, "another");
    submit(alone_, write(kKey, "another"), [this, index, asked_at, operation](const auto& answer) {
      if (!std::holds_alternative<consensus::Reply>(answer) || now() - asked_at > kPatienceNs) return;
      cap_.asked[index].answered = true;
      cap_.asked[index].took_ns = now() - asked_at;
      consistent_.answer(operation, check::Outcome::kOk, {}, std::get<consensus::Reply>(answer).position, now());
    });
  }

  Cap cap_;
  check::History consistent_, available_;
  int scene_ = 0;
  int64_t next_at_ns_ = 1'500 * kMs;
  uint64_t clients_ = 0;
  NodeIndex majority_{0}, alone_{0};
};

}  // namespace

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::kWhole:
      return "whole";
    case Phase::kParted:
      return "parted";
    case Phase::kHealed:
      return "healed";
  }
  return "?";
}

Result<Cap> show_cap(const groups::Family& family, uint64_t seed) {
  Setting setting;
  setting.nodes = kCapMembers;
  setting.seed = seed;
  return Partition(family, setting).result();
}

}  // namespace clew::sim::lab
