# ./dev cluster [3] [--check] [--consensus PROTOCOL]: a cluster of real nodes on loopback, in a temporary directory.
# Under pbft there are four unless told otherwise, and each gets a key to sign with.
# shellcheck shell=bash

cluster_pids=()
cluster_scratch=

cluster_cleanup() {
  local pid
  for pid in "${cluster_pids[@]}"; do [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true; done
  [ -z "$cluster_scratch" ] || rm -rf "$cluster_scratch"
}

# cluster_start ID: sets cluster_pids[ID].
cluster_start() {
  local id=$1 signing=()
  [ "$cluster_consensus" != pbft ] || signing=(--signing-key "$cluster_scratch/keys/signing-$id.key" --signing-members "$cluster_scratch/keys")
  "${CLEW:-build/release/clew}" serve "${signing[@]}" --data-dir "$cluster_scratch/node-$id" --node-id "$id" --initial-cluster "$cluster_founders" --consensus "$cluster_consensus" \
    --peer "127.0.0.1:${cluster_peer[$id]}" --client "127.0.0.1:${cluster_client[$id]}" --etcd "127.0.0.1:${cluster_etcd[$id]}" \
    --http "127.0.0.1:${cluster_http[$id]}" --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 --tempo 127.0.0.1:0 \
    >"$cluster_scratch/node-$id.log" 2>&1 &
  cluster_pids[id]=$!
}

# cluster_view ID: what the node says about its group.
cluster_view() { curl -sf --max-time 5 "http://127.0.0.1:${cluster_http[$1]}/api/clew/cluster"; }
cluster_field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/;t;d"; }

# Waits, at most a minute, until the node names a leader other than $2 and prints it.
cluster_leader() {
  local deadline=$((SECONDS + 60)) leader
  while [ $SECONDS -lt $deadline ]; do
    leader=$(cluster_view "$1" | cluster_field leader)
    if [ -n "$leader" ] && [ "$leader" != 0 ] && [ "$leader" != "${2:-0}" ]; then
      echo "$leader"
      return
    fi
    sleep 0.1
  done
  return 1
}

cluster_fail() {
  tail -n 20 "$cluster_scratch"/node-*.log >&2
  die "cluster: $*"
}

cluster_check() {
  local dead next got
  command -v etcdctl >/dev/null || { echo "skipped: etcdctl is not installed (etcd-client)"; exit 77; }
  export ETCDCTL_API=3
  dead=$(cluster_leader 1) || cluster_fail "no leader after a minute"
  say "node $dead leads; putting a key through node 1"
  etcdctl --endpoints "127.0.0.1:${cluster_etcd[1]}" put greeting hello >/dev/null || cluster_fail "etcdctl put failed"
  say "killing the leader, node $dead"
  kill -KILL "${cluster_pids[$dead]}"
  wait "${cluster_pids[$dead]}" 2>/dev/null || true
  cluster_pids[dead]=
  next=$((dead % cluster_size + 1))
  say "a linearizable get through node $next"
  got=$(etcdctl --endpoints "127.0.0.1:${cluster_etcd[$next]}" --command-timeout 30s get --consistency=l --print-value-only greeting) ||
    cluster_fail "etcdctl get failed"
  [ "$got" = hello ] || cluster_fail "got '$got', not 'hello'"
  cluster_leader "$next" "$dead" >/dev/null || cluster_fail "no new leader"
  say "starting node $dead again"
  cluster_start "$dead"
  got=$(etcdctl --endpoints "127.0.0.1:${cluster_etcd[$dead]}" --command-timeout 30s --dial-timeout 30s get --print-value-only greeting) ||
    cluster_fail "node $dead does not answer again"
  [ "$got" = hello ] || cluster_fail "node $dead has '$got', not 'hello'"
  local id
  for id in $(seq "$cluster_size"); do kill -TERM "${cluster_pids[$id]}"; done
  for id in $(seq "$cluster_size"); do
    wait "${cluster_pids[$id]}" || cluster_fail "node $id did not stop cleanly"
    cluster_pids[id]=
  done
  say "cluster --check: good"
}

dev_cluster() {
  local check='' id
  cluster_size='' cluster_consensus=raft
  while [ $# -gt 0 ]; do
    case $1 in
      --check) check=1 ;;
      --consensus)
        cluster_consensus=${2:?cluster: --consensus wants a protocol}
        shift
        ;;
      [1-9]) cluster_size=$1 ;;
      *) die "cluster: unknown option '$1'; use: ./dev cluster [NODES] [--check] [--consensus PROTOCOL]" ;;
    esac
    shift
  done
  : "${cluster_size:=$([ "$cluster_consensus" = pbft ] && echo 4 || echo 3)}"
  if [ -z "${CLEW:-}" ]; then
    build_preset release clew
    [ -z "$check" ] || need curl etcd-client
  fi
  cluster_scratch=$(mktemp -d)
  trap cluster_cleanup EXIT
  cluster_peer=() cluster_client=() cluster_etcd=() cluster_http=()
  cluster_founders=
  for id in $(seq "$cluster_size"); do
    local ports
    if [ -n "$check" ]; then
      claim_ports 4
      ports=("${claimed_ports[@]}")
    else
      ports=($((4330 + 10 * id)) $((4331 + 10 * id)) $((2369 + 10 * id)) $((16676 + 10 * id)))
    fi
    cluster_peer[id]=${ports[0]} cluster_client[id]=${ports[1]} cluster_etcd[id]=${ports[2]} cluster_http[id]=${ports[3]}
    cluster_founders+="${cluster_founders:+,}$id=127.0.0.1:${ports[0]}"
  done
  if [ "$cluster_consensus" = pbft ]; then
    for id in $(seq "$cluster_size"); do "${CLEW:-build/release/clew}" keys signing "$id" --dir "$cluster_scratch/keys" >/dev/null; done
  fi
  say "starting $cluster_size nodes on $cluster_consensus (data and logs in $cluster_scratch)"
  for id in $(seq "$cluster_size"); do cluster_start "$id"; done
  if [ -n "$check" ]; then
    cluster_check
    return
  fi
  cluster_leader 1 >/dev/null || cluster_fail "no leader after a minute"
  local writer=127.0.0.1:${cluster_client[1]} reader=127.0.0.1:${cluster_client[$cluster_size]}
  if [ "$cluster_consensus" = pbft ]; then  # whose clients believe no single member: they are told all
    writer=$(printf ',127.0.0.1:%s' "${cluster_client[@]}")
    writer=${writer#,} reader=$writer
  fi
  cat <<TEXT

A cluster of $cluster_size is running. Try, in another terminal:
  build/release/clew status --server 127.0.0.1:${cluster_client[1]}
  build/release/clew kv put greeting hello --server $writer
  build/release/clew kv get greeting --server $reader
  ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:${cluster_etcd[1]} endpoint status
  curl http://127.0.0.1:${cluster_http[1]}/api/clew/cluster
  kill -9 PID    # a node's: $(for id in $(seq "$cluster_size"); do printf 'node %s: %s  ' "$id" "${cluster_pids[$id]}"; done)
Ctrl-C stops all of them.
TEXT
  wait
}
