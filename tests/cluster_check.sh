#!/usr/bin/env bash
# `./dev cluster --check`: real nodes, the leader killed, read back by etcdctl; under Raft, and where members sign.
# CLEW: the program under test.
set -euo pipefail
cd "$(dirname "$0")/.."
./dev cluster 3 --check
./dev cluster --check --consensus pbft
