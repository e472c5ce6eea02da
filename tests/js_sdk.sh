#!/usr/bin/env bash
# The OpenTelemetry JS SDK against a real node; see js_sdk.py.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/js_sdk.py"
