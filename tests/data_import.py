#!/usr/bin/env python3
"""All of the test data imported into one node, each set as a tenant of its own, and counted against its README: traces, spans,
traces with orphans. Counted again after a restart. (`clew verify` is held to the defect counts by app/verify_test.cc.)"""
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import Node, skip, until  # noqa: E402

DATA = os.environ.get("CLEW_TEST_DATA", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared", "data"))
CONFIG = """
traces: {quiet_period: 1s, trace_timeout: 2s, max_open: 20s}
storage: {seal_delay: 500ms, durability: os}
"""


def identical_spans(path):
    """Spans of a file that repeat an earlier one in everything: a store keeps one of them."""
    seen, repeated = set(), 0
    with open(path) as file:
        for line in file:
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        key = json.dumps([resource["resource"], scope.get("scope"), span], sort_keys=True)
                        repeated += key in seen
                        seen.add(key)
    return repeated


def sets():
    """(name, files, traces, spans, traces with orphans) as the READMEs state them."""
    for name in ["nezha-tt", "nezha-ob", "traceweaver"]:
        folder = os.path.join(DATA, name)
        with open(os.path.join(folder, "README.md")) as file:
            readme = file.read()
        count = {key: int(re.search(r"^\| %s \| ([\d,]+) \|" % key, readme, re.M).group(1).replace(",", ""))
                 for key in ["traces", "spans", "orphan_spans"]}
        assert count["orphan_spans"] == 0, "this test counts no orphans in " + name
        yield name, [os.path.join(folder, "traces.jsonl.zst")], count["traces"], count["spans"], 0
    zoo = os.path.join(DATA, "zoo")
    with open(os.path.join(zoo, "index.json")) as file:
        index = json.load(file)
    index = index if isinstance(index, list) else index["files"]
    for entry in index:
        path = os.path.join(zoo, entry["file"])
        yield ("zoo-" + entry["file"].removesuffix(".jsonl"), [path], entry["counts"]["traces"], entry["counts"]["spans"] - identical_spans(path),
               entry["defects"].get("traces_with_orphans", 0))


def search_all(node, tenant, query=""):
    hits, cursor = [], ""
    while True:
        page = node.get_json("/clew/v1/search?limit=1000" + query + ("&cursor=" + cursor if cursor else ""), {"X-Scope-OrgID": tenant})
        hits += page["hits"]
        if not page["next"]:
            return hits
        cursor = page["next"]


def count(node, tenant):
    hits = search_all(node, tenant)
    assert len({hit["traceID"] for hit in hits}) == len(hits), "a trace is listed twice for " + tenant
    return len(hits), sum(hit["summary"]["spans"] for hit in hits)


def main():
    if not os.path.isdir(DATA):
        skip("no test data at " + DATA + "; CLEW_TEST_DATA names it")
    failed = 0
    with Node(CONFIG) as node:
        expected = list(sets())
        for name, files, traces, spans, _ in expected:
            begin = time.monotonic()
            done = subprocess.run([node.program, "import", "--json", "--server", "127.0.0.1:%d" % node.otlp_port, "--tenant", name] + files,
                                  stdout=subprocess.PIPE, check=False)
            report = json.loads(done.stdout or b"{}")
            if done.returncode != 0 or report["rejected"] or report["unreadable"]:
                failed += 1
                print("FAILED import of %s: exit %d, %r" % (name, done.returncode, report))
            if not name.startswith("zoo-"):
                print("%s: %d spans in %.1f s" % (name, report.get("accepted", 0), time.monotonic() - begin))

        def all_decided():
            "no trace is open any more"
            return int(node.get_json("/clew/v1/stats")["traces"]["open"]) == 0
        until(all_decided, 60)
        for when in ["after the import", "after a restart"]:
            for name, _, traces, spans, orphans in expected:
                got = count(node, name) + (len(search_all(node, name, "&finding=orphan")),)
                if got != (traces, spans, orphans):
                    failed += 1
                    print("FAILED %s, %s: (traces, spans, with orphans) %r, wanted %r" % (name, when, got, (traces, spans, orphans)))
            if when == "after the import":
                code = node.stop()
                assert code == 0, "SIGTERM: exit code %d" % code
                begin = time.monotonic()
                node.start()
                print("restart: ready after %.2f s" % (time.monotonic() - begin))
    print("%d sets, %d failures" % (len(expected), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
