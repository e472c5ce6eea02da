#include "app/own_traces.h"

#include <memory>
#include <string_view>

#include "model/ids.h"
#include "otlp/protobuf_writer.h"

namespace clew::app {
namespace {

using otlp::ProtobufWriter;

// Numbers of opentelemetry/proto/trace/v1/trace.proto and its neighbours.
void attribute(ProtobufWriter& out, uint32_t field, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  out.message(field, [&] {
    out.bytes(1, key);
    out.message(2, [&] { out.bytes(1, value, true); });
  });
}
void attribute(ProtobufWriter& out, uint32_t field, std::string_view key, uint64_t value) {
  if (value == 0) return;
  out.message(field, [&] {
    out.bytes(1, key);
    out.message(2, [&] { out.varint(3, value, true); });
  });
}

std::string_view bytes_of(const auto& value) { return {reinterpret_cast<const char*>(&value), sizeof(value)}; }

void write_span(ProtobufWriter& out, const consensus::SpanValue& span) {
  out.message(2, [&] {
    out.bytes(1, std::string(bytes_of(span.trace_id.hi)) + std::string(bytes_of(span.trace_id.lo)));
    out.bytes(2, bytes_of(span.span_id));
    out.bytes(5, span.name);
    out.varint(6, 1);  // internal
    out.fixed64(7, static_cast<uint64_t>(span.start_ns));
    out.fixed64(8, static_cast<uint64_t>(span.end_ns));
    if (span.ballot.empty()) attribute(out, 9, span.epoch_name, span.epoch);
    attribute(out, 9, span.epoch_name, span.ballot);
    attribute(out, 9, "decree", span.decree);
    attribute(out, 9, span.position_name, span.position);
    attribute(out, 9, "peer", number(span.peer));
    attribute(out, 9, "count", span.count);
    attribute(out, 9, "result", span.result);
    attribute(out, 9, "reason", span.reason);
    if (span.failed) out.message(15, [&] { out.varint(3, 2); });
  });
}

}  // namespace

std::string encode_spans(const std::vector<consensus::SpanValue>& spans, const std::string& node_name,
                         std::string_view version) {
  std::string bytes;
  ProtobufWriter out(bytes);
  out.message(1, [&] {
    out.message(1, [&] {
      attribute(out, 1, "service.name", "clew");
      attribute(out, 1, "service.instance.id", node_name);
      attribute(out, 1, "service.version", version);
    });
    out.message(2, [&] {
      out.message(1, [&] { out.bytes(1, "clew.consensus"); });
      for (const consensus::SpanValue& span : spans) write_span(out, span);
    });
  });
  return bytes;
}

void OwnTraces::flush() {
  if (waiting_.empty()) return;
  auto body = std::make_shared<const std::string>(encode_spans(waiting_, node_name_, version_));
  waiting_.clear();
  // What is refused for load is not tried again: these spans are the first that may go.
  ingest_.ingest({std::string(model::kDefaultTenant), std::move(body)}, [](const cluster::IngestReply&) {});
}

}  // namespace clew::app
