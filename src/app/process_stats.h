// What this process has used. Any thread.
#pragma once

#include <cstdint>

#include "api/metrics.h"

namespace clew::app {

api::ProcessStats read_process_stats();  // for /metrics, from /proc; a few microseconds
int64_t thread_cpu_ns();                 // CPU time of the calling thread; a fraction of a microsecond

}  // namespace clew::app
