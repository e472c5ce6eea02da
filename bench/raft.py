#!/usr/bin/env python3
"""./dev bench raft: what a Raft group costs: real processes on loopback, one disk, every log durable, the client in the leader's process.

A run starts fresh processes (bench/raft_node.cc), loads the leader and reads what each counted about itself: processor time (getrusage),
syncs, frames, bytes. Failover: the leader is killed (its connections are reset) or stopped (silence); the time until the next leader
has committed its first entry, over many rounds. Settings of elections are Raft's defaults unless given."""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
from raft_group import Group  # noqa: E402

# What is compared with the peers' figures (docs/benchmarks.md): outstanding -> (commands/s, p50 ms).
GOALS = {1: ">= 2500/s, p50 <= 0.30 ms", 64: ">= 70000/s", 1000: ">= 250000/s, <= 0.7 CPU s per 100k"}


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Bench:
    def __init__(self, options):
        self.options = options
        self.rows = []

    def say(self, text):
        print(text, file=sys.stderr if self.options.json else sys.stdout, flush=True)

    def group(self, size):
        return Group(size, self.options.node, self.options.dir, tls=self.options.tls, extra=self.options.node_flags)

    def load(self, group, leader, outstanding, commands, size):
        before = [node.status() for node in group.nodes]
        outcome = leader.ask("load %d %d %d" % (outstanding, commands, size), "load", timeout=300)
        time.sleep(0.3)  # the followers hear of the last commit
        after = [node.status() for node in group.nodes]

        def grown(key):
            return sum(b[key] - a[key] for a, b in zip(before, after))

        row = {
            "nodes": len(group.nodes), "bytes": size, "outstanding": outstanding, "commands": commands,
            "per_second": round(outcome["per_second"]), "p50_ms": round(outcome["p50_us"] / 1e3, 3),
            "p99_ms": round(outcome["p99_us"] / 1e3, 3), "errors": outcome["errors"],
            "cpu_s_per_100k": round(grown("cpu_s") * 1e5 / commands, 3),
            "leader_cpu_s_per_100k": round((after[leader.id - 1]["cpu_s"] - before[leader.id - 1]["cpu_s"]) * 1e5 / commands, 3),
            "syncs_per_command": round(grown("syncs") / commands, 4),
            "frames_per_command": round(grown("frames_sent") / commands, 4),
            "wire_bytes_per_command": round(grown("wire_bytes") / commands, 1),
            "log_bytes_per_command": round(grown("record_bytes") / commands, 1),
        }
        self.rows.append(row)
        self.say("  %(nodes)d nodes, %(bytes)6d B, %(outstanding)5d outstanding: %(per_second)8d/s  p50 %(p50_ms)7.3f ms  p99 %(p99_ms)7.3f ms  "
                 "CPU %(cpu_s_per_100k)6.3f s/100k (leader %(leader_cpu_s_per_100k).3f)  syncs %(syncs_per_command).4f  frames %(frames_per_command).4f  "
                 "wire %(wire_bytes_per_command).0f B" % row + ("  ERRORS %d: %s" % (row["errors"], outcome["error"]) if row["errors"] else ""))
        return row

    def commands(self, outstanding, size):
        seconds = self.options.seconds
        rate = {1: 2500, 64: 60000, 1000: 200000}.get(outstanding, 50000)
        return max(outstanding * 4, int(seconds * min(rate, 4e7 / max(size, 64))))

    def throughput(self):
        self.say("commands: three processes, 256 bytes, goals %s" % GOALS)
        for outstanding in (1, 64, 1000):
            runs = []
            for _ in range(self.options.runs):
                with self.group(3) as group:
                    leader = group.wait_for_leader()
                    self.load(group, leader, outstanding, max(1000, self.commands(outstanding, 256) // 10), 256)
                    self.rows.pop()  # a warm log: files are there
                    runs.append(self.load(group, leader, outstanding, self.commands(outstanding, 256), 256))
            self.say("  median: %d/s, p50 %.3f ms" % (statistics.median(r["per_second"] for r in runs),
                                                      statistics.median(r["p50_ms"] for r in runs)))

    def sizes(self):
        self.say("as the group grows")
        for nodes in (3, 5, 7):
            with self.group(nodes) as group:
                leader = group.wait_for_leader()
                for outstanding in (1, 64, 1000):
                    self.load(group, leader, outstanding, self.commands(outstanding, 256) // 2, 256)
        self.say("as the command grows")
        for size in (64, 256, 1024, 4096, 16384, 65536):
            with self.group(3) as group:
                leader = group.wait_for_leader()
                for outstanding in (1, 64, 1000):
                    self.load(group, leader, outstanding, self.commands(outstanding, size) // 2, size)

    def reads(self):
        self.say("linearizable reads through the leader, a quorum asked")
        with self.group(3) as group:
            leader = group.wait_for_leader()
            for outstanding in (1, 64, 1000):
                total = self.commands(outstanding, 64)
                outcome = leader.ask("read %d %d quorum" % (outstanding, total), "load", timeout=300)
                self.rows.append({"reads": True, "outstanding": outstanding, "per_second": round(outcome["per_second"]),
                                  "p50_ms": round(outcome["p50_us"] / 1e3, 3), "errors": outcome["errors"]})
                self.say("  %5d outstanding: %8d/s  p50 %.3f ms  errors %d" % (
                    outstanding, outcome["per_second"], outcome["p50_us"] / 1e3, outcome["errors"]))

    def failover(self):
        for how in ("reset", "silence"):
            times, elections = [], []
            with self.group(3) as group:
                leader = group.wait_for_leader()
                for _ in range(self.options.rounds):
                    group.drain()
                    began = time.monotonic_ns()
                    leader.process.send_signal(signal.SIGKILL if how == "reset" else signal.SIGSTOP)
                    others = [node for node in group.nodes if node is not leader]
                    commit, new = group.next_commit(others, after_ns=began, timeout=30)
                    times.append((commit["at_ns"] - began) / 1e6)
                    if how == "reset":
                        leader.process.wait()
                        leader.start()
                    else:
                        leader.process.send_signal(signal.SIGCONT)
                    leader = new
                    group.wait_for_followers(leader)
                    time.sleep(0.4)  # longer than an election timeout: the group is at rest
            row = {"failover": how, "rounds": len(times), "p50_ms": round(quantile(times, 0.5), 1),
                   "p99_ms": round(quantile(times, 0.99), 1), "max_ms": round(max(times), 1)}
            self.rows.append(row)
            self.say("failover after %(failover)s, %(rounds)d rounds: p50 %(p50_ms).1f ms  p99 %(p99_ms).1f ms  max %(max_ms).1f ms" % row)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench raft", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", default=[], help="throughput, sizes, reads, failover; all without one")
    parser.add_argument("--quick", action="store_true", help="a small size of everything, to see that it works")
    parser.add_argument("--seconds", type=float, default=5, help="of load in a run, about")
    parser.add_argument("--runs", type=int, default=3, help="of the throughput figures")
    parser.add_argument("--rounds", type=int, default=100, help="of failover")
    parser.add_argument("--dir", help="where the data directories go; the disk that is measured")
    parser.add_argument("--tls", action="store_true", help="mutual TLS between the processes")
    parser.add_argument("--node-flags", default="", help="for raft_node, for instance '--heartbeat-ms 100 --election-ms 300,600'")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end, progress on stderr")
    options = parser.parse_args()
    options.node = os.environ.get("RAFT_NODE", "build/release/bench/raft_node")
    options.node_flags = options.node_flags.split()
    if options.quick:
        options.seconds, options.runs, options.rounds = min(options.seconds, 0.3), 1, min(options.rounds, 3)
    bench = Bench(options)
    for run in options.run or ["throughput", "sizes", "reads", "failover"]:
        getattr(bench, run)()
    if options.json:
        print(json.dumps(bench.rows))
    wrong = [row for row in bench.rows if row.get("errors")]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
