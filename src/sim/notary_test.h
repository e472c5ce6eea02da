// For the tests of sim: a small system with promises that can be broken on purpose. Every node is a notary: a client
// hands it a number, it writes it to its disk and confirms. What was confirmed must be there for ever. Nodes greet each
// other, so that networks and clocks have work; progress is a confirmation of every node and a greeting over every
// link.
#pragma once

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/world.h"

namespace clew::sim {

enum class Flaw : uint8_t {
  kNone,
  kConfirmsBeforeSync,
  kRetriesTheSync,  // instead of halting: what the failed one dropped is confirmed
  kLooksOutside,    // of the seed
  kStopsForEver,    // after a pause: safe, and of no use
};

constexpr uint64_t kRecord = 512;  // its first 8 bytes are the number

class Notaries;

class Notary final : public Process {
 public:
  Notary(Notaries& owner, Machine& machine) : owner_(owner), machine_(machine) {}
  Status open();
  void write(uint64_t number);
  void on_message(NodeIndex from, std::string_view bytes) override;
  void on_connection(NodeIndex, bool) override;

 private:
  void greet();
  void wrote(uint64_t number, Status status);

  Notaries& owner_;
  Machine& machine_;
  std::unique_ptr<env::File> file_;
  uint64_t end_ = 0;
  uint64_t greetings_ = 0;
  int64_t greeted_at_ns_ = 0;
  bool silent_ = false;
  std::vector<std::unique_ptr<std::string>> buffers_;
};

class Notaries final : public Scenario {
 public:
  explicit Notaries(Flaw which = Flaw::kNone) : flaw(which) {}

  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) override {
    confirmed.resize(world.nodes());
    world_ = &world;
    auto notary = std::make_unique<Notary>(*this, machine);
    CLEW_TRY(notary->open());
    return std::unique_ptr<Process>(std::move(notary));
  }
  void operation(World& world, const Item& item) override {
    if (world.up(item.node) && !world.paused(item.node))
      notary(world, item.node).write(static_cast<uint64_t>(item.amount) + 1);
  }
  void after_event(World&, NodeIndex) override { ++events; }
  void healed(World& world) override {
    greeted.clear();
    wanted.clear();
    for (uint32_t i = 0; i < world.nodes(); ++i) {
      wanted.insert(1'000'000 + i);
      if (world.up(NodeIndex{i})) notary(world, NodeIndex{i}).write(1'000'000 + i);
    }
  }
  bool progressed(World& world) override {
    for (uint32_t i = 0; i < world.nodes(); ++i) {
      if (!confirmed[i].contains(1'000'000 + i)) return false;
    }
    return greeted.size() == world.nodes() * (world.nodes() - 1);
  }

  World& world() { return *world_; }
  Flaw flaw;
  std::vector<std::set<uint64_t>> confirmed;  // by node
  std::set<uint64_t> wanted;
  std::set<std::pair<uint32_t, uint32_t>> greeted;
  uint64_t events = 0, disconnects = 0, late_timers = 0;

 private:
  static Notary& notary(World& world, NodeIndex node) { return static_cast<Notary&>(*world.process(node)); }
  World* world_ = nullptr;
};

inline Status Notary::open() {
  const bool fresh = !machine_.disk.list("/data").ok();
  if (fresh) CLEW_TRY(machine_.disk.make_dirs("/data"));
  CLEW_ASSIGN(file_, machine_.disk.open("/data/book", {.create = true, .writable = true}));
  CLEW_TRY(machine_.disk.sync_dir("/data"));
  CLEW_ASSIGN(end_, file_->size());
  std::string bytes(end_, '\0');
  CLEW_ASSIGN(const size_t got, file_->read_at(0, bytes.data(), bytes.size()));
  std::set<uint64_t> found;
  for (size_t at = 0; at + kRecord <= got; at += kRecord) {
    uint64_t number;
    std::memcpy(&number, bytes.data() + at, 8);
    found.insert(number);
  }
  for (const uint64_t number : owner_.confirmed[at(machine_.node)]) {
    if (!found.contains(number)) owner_.world().fail("number " + std::to_string(number) + " was confirmed and is lost");
  }
  greeted_at_ns_ = machine_.loop.clock().mono_ns();
  greet();
  return {};
}

inline void Notary::write(uint64_t number) {
  auto& bytes = *buffers_.emplace_back(std::make_unique<std::string>(kRecord, '\0'));
  std::memcpy(bytes.data(), &number, 8);
  const uint64_t place = end_;
  end_ += kRecord;
  if (owner_.flaw == Flaw::kConfirmsBeforeSync) owner_.confirmed[at(machine_.node)].insert(number);
  file_->submit_write(machine_.loop, place, bytes, true,
                      [this, number](Status status) { wrote(number, std::move(status)); });
}

inline void Notary::wrote(uint64_t number, Status status) {
  if (!status.ok() && owner_.flaw == Flaw::kRetriesTheSync) status = file_->sync();
  if (!status.ok()) {
    machine_.halt(std::move(status));
    return;
  }
  owner_.confirmed[at(machine_.node)].insert(number);
  if (machine_.journal.on()) machine_.journal.say(machine_.node, "confirms " + std::to_string(number));
}

inline void Notary::greet() {
  constexpr int64_t kEvery = 50'000'000;
  const int64_t now = machine_.loop.clock().mono_ns();
  if (now - greeted_at_ns_ > 2 * kEvery) {
    ++owner_.late_timers;
    if (owner_.flaw == Flaw::kStopsForEver) silent_ = true;
  }
  greeted_at_ns_ = now;
  ++greetings_;
  static uint64_t everywhere = 0;  // what no seed decides
  const uint64_t greeting = owner_.flaw == Flaw::kLooksOutside ? ++everywhere : greetings_;
  for (uint32_t i = 0; i < owner_.world().nodes() && !silent_; ++i) {
    if (NodeIndex{i} != machine_.node) machine_.send(NodeIndex{i}, "hello " + std::to_string(greeting));
  }
  machine_.loop.after(kEvery, [this] { greet(); });
}

inline void Notary::on_message(NodeIndex from, std::string_view bytes) {
  if (bytes.starts_with("hello ")) owner_.greeted.insert({at(from), at(machine_.node)});
}

inline void Notary::on_connection(NodeIndex, bool up) { owner_.disconnects += !up; }

}  // namespace clew::sim
