// google.rpc.Status and ExportTraceServiceResponse as bytes, in protobuf and JSON: the replies of the OTLP receivers.
// Written by hand because they are a few bytes on the hot path of acknowledging; tests read them back with the
// generated classes. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace clew::api {

enum class WireFormat : uint8_t { kProtobuf, kJson };
std::string_view content_type_of(WireFormat format);

// `retry_after_ms` > 0 adds a google.rpc.RetryInfo detail.
std::string encode_rpc_status(WireFormat format, Code code, std::string_view message, uint32_t retry_after_ms = 0);

// Empty `message` and no rejected spans: partial_success unset (an empty protobuf message, "{}" in JSON).
std::string encode_export_response(WireFormat format, uint64_t rejected_spans, std::string_view message);

// Appends a JSON string literal, quotes included; invalid UTF-8 becomes U+FFFD so that the reply stays valid JSON.
void append_json_text(std::string& out, std::string_view text);

}  // namespace clew::api
