#!/usr/bin/env bash
# The models that take seconds: what holds holds, and every planted mistake is found.
set -euo pipefail
command -v spin >/dev/null || { echo "spin is not installed (./dev models installs it)"; exit 77; }
exec python3 models/check.py --quick
