#!/usr/bin/env bash
# etcdctl against three real nodes; see etcd_cluster.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/etcd_cluster.py" "$@"
