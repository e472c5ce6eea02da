#!/usr/bin/env bash
# The test data in a real node; see data_import.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/data_import.py"
