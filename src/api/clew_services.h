// Services in Clew's own API: what calls what, how often, how well and how fast (call_stats.h says what a call is).
//   /clew/v1/services?filter=TEXT&since|start|end every service and every call between two; with a filter those of
//                                                 services whose name holds it, counted over traces with such a service
//   /clew/v1/red?service=S&operation=O&since|start|end&points=60
//                                                 one service over time, its operations, its callers and callees
// The figures are counted over the newest traces of the range that fit the bounds below, never over a guess: the answer
// says how many that were, and from when on they cover the range (`coveredFromUnixNano`). Without a range: the last
// hour. Lists are cut to the busiest, `truncated` says so.
#pragma once

#include "api/http_router.h"
#include "api/query_common.h"

namespace clew::api {

constexpr uint32_t kServiceTraces = 10'000;
constexpr cluster::TraceBounds kServiceBounds = {};  // as for other searches that read whole traces
constexpr size_t kMaxListedServices = 1000;
constexpr size_t kMaxListedEdges = 5000;
constexpr size_t kMaxListedOperations = 200;
constexpr uint32_t kDefaultPoints = 60;
constexpr uint32_t kMaxPoints = 500;

void add_clew_service_routes(HttpRouter& router, const QueryDeps& deps);

}  // namespace clew::api
