#include "sim/decrees/decree_scenario.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/hash.h"
#include "sim/groups/log_damage.h"
#include "sim/groups/mesh_transport.h"

namespace clew::sim::decrees {

namespace paxos = consensus::paxos;
using groups::machine_of;
using groups::member_id;

namespace {

constexpr int64_t kNameLastsNs = 200'000'000;  // until another name is proposed for
constexpr size_t kNewestNames = 5;             // that are proposed for again
constexpr int64_t kPatienceNs = 1'500'000'000;
constexpr int64_t kAskEveryNs = 500'000'000;

const std::string kLog = "/decrees";      // directories
const std::string kVoucher = "/replica";  // beside who the member is

class DecreeProcess final : public Process {
 public:
  DecreeProcess(Machine& machine, World& world, paxos::DecreeCheck& check, bool& unnoticed)
      : machine_(machine), world_(world), check_(check), unnoticed_(unnoticed) {}

  Status open(paxos::DecreesOptions options, bool first_start) {
    const consensus::NodeId self = options.self;
    paxos::DecreeHost::Ports ports{
        machine_.loop, machine_.disk, machine_.random,
        [this](consensus::NodeId to, std::string frame) { machine_.send(machine_of(to), std::move(frame)); },
        [this, self](consensus::NodeId, std::string_view frame) { judge(check_.on_sent(self, frame)); }};
    CLEW_ASSIGN(host_, paxos::DecreeHost::open(std::move(ports), {kLog, kVoucher, first_start}, options,
                                               [this](Status why) { machine_.halt(std::move(why)); }));
    return {};
  }
  void on_message(NodeIndex from, std::string_view bytes) override { host_->receive(member_id(from), bytes); }
  // All of it costs the vote: any damage of the log makes its member abstain.
  Scope scope_of(const std::string& path, uint64_t offset, uint64_t size) const override {
    if (!path.starts_with(kLog + "/")) return {};
    if (path.ends_with(".spare")) return {.kind = Scope::Kind::kNothing, .items = {}};
    const auto lost = groups::records_lost_with(*machine_.power, kLog, path, offset, size);
    if (lost && !lost->empty() && lost->back() > host_->vouched_for()) unnoticed_ = true;
    return {};
  }
  paxos::DecreeHost& host() { return *host_; }
  Machine& machine() { return machine_; }

 private:
  void judge(const Status& status) {
    if (!status.ok()) world_.fail(std::string(status.message()));
  }

  Machine& machine_;
  World& world_;
  paxos::DecreeCheck& check_;
  bool& unnoticed_;
  std::unique_ptr<paxos::DecreeHost> host_;
};

DecreeProcess& process_of(World& world, NodeIndex node) { return static_cast<DecreeProcess&>(*world.process(node)); }

}  // namespace

Result<std::unique_ptr<Process>> DecreeScenario::start(World& world, Machine& machine) {
  if (acceptors_.empty()) {
    for (uint32_t i = 0; i < world.nodes(); ++i) acceptors_.push_back(member_id(NodeIndex{i}));
    hosts_.resize(world.nodes());
  }
  const consensus::NodeId id = member_id(machine.node);
  paxos::DecreesOptions options;
  options.self = id;
  options.telling = seed_ % 2 == 0 ? paxos::Telling::kAcceptors : paxos::Telling::kDistinguished;
  Host& host = hosts_[at(machine.node)];
  own_.restarts += host.initialised;
  if (host.initialised) lose_log(world, machine);
  auto process = std::make_unique<DecreeProcess>(machine, world, check_, host.unnoticed);
  const Status opened = process->open(options, !host.initialised);
  if (!opened.ok()) {
    // A full disk, or an error of the disk, is for the next start, or the one after the disk was seen to: what it
    // promised is lost to nobody.
    const bool disk_failed = opened.message().find("I/O error") != std::string_view::npos;
    if (disk_failed && world.healing()) groups::see_to(world.disk(machine.node));
    if (!machine.power->crashed() && !disk_failed && opened.code() != Code::kResourceExhausted) {
      world.fail("a member does not start: " + opened.to_string());
    }
    return opened.error();
  }
  host.initialised = true;
  if (process->host().decrees().amnesiac()) {
    ++own_.holes;
    if (!world.atlas().damaged(machine.node)) {
      world.fail("a member abstains, and nothing was done to it: " + process->host().abstains());
    }
  }
  const Status recovered = check_.recovered(id, process->host().decrees());
  if (!recovered.ok()) world.fail(std::string(recovered.message()));
  return std::unique_ptr<Process>(std::move(process));
}

void DecreeScenario::stopped(World& world, NodeIndex node) {
  Host& host = hosts_[at(node)];
  host.saved.clear();
  if (!world.atlas().damaged(node)) return;
  for (const SimDisk::FileInfo& info : world.disk(node).files()) {
    host.saved[info.path] = world.disk(node).content(info.path).substr(0, info.written);
  }
}

// Of a disk that was wiped: its log is gone, or the first file of it, or what is in the files. Of one that was damaged
// where nobody could notice: it is gone.
void DecreeScenario::lose_log(World& world, Machine& machine) {
  Host& host = hosts_[at(machine.node)];
  SimDisk& disk = world.disk(machine.node);
  enum class Loss : uint8_t { kAll, kFirstFile, kBytes };
  auto loss = static_cast<Loss>(mix64(seed_, machine.life) % 3);
  if (std::exchange(host.unnoticed, false) && world.atlas().damaged(machine.node)) {
    disk.wipe();
    loss = Loss::kAll;
  }
  if (!disk.files().empty()) return;
  if (world.journal().on()) world.journal().say(machine.node, "has lost its log of decrees, and knows who it is");
  CHECK(disk.make_dirs(kLog).ok() && disk.make_dirs(kVoucher).ok());
  bool first = true, room = true;
  for (const auto& [path, content] : host.saved) {
    const bool of_log = path.starts_with(kLog + "/");
    if (of_log && (loss == Loss::kAll || (loss == Loss::kFirstFile && std::exchange(first, false)))) continue;
    auto file = disk.open(path, {.create = true, .writable = true});
    const std::string bytes = of_log && loss == Loss::kBytes ? std::string(content.size(), '\0') : content;
    room = room && file.ok() && (*file)->write_at(0, bytes).ok() && (*file)->sync().ok();
  }
  CHECK(disk.sync_dir(kLog).ok() && disk.sync_dir(kVoucher).ok());
  if (!room) disk.wipe();  // a full disk: the next start tries again
}

void DecreeScenario::propose(World& world, NodeIndex node, const std::string& decree, Generator& random) {
  // The order of the values says nothing about the order in which they are proposed.
  const std::string value = std::to_string(random.below(1'000)) + "/" + std::to_string(next_value_++);
  check_.wished(decree, value);
  DecreeProcess& process = process_of(world, node);
  process.machine().loop.post([this, &process, decree, value] {
    process.host().propose(decree, acceptors_, value, kPatienceNs, [this](const auto& answer) {
      (std::holds_alternative<paxos::Outcome>(answer) ? own_.answered : own_.unknown) += 1;
    });
  });
}

void DecreeScenario::operation(World& world, const Item& item) {
  if (world.healing()) return;
  Generator random(item.seed);
  const std::string decree = "decree-" + std::to_string(world.now_ns() / kNameLastsNs);
  if (names_.empty() || names_.back() != decree) names_.push_back(decree);
  const std::string name = names_[names_.size() - 1 - random.below(std::min(names_.size(), kNewestNames))];
  // Rivals, all at once.
  const uint64_t rivals = 1 + random.below(world.nodes());
  for (uint64_t i = 0; i < rivals; ++i) {
    const NodeIndex node{static_cast<uint32_t>((at(item.node) + i) % world.nodes())};
    if (world.up(node) && !world.paused(node)) {
      propose(world, node, name, random);
    } else {
      ++own_.failed;
    }
  }
}

void DecreeScenario::after_event(World& world, NodeIndex node) {
  if (node == kNoNode || !world.up(node)) return;
  const Status status = check_.after_event(member_id(node), process_of(world, node).host().decrees());
  if (!status.ok()) world.fail(std::string(status.message()));
}

bool DecreeScenario::progressed(World& world) {
  const bool ask = world.now_ns() >= asked_at_ns_ + kAskEveryNs;
  if (ask) asked_at_ns_ = world.now_ns();
  bool all = true;
  for (uint32_t i = 0; i < world.nodes(); ++i) {
    const NodeIndex node{i};
    if (!world.up(node)) {
      all = false;
      if (ask) world.start(node);
      continue;
    }
    for (const std::string& name : names_) {
      const auto view = process_of(world, node).host().decrees().find(name);
      if (view && view->chosen) continue;
      all = false;
      const bool busy = view && view->proposer != nullptr && !view->proposer->idle();
      if (ask && !busy) propose(world, node, name, world.random());
    }
  }
  return all;
}

void DecreeScenario::finish(World&) {
  own_.entries = check_.decided();
  own_.elections = check_.ballots();
  if (deeds_ != nullptr) deeds_->add(own_);
}

}  // namespace clew::sim::decrees
