#!/usr/bin/env bash
# A few seconds of each fuzzer over its corpus. The planted fault comes first: a harness that cannot find it proves nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=build/fuzz/fuzz
seconds=${CLEW_FUZZ_SECONDS:-4}
[ -x $bin/planted_fuzz ] || { echo "the fuzzers are not built (clang): ./dev fuzz"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/planted"  # the first folder collects new inputs
if $bin/planted_fuzz -max_total_time=30 -seed=1 -artifact_prefix="$scratch/" "$scratch/planted" fuzz/corpus/planted >"$scratch/planted.log" 2>&1; then
  tail -20 "$scratch/planted.log"
  echo "the planted fault was NOT found: the fuzzing harness is broken"
  exit 1
fi
grep -q 'heap-buffer-overflow\|stack-buffer-overflow' "$scratch/planted.log" || { tail -30 "$scratch/planted.log"; echo "planted_fuzz failed for another reason"; exit 1; }
echo "planted fault: found"
one() {
  local program=$1 name
  name=$(basename "$program" _fuzz)
  local corpus=("$2/$name")  # the first one collects what is new
  mkdir -p "$2/$name"
  if [ -d "fuzz/corpus/$name" ]; then corpus+=("fuzz/corpus/$name"); fi
  if "$program" -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$2/$name-" "${corpus[@]}" >"$2/$name.log" 2>&1; then
    echo "$name: $(grep -o 'Done [0-9]* runs.*' "$2/$name.log")"
  else
    tail -40 "$2/$name.log"
    echo "$name: FAILED"
    return 1
  fi
}
export -f one
find $bin -maxdepth 1 -name '*_fuzz' -type f -perm -u+x ! -name planted_fuzz | sort |
  xargs -r -P 2 -I{} bash -c "one {} '$scratch' $seconds"
