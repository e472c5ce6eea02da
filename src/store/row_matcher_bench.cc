// What a search pays per open row, on rows as web shops send them: 12 attributes, 40 names, 12 services.
#include <benchmark/benchmark.h>

#include "store/chunk_index.h"
#include "store/test_rows.h"

namespace clew::store {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int kRows = 6000;

std::shared_ptr<RowChunk> shop_chunk() {
  auto dictionary = std::make_shared<model::Dictionary>(kSeed);
  auto chunk = std::make_shared<RowChunk>(1, 1, dictionary, 4 << 20);
  Generator random(kSeed);
  for (int i = 0; i < kRows; ++i) {
    TestRow row;
    const std::string service = "service-" + std::to_string(random.below(12));
    row.span_id = random.next() | 1;
    row.kind = static_cast<uint8_t>(1 + random.below(5));
    row.duration_ns = static_cast<int64_t>(random.below(1'000'000'000));
    row.name = "operation number " + std::to_string(random.below(40));
    row.resource = {{"service.name", service}, {"host.name", "host-" + std::to_string(random.below(4))}};
    row.attributes = {{"http.method", std::string(random.one_in(4) ? "POST" : "GET")},
                      {"http.target", "/api/v1/orders/" + std::to_string(10'000'000 + random.below(80'000'000))},
                      {"http.status_code", int64_t{random.one_in(20) ? 500 : 200}},
                      {"net.peer.name", std::string("shop.example")},
                      {"net.peer.port", int64_t{8080}},
                      {"user.id", "user-" + std::to_string(random.below(100'000))},
                      {"thread.id", static_cast<int64_t>(random.below(64))},
                      {"thread.name", "worker-" + std::to_string(random.below(64))},
                      {"cache.hit", random.one_in(2)},
                      {"price", static_cast<double>(random.below(10'000)) / 100},
                      {"currency", std::string("EUR")},
                      {"tier", "tier-" + std::to_string(random.below(5))}};
    chunk->append({1}, {1, random.next()}, {}, 0, encode_row(*dictionary, row));
  }
  chunk->close();
  return chunk;
}

Expr text_leaf(Field field, std::string key, std::string value) {
  Expr expr;
  expr.field = field;
  expr.key = std::move(key);
  expr.literal.type = Literal::Type::kString;
  expr.literal.text = std::move(value);
  return expr;
}

void scan(benchmark::State& state, const Expr& expr) {
  const auto chunk = shop_chunk();
  RowMatcher matcher(*Matcher::compile(expr));
  uint64_t hits = 0;
  for ([[maybe_unused]] auto _ : state) {
    matcher.use_dictionary(chunk->shared_dictionary());
    model::RowHead head;
    chunk->scan(
        [&](const RowRecord& record) { return hits += matcher.match(record.row(), head) != RowMatch::kNo, true; });
  }
  benchmark::DoNotOptimize(hits);
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BM_ServiceAndName(benchmark::State& state) {
  Expr expr;
  expr.kind = Expr::Kind::kAnd;
  expr.children = {text_leaf(Field::kService, "", "service-3"), text_leaf(Field::kName, "", "operation number 7")};
  scan(state, expr);
}
void BM_CommonAttribute(benchmark::State& state) { scan(state, text_leaf(Field::kAny, "http.method", "POST")); }
void BM_LastAttribute(benchmark::State& state) { scan(state, text_leaf(Field::kAny, "tier", "tier-1")); }
void BM_TemplatedAttribute(benchmark::State& state) { scan(state, text_leaf(Field::kAny, "user.id", "user-77")); }
void BM_AbsentKey(benchmark::State& state) { scan(state, text_leaf(Field::kAny, "no.such.key", "x")); }
BENCHMARK(BM_ServiceAndName);
BENCHMARK(BM_CommonAttribute);
BENCHMARK(BM_LastAttribute);
BENCHMARK(BM_TemplatedAttribute);
BENCHMARK(BM_AbsentKey);

void BM_BuildIndex(benchmark::State& state) {
  const auto chunk = shop_chunk();
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(ChunkIndex::build(*chunk));
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(BM_BuildIndex);

}  // namespace
}  // namespace clew::store
