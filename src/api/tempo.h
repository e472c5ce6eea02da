// Tempo's query API over HTTP, as Grafana's Tempo data source calls it: echo, ready, buildinfo, traces by id (v1 and
// v2, protobuf or protobuf-JSON by Accept), search by TraceQL or logfmt tags, with the attributes that `| select()`
// asks for in the span sets, tag names and values (v1 and v2). A v2 reply of a trace whose newest verdict is not
// "complete" carries status PARTIAL and the verdict's sentence as message, which stock Grafana shows. Metrics queries
// answer 501. Handlers run on any thread and answer on a query worker.
#pragma once

#include <string_view>

#include "api/http_router.h"
#include "api/query_common.h"

namespace clew::api {

constexpr uint32_t kTempoDefaultLimit = 20;
constexpr uint32_t kTempoMaxLimit = 1000;
constexpr uint32_t kTempoDefaultSpans = 3;
constexpr uint32_t kTempoMaxSpans = 100;
// The level of Tempo's API that this speaks: Grafana chooses its requests by it.
constexpr std::string_view kTempoApiVersion = "2.7.0";

enum class TempoByIdV1 : uint8_t { kYes, kNo };
enum class TempoReady : uint8_t { kYes, kNo };
// Under `prefix` ("" or "/tempo"). kNo leaves /api/traces/{id}, or /ready, to another owner of the path.
void add_tempo_routes(HttpRouter& router, const QueryDeps& deps, std::string_view prefix, TempoByIdV1 by_id,
                      TempoReady ready);

}  // namespace clew::api
