#include "app/workload.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "base/hash.h"
#include "base/hex.h"
#include "base/random.h"
#include "base/varint.h"

namespace clew::app {
namespace {

// A place in a body that changes from request to request.
struct Mark {
  enum class Kind : uint8_t { kTraceId, kSpanId, kParentId, kStart, kEnd, kEvent, kDigits };
  uint32_t offset = 0;
  uint32_t span = 0;
  Kind kind = Kind::kDigits;
};
constexpr size_t kDigits = 8;  // of a patched number in a value
constexpr std::string_view kDigitsText = "00000000";
constexpr size_t kTimeDigits = 19;  // of a time after 2001 and before 2286, in nanoseconds
constexpr uint32_t kFlags = 0x101;  // sampled; the parent is not remote

// Bytes with their marks; pieces nest.
struct Piece {
  std::string bytes;
  std::vector<Mark> marks;

  void mark(Mark::Kind kind, uint32_t span, size_t width) {
    marks.push_back({static_cast<uint32_t>(bytes.size()), span, kind});
    bytes.append(width, '0');
  }
  void append(const Piece& other) {
    const auto base = static_cast<uint32_t>(bytes.size());
    bytes += other.bytes;
    for (Mark mark : other.marks) {
      mark.offset += base;
      marks.push_back(mark);
    }
  }
};

struct Field {
  enum class Type : uint8_t { kString, kInt, kBool, kDouble };
  std::string_view key;
  Type type = Type::kString;
  std::string text;  // a number's decimal text; strings may end with kDigitsText, which is patched
};

struct SpanPlan {
  uint32_t trace = 0;
  int32_t parent = -1;  // index of the span
  uint32_t service = 0;
  uint32_t kind = 1;
  uint32_t status = 0;
  std::string name;
  int64_t start_ns = 0;  // after the trace's begin
  int64_t duration_ns = 0;
  std::vector<Field> attributes;
  bool event = false;
};

constexpr std::array<std::string_view, 12> kServices{"storefront", "basket",   "pricing", "catalogue",
                                                     "ordering",   "payments", "stock",   "courier",
                                                     "accounts",   "reviews",  "notices", "ledger"};
constexpr std::array<std::string_view, 8> kThings{"baskets",  "prices",  "articles", "orders",
                                                  "invoices", "parcels", "people",   "ratings"};

Field text(std::string_view key, std::string value) { return {key, Field::Type::kString, std::move(value)}; }
Field number(std::string_view key, uint64_t value) { return {key, Field::Type::kInt, std::to_string(value)}; }
Field truth(std::string_view key, bool value) { return {key, Field::Type::kBool, value ? "true" : "false"}; }

std::string thing_of(Generator& random) { return std::string(kThings[random.below(kThings.size())]); }

void fill_server(Generator& random, SpanPlan& span) {
  const std::string thing = thing_of(random);
  const bool post = random.one_in(4);
  const uint64_t code = span.status == 2 ? 503 : random.one_in(25) ? 404 : 200;
  span.name = (post ? "POST /" : "GET /") + thing + "/{id}";
  span.attributes = {
      text("http.request.method", post ? "POST" : "GET"),
      text("http.route", "/" + thing + "/{id}"),
      text("url.path", "/" + thing + "/" + std::string(kDigitsText)),
      text("url.scheme", "https"),
      number("http.response.status_code", code),
      text("server.address", thing + ".shop.example"),
      number("server.port", 8443),
      text("user_agent.original",
           random.one_in(3) ? "okhttp/4.12.0" : "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
      text("enduser.id", "customer-" + std::string(kDigitsText)),
      number("thread.id", random.below(48))};
}

void fill_client(Generator& random, SpanPlan& span) {
  const std::string thing = thing_of(random);
  span.name = "shop." + thing + "/Get";
  span.attributes = {text("rpc.system", "grpc"),
                     text("rpc.service", "shop." + thing),
                     text("rpc.method", "Get"),
                     number("rpc.grpc.status_code", span.status == 2 ? 14 : 0),
                     text("server.address", thing + ".shop.svc.cluster.local"),
                     number("server.port", 50051),
                     text("network.transport", "tcp"),
                     number("rpc.message.uncompressed_size", random.below(40'000)),
                     text("thread.name", "rpc-" + std::to_string(random.below(24)))};
}

void fill_database(Generator& random, SpanPlan& span) {
  const std::string thing = thing_of(random);
  const bool update = random.one_in(4);
  span.name = (update ? "UPDATE " : "SELECT ") + thing;
  span.attributes = {
      text("db.system", random.one_in(3) ? "redis" : "postgresql"),
      text("db.namespace", "shop"),
      text("db.collection.name", thing),
      text("db.operation.name", update ? "UPDATE" : "SELECT"),
      text("db.query.text",
           update ? "UPDATE " + thing + " SET state = $1, changed_at = now() WHERE id = $2 AND version = $3"
                  : "SELECT id, state, owner, changed_at FROM " + thing +
                        " WHERE owner = $1 ORDER BY changed_at DESC LIMIT 50"),
      text("server.address", "db-" + std::to_string(random.below(6)) + ".shop.internal"),
      number("server.port", 5432),
      number("db.response.returned_rows", random.below(50))};
}

void fill_internal(Generator& random, SpanPlan& span) {
  const std::string thing = thing_of(random);
  span.name = "prepare " + thing;
  span.attributes = {text("code.function", "prepare_" + thing),
                     text("code.namespace", "shop." + std::string(kServices[span.service])),
                     text("thread.name", "worker-" + std::to_string(random.below(24))),
                     number("thread.id", random.below(48)),
                     truth("cache.hit", random.one_in(2)),
                     number("batch.size", random.below(64)),
                     text("feature.flag", "variant-" + std::to_string(random.below(12))),
                     Field{"load.factor", Field::Type::kDouble, "0." + std::to_string(1 + random.below(9))},
                     text("cloud.region", random.one_in(2) ? "eu-central-1" : "us-west-2")};
}

std::vector<SpanPlan> plan_spans(Generator& random, uint32_t count) {
  std::vector<SpanPlan> spans;
  spans.reserve(count);
  for (uint32_t trace = 0; spans.size() < count; ++trace) {
    const auto size = std::min<uint64_t>(4 + random.below(9), count - spans.size());
    const size_t first = spans.size();
    for (uint64_t i = 0; i < size; ++i) {
      SpanPlan span;
      span.trace = trace;
      span.status = random.one_in(40) ? 2 : 0;
      span.event = random.one_in(4);
      if (i == 0) {
        span.service = static_cast<uint32_t>(random.below(3));
        span.duration_ns = static_cast<int64_t>(5'000'000 + random.below(60'000'000));
        span.kind = 2;
        fill_server(random, span);
      } else {
        const size_t parent = first + random.below(i);
        const SpanPlan& above = spans[parent];
        span.parent = static_cast<int32_t>(parent);
        span.start_ns =
            above.start_ns + static_cast<int64_t>(random.below(static_cast<uint64_t>(above.duration_ns) / 4 + 1));
        span.duration_ns = above.duration_ns / 2 + 1;
        span.service = above.service;
        switch (random.below(4)) {
          case 0:  // a call that reached another service
            span.service = static_cast<uint32_t>(random.below(kServices.size()));
            span.kind = 2;
            fill_server(random, span);
            break;
          case 1:
            span.kind = 3;
            fill_client(random, span);
            break;
          case 2:
            span.kind = 3;
            fill_database(random, span);
            break;
          default:
            fill_internal(random, span);
        }
      }
      spans.push_back(std::move(span));
    }
  }
  return spans;
}

std::vector<Field> resource_of(uint32_t service) {
  const std::string name(kServices[service]);
  const std::string pod = name + "-5f6d8c7b9-" + std::to_string(service % 4);
  return {text("service.name", name),
          text("service.version", "2." + std::to_string(service) + ".1"),
          text("service.instance.id", pod),
          text("deployment.environment.name", "production"),
          text("k8s.namespace.name", "shop"),
          text("k8s.pod.name", pod),
          text("host.name", "node-" + std::to_string(service % 5)),
          text("telemetry.sdk.name", "opentelemetry"),
          text("telemetry.sdk.language", "java")};
}
std::vector<Field> event_fields(const SpanPlan& span) {
  if (span.status == 2)
    return {text("exception.type", "java.util.concurrent.TimeoutException"),
            text("exception.message", "no answer within 250 ms")};
  return {text("rpc.message.type", "RECEIVED"), number("rpc.message.id", 1 + span.trace % 7)};
}

// Both writers offer the same few parts: span, scope of a service, request.
class ProtobufWriter {
 public:
  static Piece span(const SpanPlan& plan, uint32_t index) {
    Piece out;
    id(out, 1, Mark::Kind::kTraceId, index, 16);
    id(out, 2, Mark::Kind::kSpanId, index, 8);
    if (plan.parent >= 0) id(out, 4, Mark::Kind::kParentId, index, 8);
    string(out, 5, plan.name);
    varint(out, 6, plan.kind);
    time(out, 7, Mark::Kind::kStart, index);
    time(out, 8, Mark::Kind::kEnd, index);
    for (const Field& field : plan.attributes) message(out, 9, attribute(field, index));
    if (plan.event) {
      Piece event;
      time(event, 1, Mark::Kind::kEvent, index);
      string(event, 2, plan.status == 2 ? "exception" : "message");
      for (const Field& field : event_fields(plan)) message(event, 3, attribute(field, index));
      message(out, 11, event);
    }
    if (plan.status != 0) {
      Piece status;
      string(status, 2, "upstream did not answer");
      varint(status, 3, plan.status);
      message(out, 15, status);
    }
    tag(out, 16, 5);
    append_fixed<uint32_t>(out.bytes, kFlags);
    return out;
  }
  static Piece service(uint32_t number, const std::vector<Piece>& spans) {
    Piece resource, name, scope, out;
    for (const Field& field : resource_of(number)) message(resource, 1, attribute(field, 0));
    string(name, 1, "shop.instrumentation");
    string(name, 2, "1.32.0");
    message(scope, 1, name);
    for (const Piece& span : spans) message(scope, 2, span);
    message(out, 1, resource);
    message(out, 2, scope);
    return out;
  }
  static Piece request(const std::vector<Piece>& services) {
    Piece out;
    for (const Piece& service : services) message(out, 1, service);
    return out;
  }

 private:
  static void tag(Piece& out, uint32_t field, uint32_t type) { append_varint(out.bytes, field << 3 | type); }
  static void varint(Piece& out, uint32_t field, uint64_t value) {
    tag(out, field, 0);
    append_varint(out.bytes, value);
  }
  static void id(Piece& out, uint32_t field, Mark::Kind kind, uint32_t index, size_t width) {
    tag(out, field, 2);
    append_varint(out.bytes, width);
    out.mark(kind, index, width);
  }
  static void time(Piece& out, uint32_t field, Mark::Kind kind, uint32_t index) {
    tag(out, field, 1);
    out.mark(kind, index, 8);
  }
  static void string(Piece& out, uint32_t field, std::string_view value) {
    tag(out, field, 2);
    append_bytes(out.bytes, value);
  }
  static void message(Piece& out, uint32_t field, const Piece& inner) {
    tag(out, field, 2);
    append_varint(out.bytes, inner.bytes.size());
    out.append(inner);
  }
  static Piece attribute(const Field& field, uint32_t index) {
    Piece value, out;
    switch (field.type) {
      case Field::Type::kString: {
        tag(value, 1, 2);
        append_varint(value.bytes, field.text.size());
        const bool patched = field.text.ends_with(kDigitsText);
        value.bytes.append(field.text, 0, field.text.size() - (patched ? kDigits : 0));
        if (patched) value.mark(Mark::Kind::kDigits, index, kDigits);
        break;
      }
      case Field::Type::kInt:
        varint(value, 3, std::stoull(field.text));
        break;
      case Field::Type::kBool:
        varint(value, 2, field.text == "true" ? 1 : 0);
        break;
      case Field::Type::kDouble:
        tag(value, 4, 1);
        append_fixed(value.bytes, std::stod(field.text));
        break;
    }
    string(out, 1, field.key);
    message(out, 2, value);
    return out;
  }
};

class JsonWriter {
 public:
  static Piece span(const SpanPlan& plan, uint32_t index) {
    Piece out;
    marked(out, R"({"traceId":")", Mark::Kind::kTraceId, index, 32);
    marked(out, R"(","spanId":")", Mark::Kind::kSpanId, index, 16);
    if (plan.parent >= 0) marked(out, R"(","parentSpanId":")", Mark::Kind::kParentId, index, 16);
    out.bytes += R"(","name":")" + plan.name + R"(","kind":)" + std::to_string(plan.kind);
    marked(out, R"(,"startTimeUnixNano":")", Mark::Kind::kStart, index, kTimeDigits);
    marked(out, R"(","endTimeUnixNano":")", Mark::Kind::kEnd, index, kTimeDigits);
    out.bytes += R"(","attributes":)";
    attributes(out, plan.attributes, index);
    if (plan.event) {
      marked(out, R"(,"events":[{"timeUnixNano":")", Mark::Kind::kEvent, index, kTimeDigits);
      out.bytes += std::string(R"(","name":")") + (plan.status == 2 ? "exception" : "message") + R"(","attributes":)";
      attributes(out, event_fields(plan), index);
      out.bytes += "}]";
    }
    if (plan.status != 0)
      out.bytes += R"(,"status":{"message":"upstream did not answer","code":)" + std::to_string(plan.status) + "}";
    out.bytes += std::string(R"(,"flags":)") + std::to_string(kFlags) + "}";
    return out;
  }
  static Piece service(uint32_t number, const std::vector<Piece>& spans) {
    Piece out;
    out.bytes = R"({"resource":{"attributes":)";
    attributes(out, resource_of(number), 0);
    out.bytes += R"(},"scopeSpans":[{"scope":{"name":"shop.instrumentation","version":"1.32.0"},"spans":[)";
    list(out, spans);
    out.bytes += "]}]}";
    return out;
  }
  static Piece request(const std::vector<Piece>& services) {
    Piece out;
    out.bytes = R"({"resourceSpans":[)";
    list(out, services);
    out.bytes += "]}";
    return out;
  }

 private:
  static void marked(Piece& out, std::string_view before, Mark::Kind kind, uint32_t index, size_t width) {
    out.bytes += before;
    out.mark(kind, index, width);
  }
  static void list(Piece& out, const std::vector<Piece>& items) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out.bytes += ",";
      out.append(items[i]);
    }
  }
  static void attributes(Piece& out, const std::vector<Field>& fields, uint32_t index) {
    out.bytes += "[";
    for (size_t i = 0; i < fields.size(); ++i) {
      const Field& field = fields[i];
      out.bytes += (i == 0 ? R"({"key":")" : R"(,{"key":")") + std::string(field.key) + R"(","value":{)";
      const bool patched = field.text.ends_with(kDigitsText);
      switch (field.type) {
        case Field::Type::kString:
          out.bytes += R"("stringValue":")" + field.text.substr(0, field.text.size() - (patched ? kDigits : 0));
          if (patched) out.mark(Mark::Kind::kDigits, index, kDigits);
          out.bytes += "\"";
          break;
        case Field::Type::kInt:
          out.bytes += R"("intValue":")" + field.text + "\"";
          break;
        case Field::Type::kBool:
          out.bytes += R"("boolValue":)" + field.text;
          break;
        case Field::Type::kDouble:
          out.bytes += R"("doubleValue":)" + field.text;
          break;
      }
      out.bytes += "}}";
    }
    out.bytes += "]";
  }
};

template <typename Writer>
Piece write_request(const std::vector<SpanPlan>& plans) {
  std::vector<Piece> services;
  for (uint32_t service = 0; service < kServices.size(); ++service) {
    std::vector<Piece> spans;
    for (uint32_t i = 0; i < plans.size(); ++i) {
      if (plans[i].service == service) spans.push_back(Writer::span(plans[i], i));
    }
    if (!spans.empty()) services.push_back(Writer::service(service, spans));
  }
  return Writer::request(services);
}

uint64_t span_id(uint64_t key, uint64_t span) { return mix64(key, 0x5fa0'0000 + span) | 1; }
model::TraceId trace_id(uint64_t key, uint64_t trace) {
  return {mix64(key, 0x77ac'0000'0000 + trace), mix64(key, 0x77ac'8000'0000 + trace) | 1};
}
void put_decimal(char* out, size_t width, uint64_t value) {
  for (size_t i = width; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

struct Workload::Template {
  std::vector<SpanPlan> spans;
  Piece body;
};

Workload::Workload(WorkloadOptions options) : options_(options) {
  for (uint32_t i = 0; i < options.templates; ++i) {
    Generator random(mix64(options.seed, i));
    Template made;
    made.spans = plan_spans(random, options.spans_per_request);
    made.body = options.format == BodyFormat::kJson ? write_request<JsonWriter>(made.spans)
                                                    : write_request<ProtobufWriter>(made.spans);
    templates_.push_back(std::move(made));
  }
}
Workload::~Workload() = default;

const Workload::Template& Workload::template_of(uint64_t number) const {
  return templates_[number % templates_.size()];
}

void Workload::body(uint64_t number, int64_t now_ns, std::string& out) const {
  const Template& from = template_of(number);
  const uint64_t key = mix64(options_.seed, number);
  const bool json = options_.format == BodyFormat::kJson;
  const int64_t begin = now_ns - 65'000'000;  // no trace takes longer
  uint64_t digits = 0;                        // counts, so that protobuf and JSON get the same numbers
  out = from.body.bytes;
  for (const Mark& mark : from.body.marks) {
    const SpanPlan& span = from.spans[mark.span];
    char* place = out.data() + mark.offset;
    const int64_t start = begin - static_cast<int64_t>(span.trace) * 1000 + span.start_ns;
    const auto put_id = [&](uint64_t id) {
      if (json) return (void)put_hex(place, id, 16);
      model::SpanId{id}.to_bytes(place);
    };
    const auto put_time = [&](int64_t time) {
      if (json) return put_decimal(place, kTimeDigits, static_cast<uint64_t>(time));
      std::memcpy(place, &time, sizeof(time));
    };
    switch (mark.kind) {
      case Mark::Kind::kTraceId: {
        const model::TraceId id = trace_id(key, span.trace);
        if (json) {
          put_hex(place, id.hi, 16);
          put_hex(place + 16, id.lo, 16);
        } else {
          id.to_bytes(place);
        }
        break;
      }
      case Mark::Kind::kSpanId:
        put_id(span_id(key, mark.span));
        break;
      case Mark::Kind::kParentId:
        put_id(span_id(key, static_cast<uint64_t>(span.parent)));
        break;
      case Mark::Kind::kStart:
        put_time(start);
        break;
      case Mark::Kind::kEnd:
        put_time(start + span.duration_ns);
        break;
      case Mark::Kind::kEvent:
        put_time(start + span.duration_ns / 2);
        break;
      case Mark::Kind::kDigits:
        put_decimal(place, kDigits, mix64(key, ++digits));
        break;
    }
  }
}

std::vector<Workload::Trace> Workload::traces(uint64_t number) const {
  const Template& from = template_of(number);
  const uint64_t key = mix64(options_.seed, number);
  std::vector<Trace> out;
  for (uint32_t i = 0; i < from.spans.size(); ++i) {
    if (from.spans[i].parent < 0) out.push_back({trace_id(key, from.spans[i].trace), {}});
    out.back().spans.push_back({span_id(key, i)});
  }
  return out;
}

double Workload::bytes_per_span() const {
  size_t bytes = 0, spans = 0;
  for (const Template& one : templates_) {
    bytes += one.body.bytes.size();
    spans += one.spans.size();
  }
  return static_cast<double>(bytes) / static_cast<double>(std::max<size_t>(spans, 1));
}

}  // namespace clew::app
