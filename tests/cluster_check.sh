#!/usr/bin/env bash
# `./dev cluster 3 --check`: three real nodes, the leader killed, read back by etcdctl. CLEW: the program under test.
set -euo pipefail
cd "$(dirname "$0")/.."
exec ./dev cluster 3 --check
