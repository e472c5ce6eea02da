#!/usr/bin/env bash
# clew check-history: its exit codes, and the example of docs/format/history.md word for word.
set -euo pipefail
doc=docs/format/history.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expect() {  # expected exit code, arguments
  local want=$1 got=0
  shift
  "$CLEW" check-history "$@" >"$work/out" 2>"$work/err" || got=$?
  [[ $got == "$want" ]] || { echo "check-history $*: exit code $got, not $want"; cat "$work/out" "$work/err"; exit 1; }
}
# The two blocks of the example.
awk '/^## Example/ {on=1} /^## Its/ {on=0} on && /^```/ {block++; next} on && block==1' "$doc" > "$work/stale.jsonl"
awk '/^## Example/ {on=1} /^## Its/ {on=0} on && /^```/ {block++; next} on && block==3' "$doc" > "$work/told"
[[ -s $work/stale.jsonl && -s $work/told ]]
expect 1 "$work/stale.jsonl"
grep -qF "$(tail -1 "$work/told")" "$work/out"
[[ $(grep -cFf "$work/told" "$work/out") == "$(wc -l < "$work/told")" ]] || { echo "told otherwise:"; cat "$work/out"; exit 1; }
expect 1 --json --checker linearizability "$work/stale.jsonl"
python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert r["verdict"]=="violated" and r["operations"]==3, r' "$work/out"
expect 2 --checker durability "$work/stale.jsonl"   # no final reads: nothing shown to hold
head -5 "$work/stale.jsonl" > "$work/good.jsonl"
expect 0 "$work/good.jsonl"
expect 0 - < "$work/good.jsonl"
# A recorder that was killed in the middle of a line.
{ cat "$work/good.jsonl"; printf '{"event":"inv'; } > "$work/torn.jsonl"
expect 0 "$work/torn.jsonl"
grep -q 'not whole' "$work/out"
# Twenty unknown additions of powers of two, and a sum that none of them gives.
{ echo '{"clew_history":1,"workload":"counter"}'
  for i in $(seq 1 20); do echo "{\"event\":\"invoke\",\"process\":$i,\"kind\":\"add\",\"key\":\"c\",\"amount\":$((2 ** i))}"; done
  echo '{"event":"invoke","process":0,"kind":"read","key":"c"}'
  echo '{"event":"return","process":0,"outcome":"ok","number":1}'; } > "$work/hard.jsonl"
expect 2 --budget 1000 "$work/hard.jsonl"
expect 3 "$work/missing.jsonl"
echo '{"clew_history":1,"workload":"register"}{' > "$work/bad.jsonl"
expect 3 "$work/bad.jsonl"
grep -q 'line 1' "$work/err"
expect 3 --checker nonsense "$work/good.jsonl"
echo "check-history: exit codes and example are as documented"
