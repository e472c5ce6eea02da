#include "otlp/encode.h"

#include <bit>
#include <charconv>
#include <unordered_map>
#include <vector>

#include "model/wire.h"
#include "otlp/base64.h"
#include "otlp/hex.h"
#include "otlp/protobuf_writer.h"

namespace clew::otlp {
namespace {

using model::Attribute;
using model::Resource;
using model::Scope;
using model::Span;
using model::TraceData;
using model::ValueType;

// The spans of a trace as OTLP nests them.
struct ScopeGroup {
  const Scope* scope;
  std::vector<const Span*> spans;
};
struct ResourceGroup {
  const Resource* resource;
  std::vector<ScopeGroup> scopes;
  std::unordered_map<const Scope*, size_t> index;
};

std::vector<ResourceGroup> group(const TraceData& trace) {
  std::vector<ResourceGroup> groups;
  std::unordered_map<const Resource*, size_t> index;
  for (const Span& span : trace.spans) {
    const auto [resource, new_resource] = index.try_emplace(span.resource, groups.size());
    if (new_resource) groups.push_back({span.resource, {}, {}});
    ResourceGroup& in = groups[resource->second];
    const auto [scope, new_scope] = in.index.try_emplace(span.scope, in.scopes.size());
    if (new_scope) in.scopes.push_back({span.scope, {}});
    in.scopes[scope->second].spans.push_back(&span);
  }
  return groups;
}

// --- Protobuf
// ---------------------------------------------------------------------------------------------------------

template <typename Id, size_t kSize>
std::string_view id_bytes(Id id, char (&buffer)[kSize]) {
  id.to_bytes(buffer);
  return {buffer, kSize};
}

void write_attributes(uint32_t field, const std::vector<Attribute>& attributes, std::string& out) {
  ProtobufWriter writer(out);
  for (const Attribute& attribute : attributes) {
    const model::Value& value = attribute.value;
    if (value.type == ValueType::kRaw) {
      writer.bytes(field, value.bytes, true);
      continue;
    }
    writer.message(field, [&] {
      writer.bytes(1, attribute.key);
      if (value.type == ValueType::kComplex) return writer.bytes(2, value.bytes, true);
      writer.message(2, [&] {
        switch (value.type) {
          case ValueType::kString:
            writer.bytes(1, value.bytes, true);
            break;
          case ValueType::kBool:
            writer.varint(2, value.integer != 0, true);
            break;
          case ValueType::kInt:
            writer.varint(3, static_cast<uint64_t>(value.integer), true);
            break;
          case ValueType::kDouble:
            writer.fixed64(4, std::bit_cast<uint64_t>(value.real), true);
            break;
          case ValueType::kBytes:
            writer.bytes(7, value.bytes, true);
            break;
          case ValueType::kEmpty:
          case ValueType::kComplex:
          case ValueType::kRaw:
            break;
        }
      });
    });
  }
}

void write_span(const TraceData& trace, const Span& span, std::string& out) {
  ProtobufWriter writer(out);
  char trace_id[16], span_id[8];
  writer.bytes(1, id_bytes(trace.key.trace, trace_id));
  writer.bytes(2, id_bytes(span.id, span_id));
  writer.bytes(3, span.trace_state);
  if (span.parent.valid()) writer.bytes(4, id_bytes(span.parent, span_id));
  writer.bytes(5, span.name);
  writer.varint(6, static_cast<uint64_t>(span.kind));
  writer.fixed64(7, static_cast<uint64_t>(span.start_ns));
  writer.fixed64(8, static_cast<uint64_t>(span.end_ns));
  write_attributes(9, span.attributes, out);
  writer.varint(10, span.dropped_attributes);
  for (const model::Event& event : span.events) {
    writer.message(11, [&] {
      writer.fixed64(1, static_cast<uint64_t>(event.time_ns));
      writer.bytes(2, event.name);
      write_attributes(3, event.attributes, out);
      writer.varint(4, event.dropped_attributes);
      writer.verbatim(event.unknown);
    });
  }
  writer.varint(12, span.dropped_events);
  for (const model::Link& link : span.links) {
    writer.message(13, [&] {
      writer.bytes(1, id_bytes(link.trace, trace_id));
      writer.bytes(2, id_bytes(link.span, span_id));
      writer.bytes(3, link.trace_state);
      write_attributes(4, link.attributes, out);
      writer.varint(5, link.dropped_attributes);
      writer.fixed32(6, link.flags);
      writer.verbatim(link.unknown);
    });
  }
  writer.varint(14, span.dropped_links);
  if (span.status != model::StatusCode::kUnset || !span.status_message.empty()) {
    writer.message(15, [&] {
      writer.bytes(2, span.status_message);
      writer.varint(3, static_cast<uint64_t>(span.status));
    });
  }
  writer.fixed32(16, span.flags);
  writer.verbatim(span.unknown);
}

// An entry (ResourceSpans without scope_spans, ScopeSpans without spans: field 2 both times) with `children` written
// where field 2 belongs, so that fields ascend as they did when they came.
template <typename Children>
void write_entry(std::string_view entry, Children&& children, std::string& out) {
  size_t before = 0;
  model::WireReader reader(entry);
  for (model::WireField field; reader.next(field) && field.number < 2;) before += field.whole.size();
  out.append(entry.substr(0, before));
  children();
  out.append(entry.substr(before));
}

// Whether an entry has its Resource or InstrumentationScope (field 1), be it empty: JSON must not add what did not
// come.
bool has_context(std::string_view entry) {
  model::WireReader reader(entry);
  for (model::WireField field; reader.next(field);) {
    if (field.number == 1) return true;
  }
  return false;
}

std::string resource_entry(const Resource* resource) {
  std::string entry;
  if (resource == nullptr) return entry;
  if (!resource->raw.empty()) return std::string(resource->raw);
  ProtobufWriter writer(entry);
  if (!resource->attributes.empty() || resource->dropped_attributes != 0) {
    writer.message(1, [&] {
      write_attributes(1, resource->attributes, entry);
      writer.varint(2, resource->dropped_attributes);
    });
  }
  writer.bytes(3, resource->schema_url);
  return entry;
}

std::string scope_entry(const Scope* scope) {
  std::string entry;
  if (scope == nullptr) return entry;
  if (!scope->raw.empty()) return std::string(scope->raw);
  ProtobufWriter writer(entry);
  if (!scope->name.empty() || !scope->version.empty() || !scope->attributes.empty() || scope->dropped_attributes != 0) {
    writer.message(1, [&] {
      writer.bytes(1, scope->name);
      writer.bytes(2, scope->version);
      write_attributes(3, scope->attributes, entry);
      writer.varint(4, scope->dropped_attributes);
    });
  }
  writer.bytes(3, scope->schema_url);
  return entry;
}

// --- JSON
// -------------------------------------------------------------------------------------------------------------

// Members of one JSON object, commas included.
class JsonObject {
 public:
  JsonObject(JsonFlavour flavour, std::string& out) : flavour_(flavour), out_(out) { out_ += '{'; }

  // The place for a value after its key.
  std::string& key(std::string_view name) {
    out_ += first_ ? "\"" : ",\"";
    first_ = false;
    out_.append(name).append("\":");
    return out_;
  }
  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) append_json_string(value, key(name));
  }
  template <typename Id>
  void id(std::string_view name, Id id) {
    key(name) += '"';
    if (flavour_ == JsonFlavour::kOtlp) {
      append_hex(id, out_);
    } else {
      char bytes[sizeof(Id)];
      append_base64(id_bytes(id, bytes), out_);
    }
    out_ += '"';
  }
  void count(std::string_view name, uint32_t value) {
    if (value != 0) append_number(value, key(name));
  }
  void time(std::string_view name, int64_t value) {  // unsigned on the wire; 64 bits are a string in JSON
    key(name) += '"';
    append_number(static_cast<uint64_t>(value), out_);
    out_ += '"';
  }
  void enumeration(std::string_view name, uint8_t value, const char* const* names, size_t known) {
    if (value == 0) return;
    key(name);
    if (flavour_ == JsonFlavour::kProtobuf && value < known) {
      out_.append(1, '"').append(names[value]).append(1, '"');
    } else {
      append_number(value, out_);
    }
  }
  void attributes(const std::vector<Attribute>& list) {
    if (list.empty()) return;
    key("attributes") += '[';
    for (size_t i = 0; i < list.size(); ++i) {
      out_ += i == 0 ? R"({"key":)" : R"(,{"key":)";
      append_json_string(list[i].key, out_);
      out_ += R"(,"value":)";
      append_any_value_json(list[i].value, flavour_, out_);
      out_ += '}';
    }
    out_ += ']';
  }
  // write(element) for each, between brackets; nothing when there are none.
  template <typename List, typename Write>
  void array(std::string_view name, const List& list, Write&& write) {
    if (list.empty()) return;
    key(name) += '[';
    bool first = true;
    for (const auto& element : list) {
      if (!first) out_ += ',';
      first = false;
      write(element);
    }
    out_ += ']';
  }
  void close() { out_ += '}'; }

 private:
  template <typename T>
  static void append_number(T value, std::string& out) {
    char digits[24];
    out.append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
  }

  const JsonFlavour flavour_;
  std::string& out_;
  bool first_ = true;
};

constexpr const char* kKindNames[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                      "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
constexpr const char* kStatusNames[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};

void write_span_json(const TraceData& trace, const Span& span, JsonFlavour flavour, std::string& out) {
  JsonObject object(flavour, out);
  object.id("traceId", trace.key.trace);
  object.id("spanId", span.id);
  object.text("traceState", span.trace_state);
  if (span.parent.valid()) object.id("parentSpanId", span.parent);
  append_json_string(span.name, object.key("name"));
  object.enumeration("kind", static_cast<uint8_t>(span.kind), kKindNames, std::size(kKindNames));
  object.time("startTimeUnixNano", span.start_ns);
  object.time("endTimeUnixNano", span.end_ns);
  object.attributes(span.attributes);
  object.count("droppedAttributesCount", span.dropped_attributes);
  object.array("events", span.events, [&](const model::Event& event) {
    JsonObject inner(flavour, out);
    inner.time("timeUnixNano", event.time_ns);
    append_json_string(event.name, inner.key("name"));
    inner.attributes(event.attributes);
    inner.count("droppedAttributesCount", event.dropped_attributes);
    inner.close();
  });
  object.count("droppedEventsCount", span.dropped_events);
  object.array("links", span.links, [&](const model::Link& link) {
    JsonObject inner(flavour, out);
    inner.id("traceId", link.trace);
    inner.id("spanId", link.span);
    inner.text("traceState", link.trace_state);
    inner.attributes(link.attributes);
    inner.count("droppedAttributesCount", link.dropped_attributes);
    inner.count("flags", link.flags);
    inner.close();
  });
  object.count("droppedLinksCount", span.dropped_links);
  object.key("status");  // always there: clients read status.code unasked
  JsonObject status(flavour, out);
  status.text("message", span.status_message);
  status.enumeration("code", static_cast<uint8_t>(span.status), kStatusNames, std::size(kStatusNames));
  status.close();
  object.count("flags", span.flags);
  object.close();
}

}  // namespace

void encode_protobuf(const TraceData& trace, std::string& out) {
  ProtobufWriter writer(out);
  for (const ResourceGroup& resource : group(trace)) {
    writer.message(1, [&] {
      const auto scopes = [&] {
        for (const ScopeGroup& scope : resource.scopes) {
          writer.message(2, [&] {
            const auto spans = [&] {
              for (const Span* span : scope.spans) writer.message(2, [&] { write_span(trace, *span, out); });
            };
            write_entry(scope_entry(scope.scope), spans, out);
          });
        }
      };
      write_entry(resource_entry(resource.resource), scopes, out);
    });
  }
}

void encode_json(const TraceData& trace, JsonFlavour flavour, std::string& out) {
  out += R"({"resourceSpans":[)";
  bool first = true;
  for (const ResourceGroup& resource : group(trace)) {
    if (!first) out += ',';
    first = false;
    JsonObject resource_spans(flavour, out);
    if (has_context(resource_entry(resource.resource))) {
      resource_spans.key("resource");
      JsonObject inner(flavour, out);
      inner.attributes(resource.resource->attributes);
      inner.count("droppedAttributesCount", resource.resource->dropped_attributes);
      inner.close();
    }
    resource_spans.array("scopeSpans", resource.scopes, [&](const ScopeGroup& scope) {
      JsonObject scope_spans(flavour, out);
      if (has_context(scope_entry(scope.scope))) {
        scope_spans.key("scope");
        JsonObject inner(flavour, out);
        inner.text("name", scope.scope->name);
        inner.text("version", scope.scope->version);
        inner.attributes(scope.scope->attributes);
        inner.count("droppedAttributesCount", scope.scope->dropped_attributes);
        inner.close();
      }
      scope_spans.array("spans", scope.spans, [&](const Span* span) { write_span_json(trace, *span, flavour, out); });
      if (scope.scope != nullptr) scope_spans.text("schemaUrl", scope.scope->schema_url);
      scope_spans.close();
    });
    if (resource.resource != nullptr) resource_spans.text("schemaUrl", resource.resource->schema_url);
    resource_spans.close();
  }
  out += "]}";
}

}  // namespace clew::otlp
