// What a verdict and an open trace cost: nanoseconds per span.
#include <benchmark/benchmark.h>

#include <string_view>
#include <vector>

#include "base/random.h"
#include "trace/assess.h"
#include "trace/client_server.h"
#include "trace/lifecycle.h"

namespace clew::trace {
namespace {

std::vector<SpanFacts> tree(uint64_t n, Generator& random) {
  std::vector<SpanFacts> spans(n);
  for (uint64_t i = 0; i < n; ++i) {
    SpanFacts& span = spans[i];
    span.id = {random.next() | 1};
    if (i > 0) span.parent = spans[(i - 1) / 2].id;
    span.start_ns = 1'700'000'000'000'000'000 + static_cast<int64_t>(i) * 100;
    span.end_ns = 1'700'000'000'000'000'000 + 10'000'000 - static_cast<int64_t>(i) * 100;
    span.kind = i % 2 == 0 ? 2 : 3;
    span.host = span.service = static_cast<uint32_t>(i % 4);
  }
  return spans;
}

void BM_assess(benchmark::State& state) {
  Generator random(1);
  const auto n = static_cast<uint64_t>(state.range(0));
  std::vector<std::vector<SpanFacts>> traces;
  for (uint64_t i = 0; i < 1 + 4096 / n; ++i) traces.push_back(tree(n, random));
  const std::vector<std::string_view> names(n, "GET /cart");
  const std::string_view hosts[] = {"a", "b", "c", "d"};
  DecayedPeerHistory history;
  Assessor assessor({.hash_seed = 99});
  Assessment out;
  size_t at = 0;
  for ([[maybe_unused]] auto _ : state) {
    assessor.assess(traces[at], {hosts, hosts},
                    state.range(1) != 0 ? std::span(names) : std::span<const std::string_view>(), &history, out);
    at = at + 1 == traces.size() ? 0 : at + 1;
    benchmark::DoNotOptimize(out.verdict.state);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_assess)->ArgNames({"spans", "clients"})->Args({8, 0})->Args({8, 1})->Args({100, 0})->Args({100'000, 0});

void BM_touch(benchmark::State& state) {
  const auto open_traces = static_cast<uint64_t>(state.range(0));
  const bool prefetch = state.range(1) != 0;
  OpenTraces open({}, 42);
  const auto id = [](uint64_t n) { return model::TraceId{mix64(n, 1), mix64(n, 2)}; };
  bool created;
  for (uint64_t i = 0; i < open_traces; ++i) open.touch({1}, id(i), 0, created);
  Generator random(3);
  std::vector<model::TraceId> request(256);
  int64_t now = 1;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    for (model::TraceId& trace : request) trace = id(random.below(open_traces));
    ++now;
    state.ResumeTiming();
    if (prefetch) {
      for (const model::TraceId trace : request) open.prefetch({1}, trace);
    }
    for (const model::TraceId trace : request) benchmark::DoNotOptimize(&open.touch({1}, trace, now, created));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(request.size()));
}
BENCHMARK(BM_touch)->ArgNames({"open", "prefetch"})->Args({10'000, 0})->Args({1'000'000, 0})->Args({1'000'000, 1});

}  // namespace
}  // namespace clew::trace
