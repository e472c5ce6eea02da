// A trace back to OTLP: protobuf (TracesData: repeated ResourceSpans), OTLP JSON (hex ids, integer enums) and
// protobuf-JSON as Tempo writes it (base64 ids, enum names). Everything that came in goes out, unknown fields too
// (JSON cannot carry those). Spans are grouped by resource and scope in order of first appearance. Pure; any thread; linear.
#pragma once

#include <string>

#include "model/span.h"

namespace clew::otlp {

enum class JsonFlavour { kOtlp, kProtobuf };

void encode_protobuf(const model::TraceData& trace, std::string& out);
// {"resourceSpans":[...]}
void encode_json(const model::TraceData& trace, JsonFlavour flavour, std::string& out);

// A JSON value for one attribute value, as OTLP JSON writes it: {"stringValue":"x"}.
void append_any_value_json(const model::Value& value, JsonFlavour flavour, std::string& out);
// The value as plain text for people and for Jaeger tags: arrays and lists as compact JSON, bytes as base64.
std::string value_text(const model::Value& value);
// Appends a JSON string literal, quotes included, invalid UTF-8 replaced.
void append_json_string(std::string_view text, std::string& out);

}  // namespace clew::otlp
