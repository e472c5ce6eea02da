// Sealing, reading by id and searching, on spans shaped like those of a web shop: four kinds of span, ten attributes
// each, numbers in some of their values. BM_Seal prints the bytes of each part of the format, per span.
#include <benchmark/benchmark.h>

#include <cstdio>

#include "store/embedded_store.h"
#include "store/memory_disk.h"
#include "store/test_rows.h"

namespace clew::store {
namespace {

struct ShopTrace {
  SealTrace seal;
  std::vector<std::string> rows;
  std::vector<SealSpan> spans;
};

class Shop {
 public:
  // `by_text`: no templates, what is not known stands in the row.
  explicit Shop(size_t spans, uint64_t seed, bool by_text = false) : random_(seed), dictionary_(1), by_text_(by_text) {
    size_t made = 0;
    uint64_t batch = seed << 32;
    while (made < spans) {
      auto& trace = traces_.emplace_back(std::make_unique<ShopTrace>());
      const size_t n = 5 + random_.below(7);
      fill(*trace, n, ++batch / 32);
      made += n;
    }
    std::sort(traces_.begin(), traces_.end(), [](const auto& a, const auto& b) { return a->seal.key < b->seal.key; });
    for (auto& trace : traces_) sealed_.push_back(trace->seal);
    spans_ = made;
  }
  std::span<const SealTrace> traces() const { return sealed_; }
  size_t spans() const { return spans_; }

 private:
  // Values that repeat have a code, those that do not (`keep` false) become templates, as the decoder makes them.
  void text(TestAttributes& to, const char* key, const std::string& value, bool keep = true) {
    if (keep) dictionary_.intern(model::EntryKind::kString, value);
    to.emplace_back(key, value);
  }
  std::string digits(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out.push_back(static_cast<char>('0' + random_.below(10)));
    return out;
  }
  void number(TestAttributes& to, const char* key, uint64_t value) {
    to.emplace_back(key, static_cast<int64_t>(value));
  }

  void fill(ShopTrace& trace, size_t n, uint64_t batch) {
    static const char* const kServices[] = {"frontend", "checkout", "cart",           "payment",   "catalog",
                                            "shipping", "currency", "recommendation", "inventory", "accounts"};
    static const char* const kThings[] = {"orders", "carts", "payments", "products", "shipments",
                                          "rates",  "stock", "users",    "sessions", "quotes"};
    static const char* const kMethods[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
    model::TraceSummary& summary = trace.seal.summary;
    trace.seal.key = model::trace_key({1}, {random_.next(), random_.next()});
    summary.start_ns = 1'760'000'000'000'000'000 + static_cast<int64_t>(batch * 2'560'000 + random_.below(1u << 30));
    std::vector<uint64_t> ids;
    std::vector<int64_t> starts;
    for (size_t i = 0; i < n; ++i) {
      TestRow row;
      row.span_id = random_.next() | 1;
      int32_t parent = i == 0 ? -1 : static_cast<int32_t>(random_.below(i));
      if (parent >= 0) row.parent_id = ids[static_cast<size_t>(parent)];
      row.start_ns = i == 0 ? summary.start_ns
                            : starts[static_cast<size_t>(parent)] + static_cast<int64_t>(random_.below(1u << 20));
      uint64_t us = 200 + random_.below(2000);
      if (random_.one_in(4)) us *= 10;
      if (random_.one_in(50)) us *= 10;
      if (random_.one_in(400)) us *= 10;
      row.duration_ns = static_cast<int64_t>(us * 500 + random_.below(us * 1000));
      ids.push_back(row.span_id);
      starts.push_back(row.start_ns);
      const std::string service = kServices[random_.below(10)], thing = kThings[random_.below(10)];
      const std::string method = kMethods[random_.below(6)];
      row.resource = {{"service.name", service},
                      {"k8s.pod.name", service + "-7d9f-" + std::to_string(random_.below(4))},
                      {"host.name", "node-" + std::to_string(random_.below(6))}};
      row.scope_name = "io.opentelemetry.auto";
      TestAttributes& a = row.attributes;
      const uint64_t kind = i == 0 ? 0 : random_.below(10);
      const uint64_t status = random_.one_in(50) ? 500 : 200;
      if (kind < 3) {
        row.kind = 2;
        row.name = method + " /api/v1/" + thing + "/{id}";
        text(a, "http.method", method);
        text(a, "http.route", "/api/v1/" + thing + "/{id}");
        number(a, "http.status_code", status);
        text(a, "http.target", "/api/v1/" + thing + "/" + digits(8), false);
        text(a, "net.peer.name", service + ".prod.svc.cluster.local");
        number(a, "net.peer.port", 30000 + random_.below(20000));
        text(a, "http.flavor", "1.1");
        text(a, "user.id", "user-" + digits(6), false);
        number(a, "thread.id", random_.below(64));
      } else if (kind < 5) {
        row.kind = 3;
        row.name = "HTTP " + method;
        text(a, "http.method", method);
        text(a, "http.url", "http://" + service + ".prod.svc/api/v1/" + thing + "/" + digits(8), false);
        number(a, "http.status_code", status);
        text(a, "peer.service", service);
        number(a, "http.response_content_length", random_.below(65536));
        number(a, "thread.id", random_.below(64));
      } else if (kind < 8) {
        row.kind = 3;
        row.name = "SELECT " + thing;
        text(a, "db.system", "postgresql");
        text(a, "db.statement", "SELECT id FROM " + thing + " LIMIT " + std::to_string(random_.below(10)));
        text(a, "db.user", "app_rw");
        number(a, "db.rows", random_.below(100));
        number(a, "thread.id", random_.below(64));
      } else {
        row.name = "process_" + thing;
        text(a, "code.function", "handle" + thing);
        text(a, "app.tenant", "tenant-" + digits(3), false);
        number(a, "app.items", random_.below(50));
        number(a, "thread.id", random_.below(64));
      }
      if (random_.one_in(4)) row.events.push_back("message");
      row.by_text = by_text_;
      row.status = status == 500 ? 2 : 0;
      trace.rows.push_back(encode_row(dictionary_, row));
      SealSpan span;
      span.dictionary = &dictionary_;
      span.stamp = {(1'760'000'000'000ull + batch) << 16, 1, batch};
      span.parent = parent;
      trace.spans.push_back(span);
    }
    for (size_t i = 0; i < n; ++i) trace.spans[i].row = trace.rows[i];
    trace.seal.spans = trace.spans;
    summary.root = {ids[0]};
    summary.root_name = "GET";
    summary.root_service = "frontend";
    summary.end_ns = summary.start_ns + 50'000'000;
    summary.span_count = static_cast<uint32_t>(n);
    summary.state = model::TraceState::kComplete;
    summary.verdict_version = 1;
    summary.digest = {random_.next(), random_.next()};
    summary.first_arrival_hlc = summary.last_arrival_hlc = trace.spans[0].stamp.hlc;
    model::Verdict verdict;
    verdict.state = summary.state;
    verdict.version = 1;
    verdict.decided_ns = summary.start_ns + 5'000'000'000 + static_cast<int64_t>(random_.below(1'000'000'000));
    verdict.span_count = summary.span_count;
    trace.seal.verdicts.push_back(verdict);
  }

  Generator random_;
  model::Dictionary dictionary_;
  const bool by_text_;
  std::vector<std::unique_ptr<ShopTrace>> traces_;
  std::vector<SealTrace> sealed_;
  size_t spans_ = 0;
};

void BM_Seal(benchmark::State& state) {
  const Shop shop(static_cast<size_t>(state.range(0)), 1);
  uint64_t bytes = 0;
  std::vector<SegmentWriter::Part> parts;
  for ([[maybe_unused]] auto _ : state) {
    SegmentWriter writer(1, [](std::string_view) { return Status(); });
    for (const SealTrace& trace : shop.traces()) {
      if (!writer.add(trace).ok()) state.SkipWithError("add");
    }
    if (!writer.finish().ok()) state.SkipWithError("finish");
    bytes = writer.bytes();
    parts = writer.parts();
  }
  const auto spans = static_cast<double>(shop.spans());
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(shop.spans()));
  state.counters["B/span"] = static_cast<double>(bytes) / spans;
  for (const auto& part : parts) {
    std::printf("  %-22s %6.2f B/span\n", part.name.c_str(), static_cast<double>(part.bytes) / spans);
  }
}
BENCHMARK(BM_Seal)->Arg(1 << 12)->Arg(1 << 18)->Unit(benchmark::kMillisecond);

// A store of 24 segments.
struct Stored {
  explicit Stored(bool by_text) {
    EmbeddedOptions options;
    options.directory = "/bench";
    options.cache_bytes = 512u << 20;
    store = std::move(*EmbeddedStore::open(disk, options, nullptr));
    for (uint64_t seed = 1; seed <= 24; ++seed) {
      const Shop shop(1 << 16, seed, by_text);
      for (const SealTrace& trace : shop.traces()) {
        if (keys.size() < seed * 1000) keys.push_back(trace.key);
      }
      store->publish(std::move(*store->prepare(shop.traces())));
    }
  }
  MemoryDisk disk;
  std::vector<model::TraceKey> keys;
  std::unique_ptr<EmbeddedStore> store;
};
Stored& stored(bool by_text) {
  static Stored templates(false);
  if (!by_text) return templates;
  static Stored texts(true);
  return texts;
}

void BM_ById(benchmark::State& state) {
  Stored& s = stored(false);
  const auto view = s.store->view();
  size_t i = 0;
  for ([[maybe_unused]] auto _ : state) {
    model::TraceData data;
    if (!view->read(s.keys[++i % s.keys.size()], data).ok() || data.spans.empty()) state.SkipWithError("read");
  }
}
BENCHMARK(BM_ById)->Unit(benchmark::kMicrosecond);

Expr leaf(Field field, const char* key, Op op, const char* text, int64_t integer = 0) {
  Expr e;
  e.field = field;
  e.key = key;
  e.op = op;
  e.literal.type = text != nullptr ? Literal::Type::kString : Literal::Type::kInt;
  if (text != nullptr) e.literal.text = text;
  e.literal.integer = integer;
  return e;
}

void BM_Search(benchmark::State& state) {
  Stored& s = stored(state.range(1) != 0);
  const auto view = s.store->view();
  TraceQuery query;
  query.tenant = {1};
  switch (state.range(0)) {
    case 0:
      state.SetLabel("service and operation");
      query.where.kind = Expr::Kind::kAnd;
      query.where.children = {leaf(Field::kService, "", Op::kEq, "cart"),
                              leaf(Field::kName, "", Op::kEq, "PUT /api/v1/stock/{id}")};
      break;
    case 1:
      state.SetLabel("rare attribute");
      query.where = leaf(Field::kAttribute, "http.target", Op::kEq, "/api/v1/orders/12345678");
      break;
    case 5:
      state.SetLabel("rare user");
      query.where = leaf(Field::kAttribute, "user.id", Op::kEq, "user-123456");
      break;
    case 6:
      state.SetLabel("http.method=GET");
      query.where = leaf(Field::kAttribute, "http.method", Op::kEq, "GET");
      break;
    case 2:
      state.SetLabel("common attribute");
      query.where = leaf(Field::kAttribute, "http.status_code", Op::kEq, nullptr, 500);
      break;
    case 3:
      state.SetLabel("min duration");
      query.where = leaf(Field::kDuration, "", Op::kGe, nullptr, 1'000'000'000);
      break;
    default:
      state.SetLabel("everything");
  }
  size_t hits = 0;
  for ([[maybe_unused]] auto _ : state) {
    std::vector<TraceHit> out;
    if (!view->search(query, out).ok()) state.SkipWithError("search");
    hits = out.size();
  }
  state.counters["hits"] = static_cast<double>(hits);
}
BENCHMARK(BM_Search)->ArgsProduct({{0, 1, 2, 3, 4, 5, 6}, {0, 1}})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace clew::store
