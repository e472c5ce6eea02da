// Clew's own query API, /clew/v1: what the others cannot say. Nanosecond times and 64-bit numbers cross as strings.
//   /traces/{id}           the trace as OTLP JSON, summary, newest verdict, history of verdicts (findings and skew
//   inside) /traces/{id}/verdict   the same without the spans
//   /search?state=incomplete|complete|timed_out|active|collecting|open&finding=orphan&service=...&q=TraceQL
//          &since=1h&start&end&limit&cursor
//                          newest first; `state` and `finding` may repeat or hold lists with commas (any of them);
//                          incomplete = collecting or timed_out, open = active or collecting; start and end are RFC
//                          3339 or Unix nanoseconds; `next` of a page is the `cursor` of the following one
//   /services, /red        calls, errors and latency of services (clew_services.h)
//   /stats, /config        counters; the configuration in force as YAML, secrets masked, with the asker's own tokens
// Errors: {"error":{"code":"INVALID_ARGUMENT","message":"..."}} with the HTTP status that belongs to the code.
#pragma once

#include "api/http_router.h"
#include "api/json_writer.h"
#include "api/query_common.h"

namespace clew::api {

constexpr uint32_t kClewDefaultLimit = 50;
constexpr uint32_t kClewMaxLimit = 1000;

void add_clew_routes(HttpRouter& router, const QueryDeps& deps);

void append_verdict_json(const model::Verdict& verdict, JsonWriter& json);
void append_summary_json(const model::TraceSummary& summary, JsonWriter& json);

}  // namespace clew::api
