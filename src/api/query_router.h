// The routes of the two query ports. Both serve everything: Jaeger's, Tempo's and Clew's own paths, and /jaeger/... and
// /tempo/... wherever one must be sure. They differ in /api/traces/{id}, which Jaeger and Tempo both own: it is the
// port's. /ready, /health and /metrics are left to the server that owns the port; /tempo/ready is here.
#pragma once

#include "api/http_router.h"
#include "api/query_common.h"

namespace clew::api {

enum class QueryPort : uint8_t { kJaeger, kTempo };
void add_query_routes(HttpRouter& router, const QueryDeps& deps, QueryPort port);

}  // namespace clew::api
