#!/usr/bin/env bash
# Faults around a Raft group of real processes, each history checked; see raft_faults.py.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
export RAFT_NODE=${CLEW_BUILD_DIR:-build/release}/bench/raft_node
exec python3 tests/raft_faults.py "$@"
