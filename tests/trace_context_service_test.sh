#!/usr/bin/env bash
# The W3C Trace Context conformance cases, against the service that the public suite would drive as well.
set -euo pipefail
bin=$CLEW_BUILD_DIR/tests
[ -x "$bin/trace_context_service" ] || { echo "not built: trace_context_service"; exit 77; }
coproc SERVICE { exec timeout 120 "$bin/trace_context_service" --port 0; }
service=$SERVICE_PID
trap 'kill "$service" 2>/dev/null || true' EXIT
read -r -t 20 line <&"${SERVICE[0]}" || { echo "the service did not start"; exit 1; }
timeout 100 "$bin/trace_context_driver" "${line##* }"
