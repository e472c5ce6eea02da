#!/usr/bin/env bash
# Bad input through etcd's API of real nodes; see etcd_hostile.py.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/etcd_hostile.py "$@"
