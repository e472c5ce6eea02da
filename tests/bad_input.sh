#!/usr/bin/env bash
# Hostile input against a real node; see bad_input.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/bad_input.py"
