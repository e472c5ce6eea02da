#!/usr/bin/env bash
# The figures of the page in a tiny size, so that measuring them cannot rot; no time is compared. The weight of the first
# load is no time: it must stay below 100 KiB.
set -euo pipefail
cd "$(dirname "$0")/.."
web=${CLEW_BUILD_DIR:-build/release}/web
[ -e "$web/installed" ] || { echo "skipped: this build has no page (-DCLEW_UI=OFF)"; exit 77; }
export CLEW_SOURCE=$PWD CLEW=${CLEW:-$PWD/build/release/clew}
node "$web/browser/figures.mjs" --quick --json | tee "$web/figures.json"
[ "${PIPESTATUS[0]}" = 0 ] || exit "${PIPESTATUS[0]}"
node -e 'const f = JSON.parse(require("fs").readFileSync(process.argv[1])); if (!(f.script_bytes > 0 && f.script_bytes <= 100 * 1024)) { console.log("the first load has " + f.script_bytes + " bytes of JavaScript"); process.exit(1); }' "$web/figures.json"
