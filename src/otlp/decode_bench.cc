// Envelope and decode over request bodies like those of a busy shop's services: 256 spans of about 430 bytes with ten
// attributes each; eight bodies in turn, so that they come from the cache, as those just received do. Prints ns a span,
// and bytes of row and dictionary a span.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "model/dictionary.h"
#include "model/row.h"
#include "otlp/decode.h"
#include "otlp/envelope.h"

namespace clew::otlp {
namespace {

class Message {
 public:
  Message& varint(int field, uint64_t v) {
    append_varint(bytes_, static_cast<uint64_t>(field) << 3);
    append_varint(bytes_, v);
    return *this;
  }
  Message& fixed64(int field, uint64_t v) {
    append_varint(bytes_, static_cast<uint64_t>(field) << 3 | 1);
    append_fixed(bytes_, v);
    return *this;
  }
  Message& text(int field, std::string_view v) {
    append_varint(bytes_, static_cast<uint64_t>(field) << 3 | 2);
    append_bytes(bytes_, v);
    return *this;
  }
  Message& message(int field, const Message& m) { return text(field, m.bytes_); }
  Message& attribute(int field, std::string_view key, std::string_view value) {
    return message(field, Message().text(1, key).message(2, Message().text(1, value)));
  }
  Message& attribute(int field, std::string_view key, uint64_t value) {
    return message(field, Message().text(1, key).message(2, Message().varint(3, value)));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Shop {
 public:
  explicit Shop(uint64_t seed) : random_(seed) {}

  std::string body(size_t spans) {
    std::vector<Message> by_service(std::size(kServices));
    for (size_t i = 0; i < spans;) {
      std::string trace = words(2);
      std::string parent;
      for (size_t n = 5 + random_.below(7); n > 0 && i < spans; --n, ++i) {
        const size_t service = random_.below(std::size(kServices));
        by_service[service].message(2, span(trace, parent, service));
      }
    }
    Message request;
    for (size_t s = 0; s < by_service.size(); ++s) {
      Message resource;
      resource.attribute(1, "service.name", kServices[s]).attribute(1, "service.version", "2.1." + std::to_string(s));
      resource.attribute(1, "host.name", "node-" + std::to_string(s % 6))
          .attribute(1, "deployment.environment", "prod");
      resource.attribute(1, "k8s.pod.name", std::string(kServices[s]) + "-5f4b-1")
          .attribute(1, "telemetry.sdk.language", "java");
      Message scope;
      scope.message(1, Message().text(1, "auto.instrumentation").text(2, "2.4.0"));
      request.message(1, Message().message(1, resource).text(2, scope.bytes() + by_service[s].bytes()));
    }
    return request.bytes();
  }

 private:
  static constexpr const char* kServices[] = {"web",  "basket", "billing", "search",  "stock",
                                              "mail", "users",  "ledger",  "reviews", "images"};
  static constexpr const char* kThings[] = {"orders", "baskets", "invoices", "products", "parcels",
                                            "prices", "reviews", "users",    "sessions", "stocks"};
  static constexpr const char* kMethods[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};

  std::string words(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) append_fixed(out, random_.next() | 1);
    return out;
  }
  std::string digits(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out.push_back(static_cast<char>('0' + random_.below(10)));
    return out;
  }

  Message span(const std::string& trace, std::string& parent, size_t service) {
    const std::string id = words(1), thing = kThings[random_.below(10)], method = kMethods[random_.below(6)];
    const uint64_t kind = parent.empty() ? 0 : random_.below(4);
    const uint64_t status = random_.one_in(40) ? 500 : 200;
    const std::string peer = std::string(kServices[random_.below(10)]) + ".prod.svc.cluster.local";
    Message out;
    out.text(1, trace).text(2, id);
    if (!parent.empty()) out.text(4, parent);
    if (parent.empty() || random_.one_in(3)) parent = id;
    const std::string route = "/api/v" + std::to_string(1 + random_.below(2)) + "/" + thing + "/{id}";
    out.text(5, kind == 0   ? method + " " + route
                : kind == 1 ? "HTTP " + method
                : kind == 2 ? "SELECT " + thing
                            : "handle_" + thing);
    out.varint(6, kind == 0 ? 2 : kind == 3 ? 1 : 3);
    now_ += random_.below(1000000);
    const uint64_t duration = 200000 + random_.below(20000000);
    out.fixed64(7, now_).fixed64(8, now_ + duration);
    switch (kind) {
      case 0:
        out.attribute(9, "http.method", method)
            .attribute(9, "http.route", route)
            .attribute(9, "http.status_code", status);
        out.attribute(9, "http.target", "/api/v1/" + thing + "/" + digits(8)).attribute(9, "net.peer.name", peer);
        out.attribute(9, "net.peer.port", 30000 + random_.below(20000));
        out.attribute(9, "http.user_agent",
                      random_.one_in(2) ? "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox" : "okhttp/4.12.0");
        out.attribute(9, "http.flavor", "1.1")
            .attribute(9, "user.id", "user-" + digits(4))
            .attribute(9, "thread.id", random_.below(64));
        break;
      case 1:
        out.attribute(9, "http.method", method)
            .attribute(9, "http.url", "http://" + peer + "/api/v1/" + thing + "/" + digits(8));
        out.attribute(9, "http.status_code", status)
            .attribute(9, "net.peer.name", peer)
            .attribute(9, "net.peer.port", 8080);
        out.attribute(9, "http.flavor", "1.1").attribute(9, "http.response_content_length", random_.below(65536));
        out.attribute(9, "peer.service", kServices[random_.below(10)]);
        out.attribute(9, "thread.name", "grpc-worker-" + std::to_string(random_.below(32)))
            .attribute(9, "thread.id", random_.below(64));
        break;
      case 2:
        out.attribute(9, "db.system", random_.one_in(3) ? "redis" : "postgresql")
            .attribute(9, "db.name", thing + "_db");
        out.attribute(9, "db.statement",
                      "SELECT id, label, state, changed FROM " + thing +
                          " WHERE tenant = $1 AND id = $2 ORDER BY changed LIMIT " +
                          std::to_string(10 * (1 + random_.below(10))));
        out.attribute(9, "db.operation", "SELECT")
            .attribute(9, "db.user", "app_rw")
            .attribute(9, "db.sql.table", thing);
        out.attribute(9, "net.peer.name", "pg-" + std::to_string(random_.below(8)) + ".prod.internal")
            .attribute(9, "net.peer.port", 5432);
        out.attribute(9, "db.rows", random_.below(100)).attribute(9, "thread.id", random_.below(64));
        break;
      default:
        out.attribute(9, "code.function", "handle_" + thing)
            .attribute(9, "code.namespace", std::string("com.example.") + kServices[service]);
        out.attribute(9, "thread.name", "worker-" + std::to_string(random_.below(32)))
            .attribute(9, "thread.id", random_.below(64));
        out.attribute(9, "app.feature", "feature-" + std::to_string(random_.below(20)))
            .attribute(9, "app.tenant", "tenant-" + digits(3));
        out.attribute(9, "app.items", random_.below(50)).attribute(9, "app.cache", random_.one_in(2) ? "hit" : "miss");
        out.attribute(9, "app.region", random_.one_in(2) ? "eu-west-1" : "us-east-1")
            .attribute(9, "app.retry", random_.below(3));
    }
    if (random_.one_in(4)) {
      Message event;
      event.fixed64(1, now_ + duration / 2).text(2, "message").attribute(3, "message.id", random_.below(1000));
      event.attribute(3, "message.type", random_.one_in(2) ? "SENT" : "RECEIVED");
      out.message(11, event);
    }
    Message state;
    if (status >= 500) state.text(2, "upstream error").varint(3, 2);
    out.message(15, state);
    return out;
  }

  Generator random_;
  uint64_t now_ = 1700000000000000000;
};

void BM_EnvelopeAndDecode(benchmark::State& state) {
  Shop shop(1);
  std::vector<std::string> bodies;
  for (int i = 0; i < 8; ++i) bodies.push_back(shop.body(static_cast<size_t>(state.range(0))));
  const Limits limits;
  model::Dictionary dictionary(7);
  SpanDecoder decoder(limits);
  decoder.use_dictionary(dictionary);
  Envelope envelope;
  std::string rows;
  std::vector<uint32_t> resources, scopes;
  uint64_t spans = 0, row_bytes = 0, body_bytes = 0;
  size_t next = 0;
  for ([[maybe_unused]] auto _ : state) {
    const std::string& body = bodies[next++ % bodies.size()];
    if (!open_envelope(body, limits, envelope).ok()) state.SkipWithError("the body does not parse");
    resources.clear();
    for (std::string_view bytes : envelope.resources) resources.push_back(decoder.resource_code(bytes));
    scopes.clear();
    for (const EnvelopeScope& scope : envelope.scopes) scopes.push_back(decoder.scope_code(scope.bytes));
    rows.clear();
    for (const EnvelopeSpan& span : envelope.spans) {
      const Reject reject =
          decoder.decode(span.bytes, resources[envelope.scopes[span.scope].resource], scopes[span.scope], rows);
      if (reject != Reject::kNone) state.SkipWithError("a span was rejected");
    }
    benchmark::DoNotOptimize(rows.data());
    spans += envelope.spans.size();
    row_bytes += rows.size();
    body_bytes += body.size();
  }
  std::string additions;
  dictionary.write_additions(0, additions);
  const auto per_span = static_cast<double>(spans);
  state.SetItemsProcessed(static_cast<int64_t>(spans));
  state.counters["ns_per_span"] =
      benchmark::Counter(per_span * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["row_bytes"] = static_cast<double>(row_bytes) / per_span;
  state.counters["body_bytes"] = static_cast<double>(body_bytes) / per_span;
  state.counters["dictionary_bytes"] = static_cast<double>(additions.size());
}
BENCHMARK(BM_EnvelopeAndDecode)->Arg(256)->Arg(8);

void BM_EnvelopeOnly(benchmark::State& state) {
  const std::string body = Shop(1).body(256);
  Envelope envelope;
  for ([[maybe_unused]] auto _ : state) {
    if (!open_envelope(body, Limits(), envelope).ok()) state.SkipWithError("the body does not parse");
  }
  state.counters["ns_per_span"] = benchmark::Counter(256e-9 * static_cast<double>(state.iterations()),
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_EnvelopeOnly);

void BM_RowHash(benchmark::State& state) {
  const std::string body = Shop(1).body(4096);
  model::Dictionary dictionary(7);
  SpanDecoder decoder({});
  decoder.use_dictionary(dictionary);
  Envelope envelope;
  if (!open_envelope(body, Limits(), envelope).ok()) state.SkipWithError("the body does not parse");
  std::vector<std::string> rows;
  for (const EnvelopeSpan& span : envelope.spans) {
    rows.emplace_back();
    decoder.decode(span.bytes, decoder.resource_code({}), decoder.scope_code({}), rows.back());
  }
  size_t next = 0;
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(model::row_hash(dictionary, rows[next++ % rows.size()]));
}
BENCHMARK(BM_RowHash);

}  // namespace
}  // namespace clew::otlp
