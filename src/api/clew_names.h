// GET /clew/v1/names: names for completion, chosen where they are, so that a list of a hundred thousand costs the asker
// no more than what it shows.
//   ?of=services|operations|keys|values&text=&limit=100
//   operations: of `service` (absent: of all); values: of `key`, as TraceQL writes it (resource.host.name,
//   .http.method)
// {"names":["cart","cart-db"],"truncated":false}: those that hold `text` (ASCII letters of either case), first those
// that begin with it. `truncated`: there are more; type on. Any thread.
#pragma once

#include <cstdint>

#include "api/http_router.h"
#include "api/query_common.h"

namespace clew::api {

constexpr uint32_t kDefaultNames = 100;
constexpr uint32_t kMaxNames = 1000;

void add_clew_name_routes(HttpRouter& router, const QueryDeps& deps);

}  // namespace clew::api
