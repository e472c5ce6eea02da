#include "api/query_router.h"

#include "api/clew_api.h"
#include "api/jaeger.h"
#include "api/tempo.h"

namespace clew::api {

void add_query_routes(HttpRouter& router, const QueryDeps& deps, QueryPort port) {
  const bool jaeger = port == QueryPort::kJaeger;
  add_jaeger_v1_routes(router, deps, "", jaeger ? JaegerById::kYes : JaegerById::kNo);
  add_jaeger_v3_routes(router, deps, "");
  add_tempo_routes(router, deps, "", jaeger ? TempoByIdV1::kNo : TempoByIdV1::kYes, TempoReady::kNo);
  add_jaeger_v1_routes(router, deps, "/jaeger", JaegerById::kYes);
  add_jaeger_v3_routes(router, deps, "/jaeger");
  add_tempo_routes(router, deps, "/tempo", TempoByIdV1::kYes, TempoReady::kYes);
  add_clew_routes(router, deps);
}

}  // namespace clew::api
