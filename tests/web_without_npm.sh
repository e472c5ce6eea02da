#!/usr/bin/env bash
# Where npm reaches no registry, the build goes on without the page: the steps of cmake/Web.cmake with an npm that fails
# say so and leave a source with no files, that compiles. What the node then answers is src/api/ui_test.cc's business.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cmake -DFROM="$PWD/web" -DTO="$out" -DNPM=false -P cmake/WebInstall.cmake >"$out/said" 2>&1
grep -q 'this clew is built without' "$out/said" || { cat "$out/said"; echo "the build does not say that it goes without the page"; exit 1; }
cmake -DFROM="$PWD/web" -DTO="$out" -DNODE=false -P cmake/WebBuild.cmake
grep -q 'kUiFileCount = 0' "$out/ui_files_data.cc"
"${CXX:-c++}" -std=c++20 -Isrc -fsyntax-only "$out/ui_files_data.cc"
