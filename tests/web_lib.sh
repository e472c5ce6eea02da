#!/usr/bin/env bash
# The pure parts of the page (web/src/lib) by their unit tests, in the copy of web/ that the build made.
set -euo pipefail
web=${CLEW_BUILD_DIR:-build/release}/web
[ -e "$web/installed" ] || { echo "skipped: this build has no page (-DCLEW_UI=OFF)"; exit 77; }
cd "$web"
exec node node_modules/vitest/vitest.mjs run
