# shellcheck shell=bash disable=SC2154,SC2034
# fuzz: libFuzzer targets of fuzz/*_fuzz.cc. Without a target: each for a few seconds, and the planted fault must be found.
dev_fuzz() {
  local target='' seconds=60
  while [ $# -gt 0 ]; do
    case $1 in
      --seconds) seconds=$2; shift ;;
      *) target=${1%_fuzz} ;;
    esac
    shift
  done
  need "${packages_build[@]}" "${packages_clang[@]}"
  build_preset fuzz
  if [ -z "$target" ]; then
    CLEW_FUZZ_SECONDS=$((seconds < 60 ? seconds : 4)) tests/fuzz_smoke.sh
    return
  fi
  local program=build/fuzz/fuzz/${target}_fuzz corpus=build/fuzz/corpus/$target
  [ -x "$program" ] || die "no fuzz target '$target'; there are: $(cd fuzz && echo ./*_fuzz.cc)"
  mkdir -p "$corpus"
  say "fuzzing $target for $seconds s; finds go to build/fuzz/findings, new inputs to $corpus"
  mkdir -p build/fuzz/findings
  "$program" -max_total_time="$seconds" -artifact_prefix=build/fuzz/findings/ -timeout=10 -rss_limit_mb=2048 "$corpus" "fuzz/corpus/$target"
}
