#include "sim/lab/lab_group.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "consensus/pbft/test_keys.h"
#include "sim/groups/ledger.h"
#include "sim/groups/mesh_transport.h"

namespace clew::sim::lab {

using consensus::NodeId;
using groups::member_id;

namespace {

constexpr std::array<std::string_view, 3> kLatencyNames = {"lan", "wan", "mixed"};
constexpr size_t kRegions = 3;
// One way, beyond what a message takes within a region: between the regions 0-1, 1-2, 2-0.
constexpr int64_t kApartNs[kRegions] = {15'000'000, 20'000'000, 30'000'000};
constexpr int64_t kWanNs = 40'000'000;

constexpr size_t kSignatureBytes = 64;

size_t region_of(size_t node) { return node % kRegions; }

int64_t apart_ns(Latency latency, size_t a, size_t b) {
  if (latency == Latency::kLan) return 0;
  if (latency == Latency::kWan) return kWanNs;
  const size_t from = std::min(region_of(a), region_of(b));
  const size_t to = std::max(region_of(a), region_of(b));
  if (from == to) return 0;
  return kApartNs[from == 0 && to == 2 ? 2 : from];
}

// What a person would set: a link's round trips must fit into the timeouts several times.
groups::Limits limits_for(Latency latency) {
  groups::Limits limits;
  if (latency != Latency::kLan) {
    limits.heartbeat = 200 * consensus::kMillisecond;
    limits.election_min = 1'000 * consensus::kMillisecond;
    limits.election_max = 2'000 * consensus::kMillisecond;
  }
  return limits;
}

}  // namespace

std::string_view latency_name(Latency latency) { return kLatencyNames[static_cast<size_t>(latency)]; }

std::optional<Latency> latency_named(std::string_view name) {
  for (size_t i = 0; i < kLatencyNames.size(); ++i) {
    if (kLatencyNames[i] == name) return static_cast<Latency>(i);
  }
  return std::nullopt;
}

int64_t one_way_ns(Latency latency) {
  switch (latency) {
    case Latency::kLan:
      return 125'000;
    case Latency::kWan:
      return kWanNs + 500'000;
    case Latency::kMixed:
      return 20'000'000;
  }
  return 0;
}

std::string lab_signature(NodeId signer, std::string_view message) {
  std::string signature = consensus::pbft::test_signature(signer, message);
  signature.resize(kSignatureBytes);
  return signature;
}

// --- A member: the group's process behind its processor ---

class LabGroup::Member final : public Process {
 public:
  Member(Machine& machine, LabGroup& group, NodeId self)
      : machine_(machine),
        costs_(group.setting_.costs),
        keys_(std::make_shared<Keys>(*this, group.signatures_, self)),
        process_(machine, group, self, false) {
    machine.loop.set_workers(costs_.workers);
    process_.depart(
        [this](Task leave) { machine_.loop.after(std::max<int64_t>(busy_until_ns_ - now(), 0), std::move(leave)); });
  }

  Status open(consensus::ReplicaOptions options, consensus::ProtocolFactory factory) {
    return process_.open(std::move(options), std::move(factory), keys_.get());
  }
  std::shared_ptr<const consensus::Signer> signer() const { return keys_; }  // shared: a core shares its signer
  consensus::Replica& replica() { return process_.replica(); }
  void lie(std::shared_ptr<groups::Liar> liar) {
    process_.lie(std::move(liar), [] { return true; });
  }

  // Runs `task` when the processor has had the time for it. What comes while it is busy waits, and is then taken
  // together, as a loop takes all that its sockets hold: this is where batches come from.
  void work(int64_t cost_ns, Task task) {
    waiting_ns_ += cost_ns;
    waiting_.push_back(std::move(task));
    take_soon();
  }
  void charge(int64_t cost_ns) { busy_until_ns_ = std::max(busy_until_ns_, now()) + cost_ns; }
  int64_t cost_of(size_t bytes) const {
    return costs_.message_ns + static_cast<int64_t>(bytes) * costs_.kilobyte_ns / 1'024;
  }

 private:
  // What it signs and checks with, and pays for.
  class Keys final : public consensus::Signer, public consensus::Verifier {
   public:
    Keys(Member& member, Signatures& count, NodeId self) : member_(member), count_(count), self_(self) {}
    std::string sign(std::string_view message) const override {
      ++count_.made;
      member_.charge(member_.costs_.sign_ns);
      return lab_signature(self_, message);
    }
    bool verify(NodeId signer, std::string_view message, std::string_view signature) const override {
      ++count_.checked;
      member_.machine_.loop.take(member_.costs_.check_ns);
      return signature == lab_signature(signer, message);
    }

   private:
    Member& member_;
    Signatures& count_;
    const NodeId self_;
  };

  void on_message(NodeIndex from, std::string_view bytes) override {
    work(cost_of(bytes.size()), [this, from, bytes = std::string(bytes)] { process_.on_message(from, bytes); });
  }
  void on_connection(NodeIndex peer, bool up) override { process_.on_connection(peer, up); }
  int64_t now() const { return machine_.loop.clock().mono_ns(); }
  void take_soon() {
    if (waiting_.empty() || std::exchange(taking_, true)) return;
    machine_.loop.after(std::max<int64_t>(busy_until_ns_ - now(), 0), [this] {
      charge(std::exchange(waiting_ns_, 0));
      machine_.loop.after(busy_until_ns_ - now(), [this, tasks = std::exchange(waiting_, {})]() mutable {
        taking_ = false;
        for (Task& each : tasks) each();
        take_soon();
      });
    });
  }

  Machine& machine_;
  const Costs costs_;
  const std::shared_ptr<Keys> keys_;
  groups::GroupProcess process_;
  int64_t busy_until_ns_ = 0;
  std::vector<Task> waiting_;
  int64_t waiting_ns_ = 0;
  bool taking_ = false;
};

LabGroup::LabGroup(const groups::Family& family, const Setting& setting) : family_(family), setting_(setting) {
  shape_.nodes = shape_.voters = setting.nodes;
  shape_.sessions = false;
  shape_.limits = limits_for(setting.latency);
  shape_.replica.cluster = 7;
  shape_.replica.log_file_bytes = 4 << 20;
  shape_.ordered = true;
  family_.fit(shape_);
  initialised_.resize(setting.nodes);
  syncs_of_earlier_lives_.resize(setting.nodes);
}

LabGroup::~LabGroup() = default;

Status LabGroup::run(int64_t until_ns, int64_t tick_ns) {
  Plan plan;
  plan.seed = setting_.seed;
  plan.nodes = setting_.nodes;
  plan.heal_at_ns = until_ns;
  plan.progress_within_ns = 1;
  for (int64_t at = tick_ns; at < until_ns; at += tick_ns) {
    Item item;
    item.at_ns = at;
    item.node = kNoNode;
    plan.items.push_back(item);
  }
  RunResult result;
  {
    World world(std::move(plan), *this);
    result = world.run();
  }  // its processes die here, and look at it
  world_ = nullptr;
  return result.ok ? Status() : Status(Code::kInternal, result.failure);
}

void LabGroup::prepare(World& world) {
  world_ = &world;
  Weather& weather = world.links().weather();
  weather.fifo = true;
  weather.delay_min_ns = 100'000;
  weather.delay_spread_ns = setting_.latency == Latency::kWan ? 1'000'000 : 50'000;
  std::vector<consensus::Member> members;
  for (uint32_t i = 0; i < nodes(); ++i) {
    members.push_back({.id = member_id(NodeIndex{i}), .address = name(NodeIndex{i})});
    world.disk(NodeIndex{i}).set_latency(setting_.costs.sync_ns);
    for (uint32_t j = 0; j < nodes(); ++j) {
      const int64_t apart = apart_ns(setting_.latency, i, j);
      if (i != j && apart != 0) world.links().slow(mask_of(NodeIndex{i}), mask_of(NodeIndex{j}), apart);
    }
  }
  founding_ = consensus::Membership::make(std::move(members)).value();
  canon_.found(founding_);
}

Result<std::unique_ptr<Process>> LabGroup::start(World& world, Machine& machine) {
  if (world_ == nullptr) prepare(world);
  const NodeId id = member_id(machine.node);
  auto starting = std::make_unique<Member>(machine, *this, id);
  consensus::ReplicaOptions options = shape_.replica;
  options.bootstrap = !initialised_[at(machine.node)];
  const Status opened = starting->open(
      std::move(options), [this, id, &clock = machine.loop.clock(), signer = starting->signer()](uint64_t seed) {
        groups::Shape shape = shape_;
        shape.signer = signer;
        return family_.make(shape, id, founding_, clock, seed);
      });
  if (!opened.ok()) {
    world.fail(name(machine.node) + " does not start: " + opened.to_string());
    return opened.error();
  }
  initialised_[at(machine.node)] = true;
  return std::unique_ptr<Process>(std::move(starting));
}

void LabGroup::stopped(World&, NodeIndex node) {
  syncs_of_earlier_lives_[at(node)] += member(node)->replica().stats().syncs;
}

LabGroup::Member* LabGroup::member(NodeIndex node) const { return static_cast<Member*>(world_->process(node)); }

consensus::Replica* LabGroup::replica(NodeIndex node) const {
  Member* const of = member(node);
  return of == nullptr ? nullptr : &of->replica();
}

std::optional<NodeIndex> LabGroup::leader() const {
  std::optional<NodeIndex> found;
  consensus::Epoch highest = 0;
  for (uint32_t i = 0; i < nodes(); ++i) {
    const consensus::Replica* const of = replica(NodeIndex{i});
    if (of == nullptr) continue;
    const consensus::Report report = of->report();
    if (report.standing != consensus::Standing::kLeader || report.epoch < highest) continue;
    highest = report.epoch;
    found = NodeIndex{i};
  }
  return found;
}

std::string LabGroup::write(const std::string& key, std::string value) {
  groups::LedgerCommand command;
  command.number = ++commands_;
  command.key = key;
  command.input.value = std::move(value);
  std::string bytes = encode(command);
  canon_.proposed(bytes);
  return bytes;
}

void LabGroup::submit(NodeIndex node, std::string command, consensus::Answer<consensus::Reply> done) {
  Member* const to = member(node);
  if (to == nullptr) return;
  to->work(setting_.costs.command_ns, [to, command = std::move(command), done = std::move(done)]() mutable {
    to->replica().submit({.body = std::move(command)}, std::move(done));
  });
}

void LabGroup::read(NodeIndex node, const std::string& key, consensus::ReadLevel level,
                    consensus::Answer<consensus::Reply> done) {
  Member* const to = member(node);
  if (to == nullptr) return;
  to->work(setting_.costs.command_ns, [to, key, level, done = std::move(done)]() mutable {
    to->replica().query({.level = level, .body = groups::encode_query(check::Workload::kRegister, key)},
                        std::move(done));
  });
}

void LabGroup::lie(NodeIndex node, std::shared_ptr<groups::Liar> liar) {
  if (Member* const of = member(node)) of->lie(std::move(liar));
}

uint64_t LabGroup::syncs() const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < nodes(); ++i) {
    sum += syncs_of_earlier_lives_[i];
    if (const consensus::Replica* const of = replica(NodeIndex{i})) sum += of->stats().syncs;
  }
  return sum;
}

void LabGroup::on_sent(NodeIndex node, NodeId to, std::string_view frame) {
  if (Member* const from = member(node)) from->charge(from->cost_of(frame.size()));
  sent(member_id(node), to, frame);
}

void LabGroup::on_applied(NodeIndex node, consensus::Position position, consensus::Position after,
                          const consensus::Entry& entry, bool executed, bool changed, Hash128 digest) {
  const Status same = canon_.deliver({member_id(node), position, after, entry, executed, digest, changed});
  if (!same.ok()) disagreed(same);
}

}  // namespace clew::sim::lab
