// What a plane counted, for one scrape of /metrics: docs/consensus-metrics.md names them. On the plane's loop.
#pragma once

#include <vector>

#include "consensus/telemetry.h"
#include "control/plane.h"
#include "control/server.h"

namespace clew::control {

// `server`: of our own client protocol, when there is one.
std::vector<consensus::MetricValue> plane_metrics(const Plane& plane, const ServerStats* server);

}  // namespace clew::control
