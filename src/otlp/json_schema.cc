#include "otlp/json_schema.h"

#include <array>

namespace clew::otlp {
namespace {

using K = FieldKind;
using M = MessageType;

constexpr std::array<std::string_view, 6> kSpanKinds = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                                        "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                                        "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
constexpr std::array<std::string_view, 3> kStatusCodes = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};

constexpr JsonField message(std::string_view name, std::string_view alias, uint8_t number, M type) {
  return {name, alias, number, K::kMessage, false, type, {}};
}
constexpr JsonField messages(std::string_view name, std::string_view alias, uint8_t number, M type) {
  return {name, alias, number, K::kMessage, true, type, {}};
}
constexpr JsonField scalar(std::string_view name, std::string_view alias, uint8_t number, K kind) {
  return {name, alias, number, kind, false, M::kCount, {}};
}
constexpr JsonField strings(std::string_view name, std::string_view alias, uint8_t number) {
  return {name, alias, number, K::kString, true, M::kCount, {}};
}

constexpr JsonField kRequest[] = {messages("resourceSpans", "resource_spans", 1, M::kResourceSpans)};
constexpr JsonField kResourceSpans[] = {
    message("resource", "", 1, M::kResource),
    messages("scopeSpans", "scope_spans", 2, M::kScopeSpans),
    scalar("schemaUrl", "schema_url", 3, K::kString),
};
constexpr JsonField kResource[] = {
    messages("attributes", "", 1, M::kKeyValue),
    scalar("droppedAttributesCount", "dropped_attributes_count", 2, K::kUint32),
    messages("entityRefs", "entity_refs", 3, M::kEntityRef),
};
constexpr JsonField kEntityRef[] = {
    scalar("schemaUrl", "schema_url", 1, K::kString),
    scalar("type", "", 2, K::kString),
    strings("idKeys", "id_keys", 3),
    strings("descriptionKeys", "description_keys", 4),
};
constexpr JsonField kScopeSpans[] = {
    message("scope", "", 1, M::kScope),
    messages("spans", "", 2, M::kSpan),
    scalar("schemaUrl", "schema_url", 3, K::kString),
};
constexpr JsonField kScope[] = {
    scalar("name", "", 1, K::kString),
    scalar("version", "", 2, K::kString),
    messages("attributes", "", 3, M::kKeyValue),
    scalar("droppedAttributesCount", "dropped_attributes_count", 4, K::kUint32),
};
constexpr JsonField kSpan[] = {
    scalar("traceId", "trace_id", 1, K::kId),
    scalar("spanId", "span_id", 2, K::kId),
    scalar("traceState", "trace_state", 3, K::kString),
    scalar("parentSpanId", "parent_span_id", 4, K::kParentId),
    scalar("name", "", 5, K::kString),
    {"kind", "", 6, K::kEnum, false, M::kCount, kSpanKinds},
    scalar("startTimeUnixNano", "start_time_unix_nano", 7, K::kFixed64),
    scalar("endTimeUnixNano", "end_time_unix_nano", 8, K::kFixed64),
    messages("attributes", "", 9, M::kKeyValue),
    scalar("droppedAttributesCount", "dropped_attributes_count", 10, K::kUint32),
    messages("events", "", 11, M::kEvent),
    scalar("droppedEventsCount", "dropped_events_count", 12, K::kUint32),
    messages("links", "", 13, M::kLink),
    scalar("droppedLinksCount", "dropped_links_count", 14, K::kUint32),
    message("status", "", 15, M::kStatus),
    scalar("flags", "", 16, K::kFixed32),
};
constexpr JsonField kEvent[] = {
    scalar("timeUnixNano", "time_unix_nano", 1, K::kFixed64),
    scalar("name", "", 2, K::kString),
    messages("attributes", "", 3, M::kKeyValue),
    scalar("droppedAttributesCount", "dropped_attributes_count", 4, K::kUint32),
};
constexpr JsonField kLink[] = {
    scalar("traceId", "trace_id", 1, K::kId),
    scalar("spanId", "span_id", 2, K::kId),
    scalar("traceState", "trace_state", 3, K::kString),
    messages("attributes", "", 4, M::kKeyValue),
    scalar("droppedAttributesCount", "dropped_attributes_count", 5, K::kUint32),
    scalar("flags", "", 6, K::kFixed32),
};
constexpr JsonField kStatus[] = {
    scalar("message", "", 2, K::kString),
    {"code", "", 3, K::kEnum, false, M::kCount, kStatusCodes},
};
constexpr JsonField kKeyValue[] = {
    scalar("key", "", 1, K::kString),
    message("value", "", 2, M::kAnyValue),
};
constexpr JsonField kAnyValue[] = {
    scalar("stringValue", "string_value", 1, K::kString),
    scalar("boolValue", "bool_value", 2, K::kBool),
    scalar("intValue", "int_value", 3, K::kInt64),
    scalar("doubleValue", "double_value", 4, K::kDouble),
    message("arrayValue", "array_value", 5, M::kArrayValue),
    message("kvlistValue", "kvlist_value", 6, M::kKeyValueList),
    scalar("bytesValue", "bytes_value", 7, K::kBytes),
};
constexpr JsonField kArrayValue[] = {messages("values", "", 1, M::kAnyValue)};
constexpr JsonField kKeyValueList[] = {messages("values", "", 1, M::kKeyValue)};

constexpr std::array<JsonSchema, kMessageTypes> kSchemas = {{
    {kRequest, false, 4},
    {kResourceSpans, false, 3},
    {kResource, false, 2},
    {kEntityRef},
    {kScopeSpans, false, 3},
    {kScope},
    {kSpan, false, 2},
    {kEvent},
    {kLink},
    {kStatus},
    {kKeyValue},
    {kAnyValue, true},
    {kArrayValue},
    {kKeyValueList},
}};

// json.cc keeps a bit a field, and tests `number` order only.
constexpr bool schemas_ascend() {
  for (const JsonSchema& schema : kSchemas) {
    if (schema.fields.size() > kMaxJsonFields) return false;
    for (size_t i = 1; i < schema.fields.size(); ++i) {
      if (schema.fields[i - 1].number >= schema.fields[i].number) return false;
    }
  }
  return true;
}
static_assert(schemas_ascend());

}  // namespace

const JsonSchema& json_schema(MessageType type) { return kSchemas[static_cast<size_t>(type)]; }

}  // namespace clew::otlp
