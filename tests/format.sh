#!/usr/bin/env bash
# Every C++ file is as clang-format leaves it. `./dev format` mends it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "not a git checkout"; exit 77; }
git ls-files '*.cc' '*.h' | xargs -P "$(nproc)" -n 16 clang-format --dry-run -Werror
