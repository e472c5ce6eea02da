#!/usr/bin/env bash
# `./dev bench ingest` in a tiny size, so that it cannot rot; its figures say nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
python3 bench/ingest.py --quick saturated paced small transports
