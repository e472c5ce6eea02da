#!/usr/bin/env bash
# `./dev bench raft` in a tiny size, with and without TLS, so that it cannot rot; its figures say nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
command -v openssl >/dev/null || { echo "skipped: openssl is not installed"; exit 77; }
export RAFT_NODE=${CLEW_BUILD_DIR:-build/release}/bench/raft_node
python3 bench/raft.py --quick throughput reads failover
python3 bench/raft.py --quick --tls throughput
