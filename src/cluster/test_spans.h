// OTLP requests for tests of this folder, written field by field.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/varint.h"
#include "model/ids.h"

namespace clew::cluster {

struct TestSpan {
  model::TraceId trace;
  model::SpanId id;
  model::SpanId parent;
  std::string name = "span";
  uint64_t kind = 1;
  int64_t start_ns = 1'760'000'000'000'000'000;
  int64_t end_ns = 1'760'000'000'000'001'000;
  std::vector<std::pair<std::string, std::string>> attributes = {};  // texts
};

// An ExportTraceServiceRequest with one resource and one scope, which has a name or is left out.
class TestRequest {
 public:
  explicit TestRequest(std::string_view service, std::string_view scope = "") {
    if (!scope.empty()) {
      std::string name;
      field(1, scope, name);
      field(1, name, scope_spans_);
    }
    std::string value, key_value;
    field(1, service, value);
    field(1, "service.name", key_value);
    field(2, value, key_value);
    std::string resource;
    field(1, key_value, resource);
    field(1, resource, resource_spans_);
  }
  void span(const TestSpan& span) {
    std::string out;
    char trace[16], id[8];
    span.trace.to_bytes(trace);
    span.id.to_bytes(id);
    field(1, {trace, 16}, out);
    field(2, {id, 8}, out);
    if (span.parent.valid()) {
      span.parent.to_bytes(id);
      field(4, {id, 8}, out);
    }
    field(5, span.name, out);
    append_varint(out, 6 << 3);
    append_varint(out, span.kind);
    append_varint(out, 7 << 3 | 1);
    append_fixed(out, span.start_ns);
    append_varint(out, 8 << 3 | 1);
    append_fixed(out, span.end_ns);
    for (const auto& [key, text] : span.attributes) {
      std::string value, key_value;
      field(1, text, value);
      field(1, key, key_value);
      field(2, value, key_value);
      field(9, key_value, out);
    }
    field(2, out, scope_spans_);
  }
  std::string bytes() const {
    std::string resource_spans = resource_spans_, request;
    field(2, scope_spans_, resource_spans);
    field(1, resource_spans, request);
    return request;
  }

 private:
  static void field(uint64_t number, std::string_view bytes, std::string& out) {
    append_varint(out, number << 3 | 2);
    append_bytes(out, bytes);
  }
  std::string resource_spans_, scope_spans_;
};

}  // namespace clew::cluster
