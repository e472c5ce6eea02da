#!/usr/bin/env bash
# Broken disks, wrong directories, taken ports, ends under load; see faults.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/faults.py" "$@"
