#!/usr/bin/env bash
# The commands of the control plane against real nodes. CLEW: the program under test.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/control.py
