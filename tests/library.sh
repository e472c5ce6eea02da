#!/usr/bin/env bash
# The libraries as their users see them: installed into an empty tree, found by CMake and by pkg-config. The example of
# libclew-consensus replicates a counter over three processes (tests/library.py), that of libclew-client appends lines
# to a cluster whose leaders are killed, each exactly once (tests/control.py).
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CLEW_BUILD_DIR:-build/release}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cmake --build "$build" --target clew_consensus_library --target clew_client_library >/dev/null
cmake --install "$build" --component consensus --prefix "$tree/usr" >/dev/null
cmake --install "$build" --component client --prefix "$tree/client" >/dev/null
if find "$tree" -name '*_test.h' -o -name '*.cc' | grep -q .; then
  echo "the installed tree holds what is no part of the library"
  exit 1
fi
cmake -G Ninja -S examples/counter -B "$tree/by-cmake" -DCMAKE_PREFIX_PATH="$tree/usr" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$tree/by-cmake" >/dev/null
pc=$(dirname "$(find "$tree/usr" -name clew-consensus.pc)")
# shellcheck disable=SC2046  # flags are words
PKG_CONFIG_PATH=$pc g++ -O1 examples/counter/counter.cc -o "$tree/by-pkg-config" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs clew-consensus)
python3 tests/library.py "$tree/by-cmake/counter" "$tree/by-pkg-config"
cmake -G Ninja -S examples/kv-client -B "$tree/kv-client" -DCMAKE_PREFIX_PATH="$tree/client" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$tree/kv-client" >/dev/null
pc=$(dirname "$(find "$tree/client" -name clew-client.pc)")
# shellcheck disable=SC2046  # flags are words
PKG_CONFIG_PATH=$pc g++ -O1 examples/kv-client/kv_client.cc -o "$tree/kv-by-pkg-config" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs clew-client)
KV_CLIENT=$tree/kv-client/kv-client python3 tests/control.py
