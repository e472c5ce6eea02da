#!/usr/bin/env python3
"""./dev bench ingest: what a node costs, measured from outside: its CPU and memory from /proc, its disk by du, latencies over HTTP.

Every run has a fresh node and data directory on loopback, durability disk, quiet period 5 s, verdicts and search index on. CPU is settled:
read 20 s after the last request, when everything is flushed. With otlpload (a generator of the peers' benchmark, when its source
is found) the workload is exactly that of the peers; else, and for gRPC, gzip and JSON, it is `clew bench ingest`, which is close to it."""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests"))
from node import Node  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
# (name, unit, target)
FIGURES = {
    "cpu_saturated": ("server CPU s per million spans, saturated, 256 spans a request, settled", "s", "<= 2.5"),
    "cpu_paced": ("the same, paced at 100k spans/s", "s", "<= 5"),
    "cpu_small": ("the same, with 8 spans a request", "s", "<= 6"),
    "rate": ("accepted spans/s, generator on the same cores", "spans/s", ">= 600000"),
    "disk": ("disk bytes a span, log included", "B", "<= 42"),
    "rss_paced": ("peak RSS at 100k spans/s", "MB", "<= 350"),
    "rss_saturated": ("peak RSS, saturated", "MB", "<= the setting"),
    "by_id": ("trace by id over HTTP, p50", "ms", "<= 0.5"),
    "search_operation": ("search service + operation, p50, idle", "ms", "<= 2"),
    "search_rare": ("search a rare attribute, p50, idle", "ms", "<= 2"),
    "search_common": ("search a common attribute, p50, idle", "ms", "<= 2"),
    "search_duration": ("search by minimum duration, p50, idle", "ms", "<= 2"),
    "load_by_id": ("trace by id, p50, under 100k spans/s", "ms", ""),
    "load_search_operation": ("search service + operation, p50, under 100k spans/s", "ms", "<= 5"),
    "load_search_rare": ("search a rare attribute, p50, under 100k spans/s", "ms", "<= 5"),
    "load_search_common": ("search a common attribute, p50, under 100k spans/s", "ms", "<= 5"),
    "load_search_duration": ("search by minimum duration, p50, under 100k spans/s", "ms", "<= 5"),
    "restart": ("restart after SIGTERM until ready", "s", ""),
    "restart_killed": ("restart after SIGKILL under load until ready", "s", ""),
    "cpu_grpc": ("server CPU s per million spans over gRPC", "s", ""),
    "cpu_gzip": ("server CPU s per million spans with gzip", "s", ""),
    "cpu_json": ("server CPU s per million spans with JSON", "s", ""),
    "cpu_real": ("server CPU s per million spans, real traces (nezha-ob) by clew import", "s", ""),
    "disk_real": ("disk bytes a span, real traces", "B", ""),
}


class Bench:
    def __init__(self, options):
        self.options, self.results = options, {}
        self.settle = 2 if options.quick else 20
        self.otlpload = None if options.quick or options.own else self.build_otlpload()

    def build_otlpload(self):
        source = os.environ.get("OTLPLOAD", os.path.join(ROOT, "..", "shared", "tools", "otlpload.cc"))
        if not os.path.exists(source):
            self.say("no otlpload source at %s (OTLPLOAD names it): using `clew bench ingest`" % source)
            return None
        program = os.path.join(ROOT, "build", "otlpload")
        if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
            subprocess.run(["g++", "-O2", "-std=c++17", "-pthread", source, "-o", program], check=True)
        return program

    def say(self, text):
        if not self.options.json:
            print("== " + text, flush=True)

    def record(self, name, value):
        self.results[name] = round(value, 3)
        self.say("%s: %.3f %s" % (FIGURES[name][0], value, FIGURES[name][1]))

    # What the kernel says of a process.
    @staticmethod
    def cpu(node):
        with open("/proc/%d/stat" % node.process.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @staticmethod
    def peak_rss_mb(node):
        with open("/proc/%d/status" % node.process.pid) as file:
            return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) / 1024

    @staticmethod
    def disk_bytes(node):
        done = subprocess.run(["du", "-s", "--block-size=1", os.path.join(node.directory, "data")], stdout=subprocess.PIPE, check=True)
        return int(done.stdout.split()[0])

    # Load: {"spans": ..., "spans_per_s": ...}.
    def load(self, node, spans=0, rate=0, spans_per_request=256, seconds=0, ids=None):
        if self.otlpload:
            command = [self.otlpload, "-port", str(node.otlp_port), "-c", "4", "-spans", str(spans_per_request), "-t", str(int(seconds or 3600)),
                       "-seed", str(time.monotonic_ns() % 100000)]
            command += ["-n", str(spans)] if spans else []
            command += ["-rate", str(rate)] if rate else []
            command += ["-ids", ids] if ids else []
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            return json.loads(done.stdout)
        return self.own_load(node, spans, rate, spans_per_request, seconds)

    def own_load(self, node, spans=0, rate=0, spans_per_request=256, seconds=0, extra=(), grpc=False):
        command = [node.program, "bench", "ingest", "--json", "--server", "127.0.0.1:%d" % (node.grpc_port if grpc else node.otlp_port),
                   "--spans-per-request", str(spans_per_request), "--seed", str(time.monotonic_ns() % 100000)]
        command += ["--spans", str(spans)] if spans else []
        command += ["--rate", str(rate)] if rate else []
        command += ["--seconds", str(seconds)] if seconds else []
        done = subprocess.run(command + list(extra), stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def settled_cpu(self, node, spans, before):
        time.sleep(self.settle)
        return (self.cpu(node) - before) / (spans / 1e6)

    def count(self, spans):
        return max(2048, int(spans * self.options.scale))

    # The runs.
    def saturated(self):
        self.say("saturated, 256 spans a request")
        with Node() as node:
            before = self.cpu(node)
            report = self.load(node, spans=self.count(5_000_000))
            cpu = self.settled_cpu(node, report["spans"], before)
            self.record("cpu_saturated", cpu)
            self.record("rate", report["spans_per_s"])
            self.record("disk", self.disk_bytes(node) / report["spans"])
            self.record("rss_saturated", self.peak_rss_mb(node))

    def small(self):
        self.say("saturated, 8 spans a request")
        with Node() as node:
            before = self.cpu(node)
            report = self.load(node, spans=self.count(1_000_000), spans_per_request=8)
            self.record("cpu_small", self.settled_cpu(node, report["spans"], before))

    def get(self, node, targets, repeat):
        done = subprocess.run([node.program, "bench", "get", "--json", "--server", "127.0.0.1:%d" % node.http_port, "--repeat", str(repeat)] + targets,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def queries(self, node, prefix, ids):
        repeat = 20 if self.options.quick else 200
        self.record(prefix + "by_id", self.get(node, ["/api/v3/traces/" + one for one in ids], repeat)["p50_ms"])
        searches = {"operation": self.operations(node)}
        if self.otlpload:
            searches["rare"] = ['{ span.user.id = "user-%04d" }' % (1000 + 7 * n) for n in range(10)]
            searches["common"] = ["{ span.http.status_code = 200 }"]
        else:
            searches["rare"] = ['{ span.db.query.text = "none" || span.server.address = "db-%d.shop.internal" && span.db.response.returned_rows = %d }' % (n % 6, n)
                                for n in range(10)]
            searches["common"] = ["{ span.http.response.status_code = 200 }"]
        searches["duration"] = ["{ duration > 1s }" if self.otlpload else "{ duration > 60ms }"]
        for name, filters in searches.items():
            targets = ["/clew/v1/search?limit=20&q=" + quote(one) for one in filters]
            self.record(prefix + "search_" + name, self.get(node, targets, repeat)["p50_ms"])

    def operations(self, node):
        found = []
        for service in node.get_json("/api/services")["data"][:5]:
            for operation in node.get_json("/api/services/" + service + "/operations")["data"][:2]:
                found.append('{ resource.service.name = "%s" && name = "%s" }' % (service, operation))
        return found

    def paced(self):
        rate = 100_000 if not self.options.quick else 20_000
        self.say("paced at %d spans/s, then queries, idle and under load, then restarts" % rate)
        with Node() as node:
            ids_file = os.path.join(node.directory, "ids")
            before = self.cpu(node)
            report = self.load(node, spans=self.count(5_000_000), rate=rate, ids=ids_file)
            self.record("cpu_paced", self.settled_cpu(node, report["spans"], before))
            self.record("rss_paced", self.peak_rss_mb(node))
            if os.path.exists(ids_file):
                with open(ids_file) as file:
                    ids = [line.split()[0] for line in file][:200]
            else:
                ids = [hit["traceID"] for hit in node.get_json("/clew/v1/search?limit=200")["hits"]]
            self.queries(node, "", ids)
            seconds = 3 if self.options.quick else 40
            loader = threading.Thread(target=self.load, args=(node,), kwargs={"rate": rate, "seconds": seconds})
            loader.start()
            time.sleep(1)
            self.queries(node, "load_", ids)
            loader.join()
            self.restarts(node, rate)

    def restarts(self, node, rate):
        assert node.stop() == 0
        begin = time.monotonic()
        node.start()
        self.record("restart", time.monotonic() - begin)
        loader = threading.Thread(target=self.quietly, args=(node, rate))
        loader.start()
        time.sleep(2)
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
        loader.join()
        begin = time.monotonic()
        node.start()
        self.record("restart_killed", time.monotonic() - begin)

    def quietly(self, node, rate):
        subprocess.run([node.program, "bench", "ingest", "--rate", str(rate), "--seconds", "2", "--server", "127.0.0.1:%d" % node.otlp_port],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def transports(self):
        for name, extra, grpc in [("grpc", ["--transport", "grpc"], True), ("gzip", ["--encoding", "gzip"], False), ("json", ["--format", "json"], False)]:
            self.say("clew bench ingest " + " ".join(extra))
            with Node() as node:
                before = self.cpu(node)
                report = self.own_load(node, spans=self.count(1_000_000), extra=extra, grpc=grpc)
                self.record("cpu_" + name, self.settled_cpu(node, report["spans"], before))

    def real(self):
        data = os.environ.get("CLEW_TEST_DATA", os.path.join(ROOT, "..", "shared", "data"))
        path = os.path.join(data, "nezha-ob", "traces.jsonl.zst")
        if self.options.quick or not os.path.exists(path):
            self.say("real traces: skipped")
            return
        self.say("real traces: " + os.path.basename(os.path.dirname(path)))
        with Node() as node:
            before = self.cpu(node)
            done = subprocess.run([node.program, "import", "--json", "--server", "127.0.0.1:%d" % node.otlp_port, path], stdout=subprocess.PIPE, check=True)
            spans = json.loads(done.stdout)["accepted"]
            self.record("cpu_real", self.settled_cpu(node, spans, before))
            self.record("disk_real", self.disk_bytes(node) / spans)

    def report(self):
        if self.options.json:
            print(json.dumps({"generator": "otlpload" if self.otlpload else "clew bench ingest", "scale": self.options.scale, "figures": self.results}))
            return
        print("\n| figure | measured | reach |\n|---|---|---|")
        for name, (what, unit, target) in FIGURES.items():
            if name in self.results:
                print("| %s | %s %s | %s |" % (what, self.results[name], unit, target))
        print("\n%d cores, %s, generator %s, %.2f of the full size" % (os.cpu_count(), os.uname().release, "otlpload" if self.otlpload else "clew bench ingest",
                                                                      self.options.scale))


def quote(text):
    return "".join(c if c.isalnum() or c in "-_.~" else "%%%02X" % b for c in text for b in [ord(c)])


RUNS = ["saturated", "paced", "small", "transports", "real"]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="of " + ", ".join(RUNS) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny: shows that it works, its figures say nothing")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of spans: 0.2 is 1 M, 4 is 20 M (default 1: 5 M)")
    parser.add_argument("--own", action="store_true", help="`clew bench ingest` even when otlpload is there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.runs) - set(RUNS):
        parser.error("no such run: " + ", ".join(sorted(unknown)))
    if options.quick:
        options.scale = 0.004
    bench = Bench(options)
    for run in options.runs or RUNS:
        getattr(bench, run)()
    bench.report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
