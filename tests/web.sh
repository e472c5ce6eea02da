#!/usr/bin/env bash
# The page as a node serves it; see web.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/web.py"
