#!/usr/bin/env python3
"""./dev bench kv: the replicated key-value store beside others, in one run on one machine: real processes on loopback, every write synced to disk.

  clew        our own client protocol (clew bench kv)
  clew-rocksdb  the same with the state in RocksDB
  clew-etcd   our etcd API, by the same client program as etcd (bench/etcd_load.cc)
  etcd        etcd of Debian's package, by that program
  zookeeper   ZooKeeper of Debian's package, by its C client (bench/zookeeper_load.cc); its reads are of one server's state: it has no others

Runs: table (the figures that are compared), keys, values, nodes (as these grow), failover; all of them: `all`, a quarter of an hour.
Each figure starts fresh processes. Processor time is that of the servers (/proc), divided by the operations that were answered. Failover: the
leader is killed, or stopped (SIGSTOP), under a load of writes; what counts is the longest time in which no write was answered. Heartbeats
and election timeouts are the same for Clew and etcd (--heartbeat-ms, --election-ms); ZooKeeper, which has neither, is left out there."""
import argparse
import collections
import glob
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
from node import claimed_ports  # noqa: E402


class Group:
    """Processes of one system. with Group(...) as group: ...; killed by pid at the end."""

    least = 1  # processes

    def __init__(self, options, nodes):
        self.options, self.count = options, nodes
        self.scratch = tempfile.mkdtemp(prefix="clew-bench-kv-", dir=options.dir)
        self.processes = [None] * nodes
        self.ports = [claimed_ports(4) for _ in range(nodes)]

    def __enter__(self):
        try:
            for index in range(self.count):
                self.start(index)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for process in self.processes:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def spawn(self, index, command, environment=None):
        log = open(os.path.join(self.scratch, "%d.log" % index), "ab")
        self.processes[index] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                 env={**os.environ, **(environment or {})})
        log.close()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def pids(self):
        return [str(process.pid) for process in self.processes if process.poll() is None]

    def log(self, index):
        with open(self.path("%d.log" % index), errors="replace") as file:
            return file.read()[-2000:]

    def leader(self):
        """Index of the leader, or None."""
        raise NotImplementedError

    def wait_until_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for index, process in enumerate(self.processes):
                if process.poll() is not None:
                    raise RuntimeError("%s: process %d ended:\n%s" % (type(self).__name__, index, self.log(index)))
            if self.whole():
                return
            time.sleep(0.05)
        raise RuntimeError("%s: not ready in %d s:\n%s" % (type(self).__name__, seconds, self.log(0)))

    def whole(self):
        return self.leader() is not None

    def leader_first(self, column):
        """Addresses of all nodes, the leader's in front."""
        leader = self.leader() or 0
        order = [leader] + [index for index in range(self.count) if index != leader]
        return ",".join("127.0.0.1:%d" % self.ports[index][column] for index in order)

    def counters(self):
        """What the processes say of themselves that figures are made of, summed: {name with labels: value}."""
        return {}

    def load(self, **flags):
        command = self.load_command() + ["--pid=" + pid for pid in self.pids()]
        command += ["--%s=%s" % (name.replace("_", "-"), value) for name, value in flags.items() if value is not True]
        command += ["--" + name for name, value in flags.items() if value is True]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(command, timeout=10):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=timeout).stdout
    except subprocess.TimeoutExpired:
        return ""


class Clew(Group):
    name, engine, consensus, proved = "clew", None, "raft", False

    def start(self, index):
        founders = ",".join("%d=127.0.0.1:%d" % (i + 1, ports[0]) for i, ports in enumerate(self.ports))
        config = self.path("%d.yaml" % index)
        with open(config, "w") as file:
            file.write("control:\n  engine: %s\n  heartbeat: %dms\n  election_timeout: %dms\n" % (
                self.engine or self.options.engine, self.options.heartbeat_ms, self.options.election_ms))
        peer, client, etcd, http = self.ports[index]
        signing = []
        if self.consensus == "pbft":
            signing = ["--signing-key", self.path("keys/signing-%d.key" % (index + 1)), "--signing-members", self.path("keys")]
            if not os.path.exists(signing[1]):
                subprocess.run([self.options.clew, "keys", "signing", str(index + 1), "--dir", signing[3]], stdout=subprocess.DEVNULL, check=True)
        self.spawn(index, [self.options.clew, "serve", *signing, "--config", config, "--data-dir", self.path("node-%d" % index), "--node-id", str(index + 1),
                           "--initial-cluster", founders, "--consensus", self.consensus, "--peer", "127.0.0.1:%d" % peer, "--client", "127.0.0.1:%d" % client,
                           "--etcd", "127.0.0.1:%d" % etcd, "--http", "127.0.0.1:%d" % http, "--otlp-grpc", "127.0.0.1:0",
                           "--otlp-http", "127.0.0.1:0", "--tempo", "127.0.0.1:0"])

    def status(self):
        for index, process in enumerate(self.processes):
            if process.poll() is None:
                out = run([self.options.clew, "status", "--json", "--timeout", "2s", "--server", "127.0.0.1:%d" % self.ports[index][1]])
                if out:
                    status = json.loads(out)
                    if status["leader"] != "0":
                        return status
        return None

    def counters(self):
        sums = collections.Counter()
        for index, process in enumerate(self.processes if self.consensus == "pbft" else []):
            if process.poll() is None:
                with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.ports[index][3], timeout=10) as answer:
                    for line in answer.read().decode().splitlines():
                        if line.startswith(("clew_signatures_", "process_cpu_seconds_total ")):
                            name, value = line.rsplit(" ", 1)
                            sums[name] += float(value)
        return sums

    def leader(self):
        status = self.status()
        return int(status["leader"]) - 1 if status else None

    def whole(self):
        status = self.status()
        return status is not None and sum(member["state"] == "online" for member in status["members"]) == self.count

    def load_command(self):
        # PBFT is measured by a client that trusts its gateway, as it does the others' members, unless proofs are asked for.
        trusts = ["--trust-gateway"] if self.consensus == "pbft" and not self.proved else []
        return [self.options.clew, "bench", "kv", "--json", "--server", self.leader_first(1), *trusts]


class ClewRocksDb(Clew):
    name, engine = "clew-rocksdb", "rocksdb"


class ClewEtcd(Clew):
    name = "clew-etcd"

    def load_command(self):
        return [self.options.etcd_load, "--endpoints", self.leader_first(2)]


class Etcd(Group):
    name = "etcd"

    def start(self, index):
        peers = ",".join("n%d=http://127.0.0.1:%d" % (i, ports[0]) for i, ports in enumerate(self.ports))
        peer, client = ("http://127.0.0.1:%d" % port for port in self.ports[index][:2])
        self.spawn(index, ["etcd", "--name", "n%d" % index, "--data-dir", self.path("node-%d" % index), "--listen-peer-urls", peer,
                           "--initial-advertise-peer-urls", peer, "--listen-client-urls", client, "--advertise-client-urls", client,
                           "--initial-cluster", peers, "--initial-cluster-state", "new", "--heartbeat-interval", str(self.options.heartbeat_ms),
                           "--election-timeout", str(self.options.election_ms), "--quota-backend-bytes", str(8 << 30)])

    def statuses(self):
        out = []
        for index, process in enumerate(self.processes):
            if process.poll() is None:
                text = run(["etcdctl", "--command-timeout=1s", "--dial-timeout=1s", "--endpoints", "127.0.0.1:%d" % self.ports[index][1],
                            "endpoint", "status", "-w", "json"])
                if text.strip():
                    out += [(index, one["Status"]) for one in json.loads(text)]
        return out

    def leader(self):
        for index, status in self.statuses():
            if status.get("leader") == status["header"]["member_id"]:
                return index
        return None

    def whole(self):
        return self.leader() is not None and len(self.statuses()) == self.count

    def load_command(self):
        return [self.options.etcd_load, "--endpoints", self.leader_first(1)]


class ZooKeeper(Group):
    name = "zookeeper"

    def start(self, index):
        directory = self.path("node-%d" % index)
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "myid"), "w") as file:
            file.write("%d\n" % (index + 1))
        config = self.path("%d.cfg" % index)
        with open(config, "w") as file:
            file.write("tickTime=%d\ninitLimit=50\nsyncLimit=20\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n"
                       "admin.enableServer=false\n4lw.commands.whitelist=*\nglobalOutstandingLimit=100000\n" % (
                           self.options.heartbeat_ms * 2, directory, self.ports[index][2]))
            for i, ports in enumerate(self.ports):
                file.write("server.%d=127.0.0.1:%d:%d\n" % (i + 1, ports[0], ports[1]))
        jars = ":".join(["/etc/zookeeper/conf_example"] + sorted(glob.glob("/usr/share/java/*.jar")))
        self.spawn(index, ["java", "-Xmx1g", "-Dzookeeper.admin.enableServer=false", "-cp", jars,
                           "org.apache.zookeeper.server.quorum.QuorumPeerMain", config])

    def mode(self, index):
        import socket
        try:
            with socket.create_connection(("127.0.0.1", self.ports[index][2]), timeout=2) as connection:
                connection.sendall(b"srvr")
                text = b""
                while True:
                    more = connection.recv(4096)
                    if not more:
                        break
                    text += more
        except OSError:
            return ""
        lines = [line for line in text.decode(errors="replace").splitlines() if line.startswith("Mode: ")]
        return lines[0][6:] if lines else ""

    def leader(self):
        for index, process in enumerate(self.processes):
            if process.poll() is None and self.mode(index) == "leader":
                return index
        return None

    def whole(self):
        return sorted(self.mode(index) for index in range(self.count)) == sorted(["leader"] + ["follower"] * (self.count - 1))

    def load_command(self):
        return [self.options.zookeeper_load, "--servers", self.leader_first(2)]


SYSTEMS = {system.name: system for system in (Clew, ClewRocksDb, ClewEtcd, Etcd, ZooKeeper)}
PROVED = "-proved"  # the client believes f + 1 members instead of its gateway
RUNS = ("table", "keys", "values", "nodes", "failover")


def clew_on(protocol):
    """The name of the system that is Clew by our own client, on another protocol: "clew-zab"."""
    if protocol == Clew.consensus:
        return Clew.name
    name = "clew-" + protocol
    base, proved = protocol.removesuffix(PROVED), protocol.endswith(PROVED)
    SYSTEMS[name] = type(name, (Clew,), {"name": name, "consensus": base, "proved": proved, "least": 4 if base == "pbft" else 1})
    return name


class Bench:
    def __init__(self, options):
        self.options = options
        self.rows = []

    def say(self, text):
        print(text, file=sys.stderr if self.options.json else sys.stdout, flush=True)

    def load(self, group, **flags):
        process = group.load(**flags)
        out, err = process.communicate(timeout=600)
        if not out.strip():
            raise RuntimeError("%s: %s" % (group.name, err.strip()))
        return json.loads(out)

    def figure(self, group, what, **flags):
        self.load(group, outstanding=flags.get("outstanding", 64), seconds=min(1, self.options.seconds), keys=flags.get("keys", self.options.keys),
                  **({"reads": flags["reads"]} if "reads" in flags else {}))  # connections, files and caches are warm
        row = {"system": group.name, "nodes": group.count, "what": what}
        flags.setdefault("keys", self.options.keys)
        before = group.counters()
        row.update(self.load(group, seconds=self.options.seconds, **flags))
        signatures = {name: value - before[name] for name, value in group.counters().items()}
        if signatures:
            for work in ("made", "checked"):
                row["signatures_%s_per_1000" % work] = 1000 * signatures['clew_signatures_total{work="%s"}' % work] / max(1, row["done"])
            row["signatures_share_of_cpu"] = signatures["clew_signatures_cpu_seconds_total"] / signatures["process_cpu_seconds_total"]
        self.rows.append(row)
        self.say("  %-12s %d nodes  %-34s %9.0f/s  p50 %8.3f ms  p99 %8.3f ms  CPU %7.3f s/100k%s" % (
            row["system"], row["nodes"], what, row["per_second"], row["p50_ms"], row["p99_ms"], row["cpu_s_per_100k"],
            "  FAILED %d: %s" % (row["failed"], row["last_error"]) if row["failed"] else ""))
        if signatures:
            self.say("  %-12s          a thousand: %.1f signatures made, %.1f checked, %.0f %% of the CPU time" % (
                "", row["signatures_made_per_1000"], row["signatures_checked_per_1000"], 100 * row["signatures_share_of_cpu"]))
        return row

    def systems(self):
        return [SYSTEMS[name] for name in self.options.systems]

    def table(self):
        self.say("writes and linearizable reads, %d keys, %d-byte values" % (self.options.keys, 256))
        for system in self.systems():
            with system(self.options, max(3, system.least)) as group:
                self.load(group, fill=True, keys=self.options.keys, outstanding=256)
                for outstanding in (1, 64, 1000):
                    self.figure(group, "writes, %d outstanding" % outstanding, outstanding=outstanding)
                for outstanding in (1, 64, 1000):
                    self.figure(group, "reads, %d outstanding" % outstanding, outstanding=outstanding, reads=100)
        self.compare()

    def compare(self):
        def of(system, what, field):
            for row in self.rows:
                if (row["system"], row["what"]) == (system, what):
                    return row[field]
            return None

        self.say("\n  %-42s" % "" + "".join("%18s" % name for name in self.options.systems))
        for label, what, field in (("writes/s at 1,000 outstanding", "writes, 1000 outstanding", "per_second"),
                                   ("CPU s per 100k writes, all servers", "writes, 1000 outstanding", "cpu_s_per_100k"),
                                   ("p50 ms of a write at 1 outstanding", "writes, 1 outstanding", "p50_ms"),
                                   ("reads/s at 1,000 outstanding", "reads, 1000 outstanding", "per_second"),
                                   ("CPU s per 100k reads, all servers", "reads, 1000 outstanding", "cpu_s_per_100k")):
            values = [of(name, what, field) for name in self.options.systems]
            self.say("  %-42s" % label + "".join("%18s" % ("-" if value is None else "%.0f" % value if field == "per_second" else "%.3f" % value)
                                                 for value in values))

    def keys(self):
        self.say("as the number of keys grows, 64 outstanding")
        for system in self.systems():
            sizes = [10**4, 10**5, 10**6]
            if self.options.quick or system is ZooKeeper:  # which takes minutes to make a million nodes
                sizes.pop()
            for keys in sizes:
                with system(self.options, max(3, system.least)) as group:
                    self.load(group, fill=True, keys=keys, outstanding=512)
                    self.figure(group, "writes, %d keys" % keys, outstanding=64, keys=keys)
                    self.figure(group, "reads, %d keys" % keys, outstanding=64, keys=keys, reads=100)

    def values(self):
        self.say("as values grow, 64 outstanding")
        for system in self.systems():
            for size in (64, 1024, 16384, 262144):
                with system(self.options, max(3, system.least)) as group:
                    self.load(group, fill=True, keys=200, outstanding=64, value_bytes=size)
                    self.figure(group, "writes of %d bytes" % size, outstanding=64, value_bytes=size, keys=200)

    def nodes(self):
        self.say("as the group grows, 1,000 outstanding")
        for system in self.systems():
            for count in (3, 5):
                with system(self.options, count) as group:
                    self.load(group, fill=True, keys=self.options.keys, outstanding=256)
                    self.figure(group, "writes", outstanding=1000)
                    self.figure(group, "reads", outstanding=1000, reads=100)

    def failover(self):
        options = argparse.Namespace(**vars(self.options))
        if not options.heartbeat_given:  # short ones: a round takes their multiple
            options.heartbeat_ms, options.election_ms = 50, 500
        self.say("the longest time in which no write was answered; heartbeat %d ms, election timeout %d ms" % (options.heartbeat_ms, options.election_ms))
        for system in self.systems():
            if system in (ZooKeeper, ClewRocksDb):  # an engine has no part in elections
                continue
            for how, blow in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
                gaps = []
                with system(options, 3) as group:
                    for _ in range(options.rounds):
                        leader = group.leader()
                        load = group.load(outstanding=16, seconds=options.failover_seconds, keys=1000,
                                          **({"timeout_ms": options.election_ms} if "etcd" in system.name else {"timeout": "%dms" % options.election_ms}))
                        time.sleep(0.4)
                        group.processes[leader].send_signal(blow)
                        out, err = load.communicate(timeout=60)
                        report = json.loads(out) if out.strip() else {"longest_gap_ms": float("inf"), "last_error": err}
                        gaps.append(report["longest_gap_ms"])
                        if how == "killed":
                            group.processes[leader].wait()
                            group.start(leader)
                        else:
                            group.processes[leader].send_signal(signal.SIGCONT)
                        group.wait_until_ready()
                gaps.sort()
                row = {"system": system.name, "what": "failover, leader " + how, "rounds": len(gaps), "p50_ms": round(statistics.median(gaps), 1),
                       "p99_ms": round(gaps[math.ceil(len(gaps) * 0.99) - 1], 1), "max_ms": round(gaps[-1], 1), "failed": 0}
                self.rows.append(row)
                self.say("  %-12s leader %-8s %d rounds: p50 %8.1f ms  p99 %8.1f ms" % (system.name, how, len(gaps), row["p50_ms"], row["p99_ms"]))


def main():
    parser = argparse.ArgumentParser(prog="./dev bench kv", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", default=[], help=", ".join(RUNS) + ", all; table without one")
    parser.add_argument("--peers", help="others to measure beside Clew: etcd,zookeeper; - for none; etcd unless --consensus is given")
    parser.add_argument("--quick", action="store_true", help="a small size of everything, to see that it works")
    parser.add_argument("--seconds", type=float, default=3, help="of load for a figure")
    parser.add_argument("--keys", type=int, default=10_000, help="different ones, where that is not what varies")
    parser.add_argument("--rounds", type=int, default=20, help="of failover")
    parser.add_argument("--failover-seconds", type=float, default=2.5, help="of load in a round of failover: five times the election timeout")
    parser.add_argument("--consensus", help="Clew by our own client on each of these protocols beside each other, e.g. raft,multipaxos,zab,pbft (with four members; pbft-proved: by a client that believes f + 1 of them and no gateway); without others but --peers")
    parser.add_argument("--engine", default="memory", choices=["memory", "rocksdb"], help="of Clew's state")
    parser.add_argument("--heartbeat-ms", type=int, help="100; of failover 50")
    parser.add_argument("--election-ms", type=int, help="ten heartbeats")
    parser.add_argument("--dir", help="where the data directories go; the disk that is measured")
    parser.add_argument("--systems", help="exactly these, e.g. clew,etcd")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end, progress on stderr")
    options = parser.parse_args()
    options.heartbeat_given = options.heartbeat_ms is not None
    options.heartbeat_ms = options.heartbeat_ms or 100
    options.election_ms = options.election_ms or 10 * options.heartbeat_ms
    options.clew = os.environ.get("CLEW", "build/release/clew")
    options.etcd_load = os.environ.get("ETCD_LOAD", "build/release/bench/etcd_load")
    options.zookeeper_load = os.environ.get("ZOOKEEPER_LOAD", "build/release/bench/zookeeper_load")
    peers = [peer for peer in ("etcd" if options.peers is None else options.peers).split(",") if peer not in ("", "-")]
    if options.consensus:
        options.systems = [clew_on(protocol) for protocol in options.consensus.split(",")] + (peers if options.peers else [])
    elif options.systems:
        options.systems = options.systems.split(",")
    else:
        options.systems = ["clew", "clew-rocksdb", "clew-etcd"] + peers
    unknown = [name for name in options.systems if name not in SYSTEMS]
    if unknown:
        parser.error("unknown: %s; there are %s" % (", ".join(unknown), ", ".join(SYSTEMS)))
    if options.quick:
        options.seconds, options.rounds, options.failover_seconds = min(options.seconds, 0.5), min(options.rounds, 2), min(options.failover_seconds, 2.5)
        options.keys = min(options.keys, 1000)
    wanted = list(RUNS) if "all" in options.run else options.run or ["table"]
    if set(wanted) - set(RUNS):
        parser.error("unknown: %s; there are %s, all" % (", ".join(sorted(set(wanted) - set(RUNS))), ", ".join(RUNS)))
    bench = Bench(options)
    for name in wanted:
        getattr(bench, name)()
    if options.json:
        print(json.dumps(bench.rows))
    sys.exit(1 if any(row.get("failed") for row in bench.rows) else 0)


if __name__ == "__main__":
    main()
