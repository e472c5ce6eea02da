// What receiving costs: CPU of the loop threads for one OTLP/HTTP request, from accept to reply, the node behind it
// doing nothing. Parameters: body bytes, connections. The clients' own CPU is not counted.
#include <benchmark/benchmark.h>

#include "api/http_server.h"
#include "api/otlp_http.h"
#include "api/test_support.h"

namespace clew::api {
namespace {

class NoopIngest final : public cluster::IngestService {
 public:
  void ingest(cluster::IngestRequest, UniqueFunction<void(cluster::IngestReply)> done) override { done({}); }
};

void BM_ReceiveOtlpHttp(benchmark::State& state) {
  const auto body_bytes = static_cast<size_t>(state.range(0));
  const auto connections = static_cast<size_t>(state.range(1));
  NoopIngest ingest;
  AdmissionGate gate(256ull << 20);
  const auto pool = BufferPool::create();
  OtlpReceiver receiver(ingest, gate, pool, {}, 1000);
  HttpEndpoint endpoint;
  endpoint.endpoint = "127.0.0.1:0";
  OtlpHttpService service(receiver, endpoint);
  test::Loops loops(2);
  HttpServer server("otlp/http", endpoint, service, loops.all(), pool);
  if (const Status status = server.start(); !status.ok()) {
    state.SkipWithError(std::string(status.message()).c_str());
    return;
  }
  const std::string request =
      test::post("/v1/traces", "Content-Type: application/x-protobuf\r\n", std::string(body_bytes, '\n'));
  std::vector<std::unique_ptr<test::Client>> clients;
  for (size_t i = 0; i < connections; ++i) clients.push_back(std::make_unique<test::Client>(server.port()));
  for (auto& client : clients) client->exchange(request);

  const double before = loops.cpu_seconds();
  uint64_t requests = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (auto& client : clients) client->send(request);
    for (auto& client : clients) {
      if (client->receive().status != 200) state.SkipWithError("not served");
    }
    requests += clients.size();
  }
  state.counters["server_cpu_us_per_request"] = (loops.cpu_seconds() - before) * 1e6 / static_cast<double>(requests);
  state.SetItemsProcessed(static_cast<int64_t>(requests));
  state.SetBytesProcessed(static_cast<int64_t>(requests * body_bytes));
}
// 8 spans and 256 spans of the load generator's size, and a large batch.
BENCHMARK(BM_ReceiveOtlpHttp)->Args({3'500, 4})->Args({110'000, 4})->Args({1'000'000, 2})->UseRealTime();

}  // namespace
}  // namespace clew::api
