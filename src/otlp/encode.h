// A trace back to OTLP: protobuf (TracesData: repeated ResourceSpans), OTLP JSON (hex ids, integer enums) and
// protobuf-JSON as Tempo writes it (base64 ids, enum names). Everything that came in goes out, unknown fields too
// (JSON cannot carry those). Spans are grouped by resource and scope in order of first appearance. Pure; any thread;
// linear.
//
// A span from an SDK comes out of encode_protobuf as it went in, byte for byte, except for what proto3 cannot tell
// apart (an absent and an empty status, say). All functions append.
#pragma once

#include <string>

#include "model/span.h"

namespace clew::otlp {

enum class JsonFlavour { kOtlp, kProtobuf };

// Arrays and lists nested deeper are left out of JSON and text (ingest refuses them earlier: Limits::max_depth).
constexpr uint32_t kMaxWrittenDepth = 64;

void encode_protobuf(const model::TraceData& trace, std::string& out);
// {"resourceSpans":[...]}
void encode_json(const model::TraceData& trace, JsonFlavour flavour, std::string& out);

// A JSON value for one attribute value, as OTLP JSON writes it: {"stringValue":"x"}. The same in both flavours.
void append_any_value_json(const model::Value& value, JsonFlavour flavour, std::string& out);
// The value as plain text for people and for Jaeger tags: arrays and lists as compact JSON, bytes as base64.
std::string value_text(const model::Value& value);
// Appends a JSON string literal, quotes included, invalid UTF-8 replaced.
void append_json_string(std::string_view text, std::string& out);

}  // namespace clew::otlp
