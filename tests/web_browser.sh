#!/usr/bin/env bash
# Each screen of the page in Debian's chromium against a real node: web/browser/smoke.mjs. Skipped where there is no
# chromium: it is large, and only `./dev web` installs it.
set -euo pipefail
cd "$(dirname "$0")/.."
web=${CLEW_BUILD_DIR:-build/release}/web
[ -e "$web/installed" ] || { echo "skipped: this build has no page (-DCLEW_UI=OFF)"; exit 77; }
export CLEW_SOURCE=$PWD CLEW=${CLEW:-$PWD/build/release/clew}
exec node "$web/browser/smoke.mjs"
