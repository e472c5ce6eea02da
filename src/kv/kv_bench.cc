// What a command costs the state machine on one thread over the memory engine: decoding, checking, applying, digest,
// result. build/release/src/kv_bench ; arguments: keys, bytes of a value.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "kv/memory_engine.h"
#include "kv/state_machine.h"
#include "kv/watch.h"

namespace clew::kv {
namespace {

std::vector<std::string> put_commands(int64_t keys, int64_t value_bytes) {
  Generator random(1);
  std::vector<std::string> commands;
  for (int i = 0; i < 100'000; i++) {
    commands.push_back(
        encode(Request(PutRequest{.key = "key/" + std::to_string(random.below(static_cast<uint64_t>(keys))),
                                  .value = std::string(static_cast<size_t>(value_bytes), 'v')})));
  }
  return commands;
}

struct Bench {
  Bench() : state(std::move(KvStateMachine::open(engine, registry)).value()) {}
  void apply(const std::string& command) { benchmark::DoNotOptimize(state->apply({++position, 0}, command)); }

  MemoryEngine engine;
  CustomRegistry registry;
  std::unique_ptr<KvStateMachine> state;
  consensus::Position position = 0;
};

// With a compaction now and then, as in a running system, so that memory stays what it is.
void puts(benchmark::State& state) {
  const auto commands = put_commands(state.range(0), state.range(1));
  Bench bench;
  size_t at = 0;
  for (auto _ : state) {
    bench.apply(commands[at++ % commands.size()]);
    if (at % 200'000 == 0) bench.apply(encode(Request(CompactRequest{bench.state->store().revision() - 1'000})));
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["records"] = static_cast<double>(bench.state->store().records());
}
BENCHMARK(puts)->ArgNames({"keys", "bytes"})->Args({10'000, 256})->Args({100'000, 256})->Args({1'000'000, 256});

// As a checker does: the digest after every batch of 64.
void puts_with_digest(benchmark::State& state) {
  const auto commands = put_commands(state.range(0), 256);
  Bench bench;
  size_t at = 0;
  for (auto _ : state) {
    bench.apply(commands[at++ % commands.size()]);
    if (at % 64 == 0) benchmark::DoNotOptimize(bench.state->digest());
    if (at % 200'000 == 0) bench.apply(encode(Request(CompactRequest{bench.state->store().revision() - 1'000})));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(puts_with_digest)->ArgNames({"keys"})->Arg(100'000);

void puts_watched(benchmark::State& state) {
  const auto commands = put_commands(100'000, 256);
  Bench bench;
  WatchHub hub(bench.state->store(), {});
  bench.state->on_commit([&] { hub.on_commit(); });
  std::vector<StreamId> streams;
  for (int64_t i = 0; i < state.range(0); i++) {
    streams.push_back(hub.open({}));
    const std::string prefix = "key/" + std::to_string(i);
    hub.create(streams.back(), {.key = prefix, .range_end = prefix_end(prefix)});
  }
  size_t at = 0;
  WatchResponse response;
  for (auto _ : state) {
    bench.apply(commands[at++ % commands.size()]);
    if (at % 1'000 == 0) {
      for (StreamId stream : streams) {
        while (hub.next(stream, response)) benchmark::DoNotOptimize(response);
      }
    }
    if (at % 200'000 == 0) bench.apply(encode(Request(CompactRequest{bench.state->store().revision() - 1'000})));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(puts_watched)->ArgNames({"watchers"})->Arg(1)->Arg(10'000);

void gets(benchmark::State& state) {
  Bench bench;
  for (const std::string& command : put_commands(state.range(0), 256)) bench.apply(command);
  Generator random(2);
  std::vector<std::string> queries;
  for (int i = 0; i < 10'000; i++) {
    queries.push_back(encode(
        Request(RangeRequest{.key = "key/" + std::to_string(random.below(static_cast<uint64_t>(state.range(0))))})));
  }
  size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(bench.state->query(queries[at++ % queries.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(gets)->ArgNames({"keys"})->Arg(10'000)->Arg(100'000);

}  // namespace
}  // namespace clew::kv
