#!/usr/bin/env bash
# Real nodes as one control group; see cluster.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/cluster.py" "$@"
