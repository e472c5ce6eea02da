#!/usr/bin/env bash
# Whole nodes under faults, the histories of their clients judged; see cluster_faults.py.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in "${CLEW:=build/release/clew}" "${CLEW_NEXT:=build/release/tests/clew_next}" "${HISTORY_CLIENTS:=build/release/tests/history_clients}" \
               "${FAULTY_MACHINE_LIBRARY:=build/release/tests/libfaulty_machine.so}"; do
  [ -e "$program" ] || { echo "$program is not built"; exit 1; }
done
export CLEW CLEW_NEXT HISTORY_CLIENTS FAULTY_MACHINE_LIBRARY
exec python3 tests/cluster_faults.py "$@"
