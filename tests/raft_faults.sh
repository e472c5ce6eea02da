#!/usr/bin/env bash
# Faults around a Raft group of real processes, each history checked; see raft_faults.py.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v openssl >/dev/null || { echo "skipped: openssl is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
for program in "${CLEW:=build/release/clew}" "${RAFT_NODE:=build/release/bench/raft_node}" "${FAULTY_MACHINE_LIBRARY:=build/release/tests/libfaulty_machine.so}"; do
  [ -e "$program" ] || { echo "$program is not built"; exit 1; }
done
export CLEW RAFT_NODE FAULTY_MACHINE_LIBRARY
exec python3 tests/raft_faults.py "$@"
