# shellcheck shell=bash disable=SC2154,SC2034
# mutants: the planted bugs against the simulator: for each the seeds that it took to find it. Without options the table
# of docs/mutants.md is written anew.

dev_mutants() {
  build_preset release clew_mutants
  if [ $# -eq 0 ]; then
    build/release/clew_mutants --jobs "$jobs" --table docs/mutants.md
  else
    build/release/clew_mutants --jobs "$jobs" "$@"
  fi
}
