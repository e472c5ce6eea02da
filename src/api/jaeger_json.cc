#include "api/jaeger_json.h"

#include <unordered_map>

#include "api/query_common.h"

namespace clew::api {
namespace {

constexpr uint64_t kNsPerUs = 1000;

uint64_t micros(int64_t ns) { return static_cast<uint64_t>(ns) / kNsPerUs; }
uint64_t duration_micros(const model::Span& span) {
  return span.end_ns < span.start_ns
             ? 0
             : (static_cast<uint64_t>(span.end_ns) - static_cast<uint64_t>(span.start_ns)) / kNsPerUs;
}

void append_tag(std::string_view key, std::string_view type, std::string_view text, JsonWriter& json) {
  json.open_object().key("key").text(key).key("type").text(type).key("value").text(text).close_object();
}

void append_tag(std::string_view key, const model::Value& value, JsonWriter& json) {
  json.open_object().key("key").text(key).key("type");
  switch (value.type) {
    case model::ValueType::kBool:
      json.text("bool").key("value").boolean(value.integer != 0);
      break;
    case model::ValueType::kInt:
      json.text("int64").key("value").number(value.integer);
      break;
    case model::ValueType::kDouble:
      json.text("float64").key("value").real(value.real);
      break;
    case model::ValueType::kBytes:
      json.text("binary").key("value").text(otlp::value_text(value));
      break;
    case model::ValueType::kEmpty:
      json.text("string").key("value").text("");
      break;
    case model::ValueType::kString:
      json.text("string").key("value").text(value.bytes);
      break;
    case model::ValueType::kComplex:
    case model::ValueType::kRaw:
      json.text("string").key("value").text(otlp::value_text(value));
      break;
  }
  json.close_object();
}

void append_tags(const std::vector<model::Attribute>& attributes, JsonWriter& json) {
  for (const model::Attribute& attribute : attributes) append_tag(attribute.key, attribute.value, json);
}

// OpenTelemetry has more in its fields than Jaeger: kind, status and scope become the tags that Jaeger's own
// translation writes.
void append_span_tags(const model::Span& span, JsonWriter& json) {
  append_tags(span.attributes, json);
  if (span.scope) {
    if (!span.scope->name.empty()) append_tag("otel.scope.name", "string", span.scope->name, json);
    if (!span.scope->version.empty()) append_tag("otel.scope.version", "string", span.scope->version, json);
    append_tags(span.scope->attributes, json);
  }
  if (span.kind != model::SpanKind::kUnspecified)
    append_tag("span.kind", "string", model::span_kind_name(span.kind), json);
  if (span.status == model::StatusCode::kOk) append_tag("otel.status_code", "string", "OK", json);
  if (span.status == model::StatusCode::kError) {
    append_tag("otel.status_code", "string", "ERROR", json);
    json.open_object().key("key").text("error").key("type").text("bool").key("value").boolean(true).close_object();
  }
  if (!span.status_message.empty()) append_tag("otel.status_description", "string", span.status_message, json);
  if (!span.trace_state.empty()) append_tag("w3c.tracestate", "string", span.trace_state, json);
}

void append_reference(std::string_view type, model::TraceId trace, model::SpanId span, JsonWriter& json) {
  json.open_object()
      .key("refType")
      .text(type)
      .key("traceID")
      .text(trace.hex())
      .key("spanID")
      .text(span.hex())
      .close_object();
}

std::string_view link_type(const model::Link& link) {
  for (const model::Attribute& attribute : link.attributes) {
    if (attribute.key == "opentracing.ref_type" && attribute.value.bytes == "child_of") return "CHILD_OF";
  }
  return "FOLLOWS_FROM";
}

void append_texts(const std::vector<std::string>& texts, JsonWriter& json) {
  if (texts.empty()) {
    json.null();
    return;
  }
  json.open_array();
  for (const std::string& text : texts) json.text(text);
  json.close_array();
}

using Warnings = std::unordered_map<uint64_t, std::vector<std::string>>;

std::string finding_text(const model::Finding& finding) {
  std::string text(model::finding_kind_name(finding.kind));
  if (!finding.detail.empty()) text += ": " + finding.detail;
  return text;
}

Warnings span_warnings(const model::Verdict* verdict) {
  Warnings warnings;
  if (!verdict) return warnings;
  for (const model::Finding& finding : verdict->findings) {
    for (model::SpanId id : finding.spans) warnings[id.value].push_back(finding_text(finding));
  }
  return warnings;
}

std::vector<std::string> trace_warnings(const model::Verdict* verdict) {
  std::vector<std::string> texts;
  if (!verdict) return texts;
  if (verdict->state != model::TraceState::kComplete) texts.push_back(model::verdict_sentence(*verdict));
  for (const model::Finding& finding : verdict->findings) {
    if (finding.severity != model::Severity::kInfo) texts.push_back(finding_text(finding));
  }
  for (const model::SkewEstimate& skew : verdict->skew) {
    texts.push_back("clock_skew: the clock of " + skew.host + " is estimated " + std::to_string(skew.offset_ns) +
                    " ns from that of " + skew.reference + " (within " + std::to_string(skew.bound_ns) + " ns, from " +
                    std::to_string(skew.edges) + " edges); times are shown as sent");
  }
  return texts;
}

void append_span(const model::TraceData& trace, const model::Span& span, std::string_view process,
                 const Warnings& warnings, JsonWriter& json) {
  json.open_object();
  json.key("traceID").text(trace.key.trace.hex()).key("spanID").text(span.id.hex());
  if (span.flags != 0) json.key("flags").unsigned_number(span.flags & 0xff);
  json.key("operationName").text(span.name);
  json.key("references").open_array();
  if (span.parent.valid()) append_reference("CHILD_OF", trace.key.trace, span.parent, json);
  for (const model::Link& link : span.links) append_reference(link_type(link), link.trace, link.span, json);
  json.close_array();
  json.key("startTime").unsigned_number(micros(span.start_ns)).key("duration").unsigned_number(duration_micros(span));
  json.key("tags").open_array();
  append_span_tags(span, json);
  json.close_array();
  json.key("logs").open_array();
  for (const model::Event& event : span.events) {
    json.open_object().key("timestamp").unsigned_number(micros(event.time_ns)).key("fields").open_array();
    if (!event.name.empty()) append_tag("event", "string", event.name, json);
    append_tags(event.attributes, json);
    json.close_array().close_object();
  }
  json.close_array();
  json.key("processID").text(process).key("warnings");
  const auto found = warnings.find(span.id.value);
  append_texts(found == warnings.end() ? std::vector<std::string>() : found->second, json);
  json.close_object();
}

}  // namespace

void append_jaeger_trace(const model::TraceData& trace, JsonWriter& json) {
  const model::Verdict* verdict = newest_verdict(trace);
  const Warnings warnings = span_warnings(verdict);
  std::unordered_map<const model::Resource*, std::string> process_of;
  std::vector<const model::Resource*> processes;

  json.open_object().key("traceID").text(trace.key.trace.hex()).key("spans").open_array();
  for (const model::Span* span : spans_by_start(trace)) {
    auto [at, fresh] = process_of.try_emplace(span->resource);
    if (fresh) {
      processes.push_back(span->resource);
      at->second = "p" + std::to_string(processes.size());
    }
    append_span(trace, *span, at->second, warnings, json);
  }
  json.close_array().key("processes").open_object();
  for (const model::Resource* resource : processes) {
    json.key(process_of[resource]).open_object();
    json.key("serviceName").text(jaeger_service(resource ? resource->service_name : std::string_view()));
    json.key("tags").open_array();
    if (resource) {
      for (const model::Attribute& attribute : resource->attributes) {
        if (attribute.key != "service.name") append_tag(attribute.key, attribute.value, json);
      }
    }
    json.close_array().close_object();
  }
  json.close_object().key("warnings");
  append_texts(trace_warnings(verdict), json);
  json.close_object();
}

}  // namespace clew::api
