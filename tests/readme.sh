#!/usr/bin/env bash
# What the documents say; see readme.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/readme.py"
