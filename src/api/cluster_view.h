// GET /api/clew/cluster: the control group as JSON: members with roles, states and positions, alarms, and what is wrong
// in plain words; docs/apis.md has the shape. Answers without a quorum, too. Any thread; `service` outlives the router.
#pragma once

#include <string>

#include "api/http_router.h"
#include "control/service.h"

namespace clew::api {

void add_cluster_routes(HttpRouter& router, control::Service& service);
std::string cluster_json(const control::GroupStatus& status);

}  // namespace clew::api
