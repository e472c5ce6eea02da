# shellcheck shell=bash disable=SC2154
# bench: the figures of a node, measured from outside (bench/ingest.py).
dev_bench() {
  case ${1:-} in
    ingest) shift ;;
    *) die "usage: ./dev bench ingest [--quick] [--scale X] [--json] [RUN...]; ./dev bench ingest --help" ;;
  esac
  need "${packages_build[@]}" python3
  build_preset release clew >&2
  CLEW=build/release/clew python3 bench/ingest.py "$@"
}
