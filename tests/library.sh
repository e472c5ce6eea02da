#!/usr/bin/env bash
# libclew-consensus as its users see it: installed into an empty tree, found by CMake and by pkg-config, and the example
# built against it replicates a counter over three processes (tests/library.py).
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CLEW_BUILD_DIR:-build/release}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cmake --build "$build" --target clew_consensus_library >/dev/null
cmake --install "$build" --component consensus --prefix "$tree/usr" >/dev/null
if find "$tree/usr" -name '*_test.h' -o -name '*.cc' | grep -q .; then
  echo "the installed tree holds what is no part of the library"
  exit 1
fi
cmake -S examples/counter -B "$tree/by-cmake" -DCMAKE_PREFIX_PATH="$tree/usr" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$tree/by-cmake" >/dev/null
pc=$(dirname "$(find "$tree/usr" -name clew-consensus.pc)")
# shellcheck disable=SC2046  # flags are words
PKG_CONFIG_PATH=$pc g++ -O1 examples/counter/counter.cc -o "$tree/by-pkg-config" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs clew-consensus)
python3 tests/library.py "$tree/by-cmake/counter" "$tree/by-pkg-config"
