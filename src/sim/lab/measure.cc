#include "sim/lab/measure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <variant>

#include "sim/groups/mesh_transport.h"

namespace clew::sim::lab {
namespace {

constexpr std::array<std::string_view, kFaults> kFaultNames = {"none", "loss", "down", "slow-disk"};
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kTickNs = 1 * kMs;
constexpr uint32_t kLossPpm = 10'000;
constexpr int64_t kSlower = 50;
constexpr size_t kValueBytes = 100;
constexpr uint64_t kKeys = 64;

// When what begins.
struct Times {
  int64_t idle_ns, load_ns, window_ns, end_ns, give_up_ns;
};
Times times_of(Latency latency, const Load& load) {
  const int64_t unit = latency == Latency::kLan ? kMs : 8 * kMs;
  Times times{};
  times.idle_ns = 1'500 * unit;
  times.load_ns = times.idle_ns + 1'000 * unit;
  // Five rounds and more are brief: of a wide network's, or of a queue that saturates a narrow one.
  const int64_t share = !load.brief ? 100 : latency == Latency::kLan ? 50 : 25;
  times.window_ns = times.load_ns + share * unit;
  times.end_ns = times.window_ns + 3 * share * unit;
  times.give_up_ns = load.kill_leader ? times.end_ns + 5'000 * unit : times.end_ns + kTickNs;
  return times;
}

class Measurement final : public LabGroup {
 public:
  Measurement(const groups::Family& family, const Setting& setting, const Load& load)
      : LabGroup(family, setting), load_(load), times_(times_of(setting.latency, load)), slots_(load.outstanding) {}

  Result<Measured> result() {
    CLEW_TRY(run(times_.give_up_ns, kTickNs));
    if (measured_.commands == 0) {
      return Error{Code::kDeadlineExceeded,
                   "no command was committed within " + std::to_string(times_.end_ns / kMs) + " ms"};
    }
    std::sort(measured_.latencies_ns.begin(), measured_.latencies_ns.end());
    return std::move(measured_);
  }

 private:
  struct Slot {
    uint64_t serial = 0;  // of its command: late answers are told apart by it
    bool waits = false;   // for an answer
    int64_t asked_at_ns = 0;
  };
  struct Counters {
    uint64_t messages = 0, bytes = 0;
  };

  int64_t now() { return world().now_ns(); }
  bool in_window() { return now() >= times_.window_ns && now() < times_.end_ns; }

  void tick() override {
    if (!fault_begun_ && leader() && now() >= times_.idle_ns / 2) begin_fault();
    if (!idle_seen_ && now() >= times_.idle_ns) {
      idle_seen_ = true;
      at_idle_ = sent_;
    }
    if (now() < times_.load_ns) return;
    if (!loaded_) {
      loaded_ = true;
      measured_.idle_messages_a_second =
          static_cast<double>(sent_.messages - at_idle_.messages) * 1e9 / static_cast<double>(now() - times_.idle_ns);
    }
    if (!opened_ && now() >= times_.window_ns) {
      opened_ = true;
      at_window_ = sent_;
      syncs_at_window_ = syncs();
      signatures_at_window_ = signatures();
    }
    if (!closed_ && now() >= times_.end_ns) close();
    const auto leads = leader();
    if (leads != asked_) {  // whoever waits for another one asks again
      asked_ = leads;
      for (Slot& slot : slots_) slot.waits = false;
    }
    if (!asked_ || done_) return;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!slots_[i].waits) ask(i);
    }
  }

  void begin_fault() {
    fault_begun_ = true;
    const NodeIndex leads = *leader();
    if (load_.fault == Fault::kLoss) world().links().weather().loss_ppm = kLossPpm;
    size_t down = load_.fault == Fault::kDown ? family().tolerates(nodes()) : 0;
    bool slow = load_.fault == Fault::kSlowDisk;
    for (uint32_t i = 0; i < nodes(); ++i) {
      const NodeIndex node{i};
      if (node == leads) continue;
      if (down > 0) {
        --down;
        world().kill(node);
      } else if (std::exchange(slow, false)) {
        world().disk(node).set_latency(kSlower * setting().costs.sync_ns);
      }
    }
  }

  void close() {
    closed_ = true;
    measured_.window_ns = times_.end_ns - times_.window_ns;
    measured_.messages = sent_.messages - at_window_.messages;
    measured_.bytes = sent_.bytes - at_window_.bytes;
    measured_.syncs = syncs() - syncs_at_window_;
    measured_.signatures_made = signatures().made - signatures_at_window_.made;
    measured_.signatures_checked = signatures().checked - signatures_at_window_.checked;
    done_ = !load_.kill_leader;
    if (!load_.kill_leader || !leader()) return;
    killed_at_ns_ = now();
    at_death_ = sent_;
    world().power_cut(*leader(), setting().seed);
  }

  void ask(size_t i) {
    Slot& slot = slots_[i];
    slot.waits = true;
    slot.asked_at_ns = now();
    const uint64_t serial = ++slot.serial;
    submit(*asked_, write("k" + std::to_string(++keys_ % kKeys), std::string(kValueBytes, 'x')),
           [this, i, serial](const std::variant<consensus::Reply, consensus::RequestError>& answer) {
             if (slots_[i].serial != serial) return;
             if (std::holds_alternative<consensus::RequestError>(answer)) {
               slots_[i].waits = false;  // the next tick asks again
               return;
             }
             answered(i);
           });
  }

  void answered(size_t i) {
    if (in_window()) {
      if (measured_.commands++ == 0) measured_.first_ns = now();
      if (measured_.first_ns == now()) ++measured_.answered_first;
      measured_.last_ns = now();
      measured_.latencies_ns.push_back(now() - slots_[i].asked_at_ns);
    }
    if (killed_at_ns_ != 0 && measured_.failover_ns == 0) {
      measured_.failover_ns = now() - killed_at_ns_;
      measured_.failover_messages = sent_.messages - at_death_.messages;
      measured_.failover_bytes = sent_.bytes - at_death_.bytes;
      done_ = true;
    }
    slots_[i].waits = false;
    if (!done_ && asked_) ask(i);
  }

  void sent(consensus::NodeId, consensus::NodeId, std::string_view frame) override {
    ++sent_.messages;
    sent_.bytes += frame.size();
  }

  const Load load_;
  const Times times_;
  Measured measured_;
  std::vector<Slot> slots_;
  std::optional<NodeIndex> asked_;
  Counters sent_, at_idle_, at_window_, at_death_;
  uint64_t syncs_at_window_ = 0;
  Signatures signatures_at_window_;
  uint64_t keys_ = 0;
  int64_t killed_at_ns_ = 0;
  bool fault_begun_ = false, idle_seen_ = false, loaded_ = false, opened_ = false, closed_ = false, done_ = false;
};

}  // namespace

std::string_view fault_name(Fault fault) { return kFaultNames[static_cast<size_t>(fault)]; }

std::optional<Fault> fault_named(std::string_view name) {
  for (size_t i = 0; i < kFaults; ++i) {
    if (kFaultNames[i] == name) return static_cast<Fault>(i);
  }
  return std::nullopt;
}

double Measured::throughput() const {
  // One burst with silence around it says nothing of the rate at which they come.
  if (last_ns - first_ns > window_ns / 2) {
    return static_cast<double>(commands - answered_first) * 1e9 / static_cast<double>(last_ns - first_ns);
  }
  return window_ns == 0 ? 0 : static_cast<double>(commands) * 1e9 / static_cast<double>(window_ns);
}

int64_t Measured::percentile_ns(double share) const {
  if (latencies_ns.empty()) return 0;
  const auto at = static_cast<size_t>(std::lround(share * static_cast<double>(latencies_ns.size() - 1)));
  return latencies_ns[at];
}

Result<Measured> measure(const groups::Family& family, const Setting& setting, const Load& load) {
  return Measurement(family, setting, load).result();
}

}  // namespace clew::sim::lab
