# shellcheck shell=bash disable=SC2154
# bench: the figures of a node, measured from outside (bench/ingest.py), of a Raft group (bench/raft.py), and of the key-value store
# beside others (bench/kv.py).
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
    kv)
      local targets=(clew etcd_load) word
      need etcd-server etcd-client  # the usual peer
      for word in "$@"; do
        [[ $word == *zookeeper* ]] || continue
        need zookeeper libzookeeper-mt-dev default-jre-headless
        targets+=(zookeeper_load)
      done
      build_preset release "${targets[@]}" >&2
      CLEW=build/release/clew ETCD_LOAD=build/release/bench/etcd_load ZOOKEEPER_LOAD=build/release/bench/zookeeper_load \
        python3 bench/kv.py "$@"
      ;;
    *) die "usage: ./dev bench ingest [--quick] [--scale X] [--json] [RUN...]; ./dev bench raft [--quick] [--json] [RUN...]; ./dev bench kv [--quick] [--peers etcd,zookeeper] [--consensus raft,zab] [--json] [RUN...]; --help for each" ;;
  esac
}
