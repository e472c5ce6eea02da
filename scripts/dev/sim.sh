# shellcheck shell=bash disable=SC2154,SC2034
# sim: consensus groups in simulated worlds: builds `clew` and hands its arguments to `clew sim`, whose help tells them.

dev_sim() {
  build_preset release clew
  build/release/clew sim "$@"
}
