// What the simulator itself costs: five machines whose processes do next to nothing but exchange messages, restart
// timers and write. A protocol's own work comes on top.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "sim/hunt.h"

namespace clew::sim {
namespace {

struct Idle final : Process {
  Idle(Machine& m, size_t nodes) : machine(m), count(nodes), buffer(4096, 'x') {
    (void)machine.disk.make_dirs("/d");
    auto opened = machine.disk.open("/d/f", {.create = true, .writable = true});
    file = std::move(*opened);
    beat();
    expect();
  }
  void beat() {  // to everybody, 20 times a second, and a write
    for (uint32_t i = 0; i < count; ++i) {
      if (NodeIndex{i} != machine.node) machine.send(NodeIndex{i}, std::string(100, 'm'));
    }
    file->submit_write(machine.loop, 0, buffer, true, [](Status) {});
    machine.loop.after(50'000'000, [this] { beat(); });
  }
  void expect() {
    timer = machine.loop.after(200'000'000, [this] { expect(); });
  }
  void on_message(NodeIndex from, std::string_view bytes) override {
    machine.loop.cancel(timer);
    expect();
    if (bytes.size() == 100) machine.send(from, "ok");
  }
  Machine& machine;
  size_t count;
  std::string buffer;
  std::unique_ptr<env::File> file;
  env::TimerId timer = 0;
};

struct IdleScenario final : Scenario {
  Result<std::unique_ptr<Process>> start(World& world, Machine& machine) override {
    return std::unique_ptr<Process>(new Idle(machine, world.nodes()));
  }
  void operation(World&, const Item&) override {}
  void after_event(World&, NodeIndex) override {}
  bool progressed(World&) override { return true; }
};

void BM_WorldOfFiveNodes(benchmark::State& state) {
  PlanOptions options;
  options.intensity = state.range(0) != 0 ? 1.0 : 0.0;
  options.duration_ns = 10'000'000'000;
  uint64_t seed = 0, events = 0;
  int64_t virtual_ns = 0;
  for (auto _ : state) {
    const RunResult result =
        run_plan(draw_plan(seed++, options), [](uint64_t) { return std::make_unique<IdleScenario>(); });
    events += result.events;
    virtual_ns += result.virtual_ns;
  }
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
  state.counters["virtual_s/s"] =
      benchmark::Counter(static_cast<double>(virtual_ns) / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_WorldOfFiveNodes)->ArgName("faults")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_Timer(benchmark::State& state) {
  Scheduler scheduler;
  SimLoop loop(scheduler);
  for (int i = 0; i < state.range(0); ++i) loop.after(1'000'000'000'000 + i, [] {});
  for (auto _ : state) {
    loop.after(1, [] {});
    scheduler.run_one();
  }
}
BENCHMARK(BM_Timer)->Arg(10)->Arg(1000);

void BM_DiskWriteAndSync(benchmark::State& state) {
  SimDisk disk;
  (void)disk.make_dirs("/d");
  auto file = std::move(disk.open("/d/f", {.create = true, .writable = true})).value();
  const std::string bytes(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    (void)file->write_at(0, bytes);
    (void)file->sync();
  }
}
BENCHMARK(BM_DiskWriteAndSync)->Arg(4096)->Arg(65536);

}  // namespace
}  // namespace clew::sim
