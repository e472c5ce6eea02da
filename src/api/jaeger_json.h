// A trace as Jaeger's query JSON (v1) has it: processes, tags, logs, references, microseconds. Times are raw, as sent;
// what the verdict found stands in `warnings`, of the span where it names one and of the trace. Pure; linear.
#pragma once

#include "api/json_writer.h"
#include "model/span.h"

namespace clew::api {

// How Jaeger names the service of spans whose resource names none.
constexpr std::string_view kNoServiceName = "OTLPResourceNoServiceName";
inline std::string_view jaeger_service(std::string_view service) { return service.empty() ? kNoServiceName : service; }

void append_jaeger_trace(const model::TraceData& trace, JsonWriter& json);

}  // namespace clew::api
