# shellcheck shell=bash disable=SC2154,SC2034
# san: unit tests under the sanitizers, each target built and run on its own (the whole tree instrumented takes an hour).
# ASan + UBSan: whatever reads bytes of strangers or of the disk. TSan: what runs on several threads, and only where no
# uninstrumented library with threads of its own is linked (gRPC is one; api and app are not for it).
# usage: ./dev san [asan|tsan] [LAYER...]
asan_layers=(otlp wal store consensus kv control sim cluster api)
tsan_layers=(os wal sim store cluster)
# The crash matrices and the flood run on one simulated thread: minutes under TSan, and nothing for it to see.
tsan_skipped='-WalCrash*:*power_cut*:*memory_stays_below*'

# What libraries keep until the process ends, by their names.
lsan_suppressions='leak:libcares.so'  # gRPC's resolver: five strings of its settings

san_run() {  # PRESET GTEST-FILTER LAYER...
  local preset=$1 filter=$2 layer program failed=0
  shift 2
  need "${packages_build[@]}"
  for layer in "$@"; do
    build_preset "$preset" "${layer}_test"
    program=build/$preset/${layer}_test
    say "$preset: $program"
    "$program" --gtest_brief=1 --gtest_filter="$filter" || { echo "FAILED under $preset: $program"; failed=1; }
  done
  return $failed
}

dev_san() {
  local failed=0 which=all asan=("${asan_layers[@]}") tsan=("${tsan_layers[@]}")
  case ${1:-} in asan|tsan) which=$1; shift ;; esac
  if [ $# -gt 0 ]; then asan=("$@") tsan=("$@"); fi
  local suppressions
  suppressions=$(mktemp)
  echo "$lsan_suppressions" >"$suppressions"
  export LSAN_OPTIONS=suppressions=$suppressions:print_suppressions=0
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
  if [ "$which" != tsan ]; then san_run asan-ubsan '*' "${asan[@]}" || failed=1; fi
  if [ "$which" != asan ]; then san_run tsan "$tsan_skipped" "${tsan[@]}" || failed=1; fi
  rm -f "$suppressions"
  if [ $failed = 0 ]; then say "sanitizers: clean"; fi
  return $failed
}
