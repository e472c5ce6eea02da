# shellcheck shell=bash disable=SC2154,SC2034
# mutants: the planted bugs against the simulator: for each the seeds that it took to find it (docs: src/consensus/planted.h).

dev_mutants() {
  build_preset release clew_mutants
  build/release/clew_mutants --jobs "$jobs" "$@"
}
