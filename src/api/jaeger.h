// Jaeger's query API over HTTP, as Jaeger UI and Grafana's Jaeger data source call it.
//   v1: /api/services, /api/services/{s}/operations, /api/operations, /api/traces, /api/traces/{id}, /api/dependencies,
//       POST /api/transform; /api/metrics/... answer 501 as a Jaeger without a metrics store does.
//   v3: /api/v3/services, operations, traces, traces/{id}, trace-summaries, parameters in snake_case or camelCase.
// A trace that is not there is 404, never 200 with nothing in it. Times are shown as sent (`raw` changes nothing).
// Handlers run on any thread and answer on a query worker.
#pragma once

#include <string_view>

#include "api/http_router.h"
#include "api/query_common.h"

namespace clew::api {

constexpr uint32_t kJaegerDefaultLimit = 100;
constexpr uint32_t kJaegerMaxLimit = 1500;   // the most that its UI offers
constexpr uint32_t kDependencyTraces = 500;  // of the newest, that /api/dependencies looks at
constexpr size_t kMaxTraceIds = 100;         // of one request

enum class JaegerById : uint8_t { kYes, kNo };
// Under `prefix` ("" or "/jaeger"). kNo leaves /api/traces/{id} to another owner of the path.
void add_jaeger_v1_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix, JaegerById by_id);
void add_jaeger_v3_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix);

}  // namespace clew::api
