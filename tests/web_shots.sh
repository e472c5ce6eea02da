#!/usr/bin/env bash
# The pictures of README.md and docs/ come from a script that runs: each picture that a document shows is made, of the
# sample traces, and none is empty. They are compared with nothing: fonts and times differ between machines.
set -euo pipefail
cd "$(dirname "$0")/.."
web=${CLEW_BUILD_DIR:-build/release}/web
[ -e "$web/installed" ] || { echo "skipped: this build has no page (-DCLEW_UI=OFF)"; exit 77; }
export CLEW_SOURCE=$PWD CLEW=${CLEW:-$PWD/build/release/clew}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
code=0
node "$web/browser/shots.mjs" "$out" || code=$?
[ "$code" = 0 ] || exit "$code"
while read -r name; do
  [ -s "docs/$name" ] || { echo "docs/$name is named by a document and absent"; exit 1; }
  made=$out/${name#images/}
  [ -s "$made" ] || { echo "$name is shown by a document, and shots.mjs does not make it"; exit 1; }
  [ "$(head -c 8 "$made" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || { echo "$made is no PNG"; exit 1; }
done < <(grep -hoE 'images/[a-z-]+\.png' README.md docs/*.md | sort -u)
