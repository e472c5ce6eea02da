// What /metrics says about this process, read from /proc. Any thread; a few microseconds.
#pragma once

#include "api/metrics.h"

namespace clew::app {
api::ProcessStats read_process_stats();
}  // namespace clew::app
