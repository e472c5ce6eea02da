# shellcheck shell=bash disable=SC2154
# bench: the figures of a node, measured from outside (bench/ingest.py), and of a Raft group (bench/raft.py).
dev_bench() {
  local what=${1:-}
  [ $# -eq 0 ] || shift
  need "${packages_build[@]}" python3
  case $what in
    ingest)
      build_preset release clew >&2
      CLEW=build/release/clew python3 bench/ingest.py "$@"
      ;;
    raft)
      build_preset release raft_node >&2
      RAFT_NODE=build/release/bench/raft_node python3 bench/raft.py "$@"
      ;;
    *) die "usage: ./dev bench ingest [--quick] [--scale X] [--json] [RUN...]; ./dev bench raft [--quick] [--json] [RUN...]; --help for each" ;;
  esac
}
