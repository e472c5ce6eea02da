# shellcheck shell=bash disable=SC2154,SC2034
# san: the unit tests under the sanitizers. TSan only where no uninstrumented library with threads is linked (gRPC is one).
tsan_layers='base|env|os|sim|wal|clock|model|otlp|trace|store'

san_run() {  # PRESET TARGET-REGEX
  local preset=$1 targets
  need "${packages_build[@]}"
  [ -e "build/$preset/build.ninja" ] || build_preset "$preset" help >/dev/null
  mapfile -t targets < <(targets_of "$preset" "$2")
  [ ${#targets[@]} -gt 0 ] || die "no test targets in build/$preset"
  build_preset "$preset" "${targets[@]}"
  say "$preset: ${targets[*]}"
  local target failed=0
  for target in "${targets[@]}"; do
    "$(find "build/$preset" -name "$target" -type f -perm -u+x | head -1)" --gtest_brief=1 || { echo "FAILED under $preset: $target"; failed=1; }
  done
  return $failed
}

dev_san() {
  local failed=0
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
  case ${1:-all} in asan|all) san_run asan-ubsan '[a-z]+_test' || failed=1 ;; esac
  case ${1:-all} in tsan|all) san_run tsan "($tsan_layers)_test" || failed=1 ;; esac
  if [ $failed = 0 ]; then say "sanitizers: clean"; fi
  return $failed
}
