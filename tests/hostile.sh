#!/usr/bin/env bash
# Attacks on a node with its default limits; see hostile.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
command -v curl >/dev/null || { echo "skipped: curl is not installed"; exit 77; }
exec python3 "$(dirname "$0")/hostile.py"
