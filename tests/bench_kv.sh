#!/usr/bin/env bash
# The figures of the key-value store in a tiny size, so that they cannot rot. CLEW: the program under test.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
export ETCD_LOAD=${CLEW_BUILD_DIR:-build/release}/bench/etcd_load
systems=clew
if command -v etcd >/dev/null && command -v etcdctl >/dev/null && [ -x "$ETCD_LOAD" ]; then systems+=,etcd; fi
python3 bench/kv.py table failover --quick --seconds 0.2 --rounds 1 --systems "$systems"
