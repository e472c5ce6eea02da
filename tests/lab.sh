#!/usr/bin/env bash
# clew lab: the same seed gives the same bytes, figures and plots; the two theorems show; what is wrong is refused.
set -euo pipefail
cd "$(dirname "$0")/.."
clew=${CLEW:-build/release/clew}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck disable=SC2054  # the commas are in the words
small=(lab --protocols raft,multipaxos --nodes 3 --load 1,8 --failovers 1 --faults none,byzantine)
"$clew" "${small[@]}" --json --svg "$scratch/one" >"$scratch/one.json"
"$clew" "${small[@]}" --json --svg "$scratch/two" >"$scratch/two.json"
cmp "$scratch/one.json" "$scratch/two.json"
diff -r "$scratch/one" "$scratch/two"
python3 - "$scratch" <<'PY'
import json, os, sys
import xml.dom.minidom
report = json.load(open(os.path.join(sys.argv[1], "one.json")))
assert len(report["cells"]) == 2 and len(report["liars"]) == 2, report
assert all(cell["points"][0]["commands"] > 100 for cell in report["cells"]), report
assert all(cell["violation"] for cell in report["liars"]), report["liars"]
plots = sorted(os.listdir(os.path.join(sys.argv[1], "one")))
assert plots == ["failover-lan.svg", "latency-lan.svg", "messages-lan.svg"], plots
for plot in plots:
    xml.dom.minidom.parse(os.path.join(sys.argv[1], "one", plot))
PY

"$clew" lab flp --seeds 50 | grep -q "and so for ever"
"$clew" lab flp --seeds 50 | grep -q "50 of 50 decided"
"$clew" lab flp --seeds 50 --json | python3 -c 'import json, sys; d = json.load(sys.stdin); assert not d["fixed"]["decided"] and d["fixed"]["cycles"] > 1000'
"$clew" lab cap | grep -q "availability first: linearizability violated"
"$clew" lab cap --json | python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["consistency_first"] == "fine" and d["availability_first"] == "violated"'

refused() {
  local code=0
  "$clew" lab "$@" >/dev/null 2>"$scratch/why" || code=$?
  if [ "$code" != 2 ]; then
    echo "clew lab $* ended with $code instead of 2"
    exit 1
  fi
}
refused --protocols nonsense
grep -q "there are: raft" "$scratch/why"
refused --latency far
refused --faults gremlins
refused --nodes 0
refused --load 1,x
refused --nodes ''

# What docs/lab.md shows is what the program prints, but for figures.
python3 tests/lab_blocks.py
