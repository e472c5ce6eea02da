#!/usr/bin/env bash
# The npm client etcd3 against the etcd API; see etcd_js.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/etcd_js.py"
