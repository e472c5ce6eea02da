#!/usr/bin/env bash
# `./dev run --check`: the first thing that a newcomer runs.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(readlink -f "${CLEW:-build/release/clew}")" = "$(readlink -f build/release/clew)" ] || { echo "./dev run uses build/release, this is another build"; exit 77; }
exec ./dev run --check
