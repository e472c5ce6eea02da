# shellcheck shell=bash disable=SC2154
# run: a node on loopback with the sample traces. --check: on free ports, query the samples back, stop.

# The counts that examples/README.md states.
sample_traces=49

run_cleanup() {
  if [ -n "${run_pid:-}" ] && kill -0 "$run_pid" 2>/dev/null; then
    kill -TERM "$run_pid"
    wait "$run_pid" || true
  fi
  if [ -n "${run_scratch:-}" ]; then rm -rf "$run_scratch"; fi
}

# wait_ready URL PID: until the node answers or ends
wait_ready() {
  local deadline=$((SECONDS + 60))
  while [ $SECONDS -lt $deadline ]; do
    kill -0 "$2" 2>/dev/null || die "the node ended; its last words are above"
    if build/release/clew bench get --server "$1" --repeat 1 /ready >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  die "the node was not ready after 60 s"
}

import_samples() {  # OTLP-ADDRESS
  local file
  for file in examples/traces/*.jsonl; do
    build/release/clew import --server "$1" --shift "$file" | sed "s|^|$(basename "$file"): |"
  done
}

# count_until N ARGS...: `clew search` finds N traces, within 20 s (verdicts need the quiet period)
count_until() {
  local wanted=$1 found=0 deadline=$((SECONDS + 20))
  shift
  while :; do
    found=$(build/release/clew search --json --limit 1000 "$@" 2>/dev/null | wc -l)
    [ "$found" -ge "$wanted" ] && return
    [ $SECONDS -lt $deadline ] || { echo "wanted $wanted traces of: clew search $*; found $found"; return 1; }
    sleep 0.2
  done
}

check_samples() {  # HTTP-ADDRESS
  local id
  count_until "$sample_traces" --server "$1" || return 1
  echo "all $sample_traces sample traces are found"
  count_until 40 --server "$1" --state complete || return 1
  # The specification's example and the messaging trace lack parents: they wait for them and are incomplete meanwhile.
  count_until 2 --server "$1" --state incomplete --finding orphan || return 1
  echo "verdicts: complete ones, and those with missing parents, are told apart"
  id=$(build/release/clew search --server "$1" --json --finding orphan --limit 1 | sed -E 's/.*"traceID":"([0-9a-f]+)".*/\1/')
  build/release/clew trace --server "$1" "$id" | grep -q missing || { echo "trace $id does not show what is missing"; return 1; }
  echo "clew trace shows what is missing"
}

dev_run() {
  local check='' ports=(4317 4318 16686 3200) control=(4330 4331 2379) data=build/run-data
  case ${1:-} in
    --check) check=1 ;;
    '') ;;
    *) die "run: unknown option '$1'" ;;
  esac
  build_preset release clew
  trap run_cleanup EXIT
  if [ -n "$check" ]; then
    claim_ports 4
    ports=("${claimed_ports[@]}")
    control=(0 0 0)
    run_scratch=$(mktemp -d)
    data=$run_scratch/data
  else
    rm -rf "$data"  # samples are loaded anew each time
  fi
  local otlp=127.0.0.1:${ports[1]} http=127.0.0.1:${ports[2]}
  say "starting build/release/clew serve (data in $data)"
  build/release/clew serve --data-dir "$data" --otlp-grpc "127.0.0.1:${ports[0]}" --otlp-http "$otlp" --http "$http" \
    --tempo "127.0.0.1:${ports[3]}" --peer "127.0.0.1:${control[0]}" --client "127.0.0.1:${control[1]}" \
    --etcd "127.0.0.1:${control[2]}" &
  run_pid=$!
  wait_ready "$http" "$run_pid"
  say "loading the sample traces, shifted to now"
  import_samples "$otlp"
  if [ -n "$check" ]; then
    say "querying them back"
    check_samples "$http" || exit 1
    say "stopping"
    kill -TERM "$run_pid"
    wait "$run_pid" || die "the node did not stop cleanly"
    run_pid=
    say "run --check: good"
    return
  fi
  cat <<TEXT

Clew is running: open  http://$http/

Send spans to it:                         OTLP/gRPC 127.0.0.1:${ports[0]}   OTLP/HTTP http://$otlp
Point Grafana or the Jaeger UI at it:     Jaeger http://$http   Tempo http://127.0.0.1:${ports[3]}
Try, in another terminal:
  build/release/clew search --since 1h
  build/release/clew search --since 1h --state incomplete
  build/release/clew trace \$(build/release/clew search --json --finding orphan --limit 1 | grep -o '[0-9a-f]\{32\}')
  build/release/clew search '{ duration > 100ms }'
  curl 'http://$http/clew/v1/stats'
Ctrl-C stops it.
TEXT
  trap 'kill -TERM "$run_pid"' INT TERM
  wait "$run_pid" || wait "$run_pid" || true
  run_pid=
}
