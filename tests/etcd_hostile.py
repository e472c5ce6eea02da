#!/usr/bin/env python3
"""Bad input, and too much of good input, through etcd's API of real nodes: etcd's errors, bounded memory, and members that go on serving. Standard library only, and Debian's etcdctl."""
import http.client
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from etcd_cluster import CLEW, PROBLEMS, Cluster, expect, expect_in  # noqa: E402
from node import Node, claimed_ports, skip, until  # noqa: E402

MANY_KEYS = int(os.environ.get("MANY_KEYS", "300000"))  # millions by hand: they take minutes to write
VALUE_BYTES = 1000  # so that all of them are more than one answer may hold
WATCHES = 10_000
ANSWER_LIMIT_MIB = 256  # docs/etcd.md: of a range; and of what is held for clients


def resident_mib(cluster):
    most = 0
    for process in cluster.processes.values():
        if process.poll() is None:
            with open("/proc/%d/status" % process.pid) as file:
                most = max(most, next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024)
    return most


class Peak:
    """with Peak(cluster) as peak: … — peak.mib: the most that any member had meanwhile."""

    def __init__(self, cluster):
        self.cluster, self.mib = cluster, 0

    def __enter__(self):
        self.ended = threading.Event()

        def watch():
            while not self.ended.wait(0.05):
                self.mib = max(self.mib, resident_mib(self.cluster))
        self.thread = threading.Thread(target=watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.mib = max(self.mib, resident_mib(self.cluster))


def bounded(what, peak, before, more):
    if peak.mib > before + more:
        PROBLEMS.append("%s: a member grew from %.0f to %.0f MiB, %d more were allowed" % (what, before, peak.mib, more))
    print("  %s: %.0f MiB, then at most %.0f" % (what, before, peak.mib), flush=True)


def alive(cluster, what):
    expect("%s: a put afterwards" % what, cluster.ctl(cluster.ids, "put", "alive", what), "OK\n")
    expect("%s: a get afterwards" % what, cluster.ctl(cluster.ids, "get", "alive", "--print-value-only"), what + "\n")


def oversized(cluster):
    before = resident_mib(cluster)
    with Peak(cluster) as peak:
        for mib in (1.6, 1.9):
            for _ in range(20):
                errors = cluster.ctl([1], "put", "big", good=False, stdin=b"v" * int(mib * 2**20))
            expect_in("a value of %s MiB" % mib, "etcdserver: request is too large", errors)
        for mib in (3, 64):
            errors = cluster.ctl([2], "put", "big", good=False, stdin=b"v" * int(mib * 2**20))
            # Refused by etcd's own client already, or here.
            expect("a value of %s MiB" % mib, "ResourceExhausted" in errors or "too large" in errors, True)
        key = "k" * 100_000
        expect("a key of 100,000 bytes", cluster.ctl([1], "put", key, "v"), "OK\n")
        expect("and back", cluster.ctl([2], "get", key, "--print-value-only"), "v\n")
        expect("deleted", cluster.ctl([3], "del", key), "1\n")
        expect_in("an empty key", "key is not provided", cluster.ctl([1], "put", "", "v", good=False))
        operations = b"\n".join(b"put t%d v" % i for i in range(129))
        expect_in("a transaction of 129 operations", "etcdserver: too many operations in txn request", cluster.ctl([3], "txn", good=False, stdin=b"\n" + operations + b"\n\n\n"))
        operations = b"\n".join(b"put t%d v" % i for i in range(128))
        expect_in("one of 128", "SUCCESS", cluster.ctl([3], "txn", stdin=b"\n" + operations + b"\n\n\n"))
        expect_in("the same key twice", "etcdserver: duplicate key given in txn request", cluster.ctl([3], "txn", good=False, stdin=b"\nput t v\nput t w\n\n\n"))
        expect_in("a revision that does not exist yet", "etcdserver: mvcc: required revision is a future revision", cluster.ctl([1], "get", "t1", "--rev", "1000000", good=False))
        expect_in("a lease that does not exist", "etcdserver: requested lease not found", cluster.ctl([1], "put", "x", "v", "--lease=7777", good=False))
        expect_in("a lease for longer than there is time", "etcdserver: too large lease TTL", cluster.ctl([1], "lease", "grant", "9000000001", good=False))
    bounded("oversized requests", peak, before, 128)
    alive(cluster, "oversized")


def ten_thousand_watches(cluster):
    before = resident_mib(cluster)
    follower = next(node for node in cluster.ids if node != cluster.leader())
    with Peak(cluster) as peak:
        watcher = subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(follower), "watch", "-i", "-w", "simple"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env={**os.environ, "ETCDCTL_API": "3"})
        for number in range(WATCHES):
            watcher.stdin.write(b"watch watched/%d\n" % number)
        watcher.stdin.flush()

        def watched():
            "ten thousand watches at one member"
            connection = http.client.HTTPConnection("127.0.0.1", cluster.ports[follower][3], timeout=10)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            return any(line.startswith("clew_kv_watchers ") and float(line.split()[1]) >= WATCHES for line in text.splitlines())
        try:
            until(watched, 120)
            for number in (0, WATCHES // 2, WATCHES - 1):
                cluster.ctl([1], "put", "watched/%d" % number, "seen%d" % number)
            seen = []
            while len(seen) < 3:
                line = watcher.stdout.readline().decode()
                if not line:
                    break
                if line.startswith("seen"):
                    seen.append(line.strip())
            expect("events of three of them", seen, ["seen0", "seen%d" % (WATCHES // 2), "seen%d" % (WATCHES - 1)])
        finally:
            watcher.kill()
            watcher.wait()
    bounded("%d watches" % WATCHES, peak, before, 96)
    alive(cluster, "watches")


def dead_clients_holding_leases(cluster):
    """Many leases, each with a key, renewed by clients that are killed: all end, none before its time."""
    holders, leases = [], []
    for number in range(20):
        lease = cluster.ctl([1 + number % 3], "lease", "grant", "3").split()[1]
        cluster.ctl([1], "put", "held/%d" % number, "x", "--lease=" + lease)
        leases.append(lease)
        holders.append(subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(1 + number % 3), "lease", "keep-alive", lease], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "ETCDCTL_API": "3"}))
    kept = cluster.ctl([1], "lease", "grant", "3").split()[1]
    cluster.ctl([1], "put", "kept", "x", "--lease=" + kept)
    keeper = subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(), "lease", "keep-alive", kept], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"})
    try:
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 5, 10, "more than the time of a lease")
        expect("those that are renewed are there", cluster.ctl([2], "get", "held/", "--prefix", "--limit", "1", "-w", "fields").count('"Count" : 20'), 1)
        for holder in holders:
            holder.kill()
            holder.wait()
        dead = cluster.leader()
        cluster.kill(dead)
        until(lambda: cluster.ctl([node for node in cluster.ids if node != dead], "get", "held/", "--prefix", "--keys-only") == "", 60, "the leases of dead clients end, whoever leads")
        expect("the one that is renewed goes on", cluster.ctl([node for node in cluster.ids if node != dead], "get", "kept", "--print-value-only"), "x\n")
        cluster.start(dead)
        cluster.leader()
    finally:
        for holder in holders + [keeper]:
            holder.kill()
            holder.wait()


def without_a_quorum(cluster):
    """Thousands of requests wait for a quorum that does not come: refused in etcd's words, bounded, and `clew status` says it."""
    before = resident_mib(cluster)
    for node in (2, 3):
        cluster.kill(node)
    with Peak(cluster) as peak:
        load = subprocess.run([CLEW, "bench", "kv", "--server", "127.0.0.1:%d" % cluster.ports[1][1], "--outstanding", "20000", "--operations", "60000", "--value-bytes", "1000", "--timeout", "2s",
                               "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200)
        expect("none succeeds: " + load.stdout, '"done":0' in load.stdout, True)
    bounded("60,000 requests without a quorum", peak, before, 256)
    status = subprocess.run([CLEW, "status", "--server", "127.0.0.1:%d" % cluster.ports[1][1]], stdout=subprocess.PIPE, text=True, timeout=60)
    expect_in("status", "no leader: 1 of 3 voters is reachable from here, 2 needed", status.stdout)
    for node in (2, 3):
        cluster.start(node)
    cluster.leader()
    alive(cluster, "quorum")


def ranges_over_millions(cluster):
    filled = subprocess.run([CLEW, "bench", "kv", "--server", ",".join("127.0.0.1:%d" % cluster.ports[node][1] for node in cluster.ids), "--fill", "--keys", str(MANY_KEYS), "--outstanding", "256",
                             "--value-bytes", str(VALUE_BYTES), "--timeout", "30s", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    expect("filled: " + filled.stdout + filled.stderr, filled.returncode, 0)
    before = resident_mib(cluster)
    with Peak(cluster) as peak:
        expect_in("counted", '"Count" : %d' % MANY_KEYS, cluster.ctl([2], "get", "bench/", "--prefix", "--limit", "1", "-w", "fields"))
        expect("the first ten", len(cluster.ctl([3], "get", "bench/", "--prefix", "--limit", "10", "--keys-only").split()), 10)
        if MANY_KEYS * VALUE_BYTES > ANSWER_LIMIT_MIB << 20:
            for node in cluster.ids:
                errors = cluster.ctl([node], "get", "bench/", "--prefix", good=False, timeout=200)
                expect("all at once through node %d: %s" % (node, errors[-300:]), "ResourceExhausted" in errors, True)
        # A client that asks for much and dies before it reads.
        for _ in range(4):
            asking = subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(1), "get", "bench/", "--prefix", "--limit", str(MANY_KEYS // 2)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      env={**os.environ, "ETCDCTL_API": "3"})
            asking.stdout.read(1)
            asking.kill()
            asking.wait()
        alive(cluster, "ranges")
        # Others are served meanwhile: ranges of everything, and small requests beside them.
        asking = [subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(1), "get", "bench/", "--prefix", "--keys-only", "--limit", str(MANY_KEYS // 2)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"}) for _ in range(3)]
        slowest = 0
        while any(one.poll() is None for one in asking):
            began = time.monotonic()
            cluster.ctl([1], "put", "beside", "x")
            slowest = max(slowest, time.monotonic() - began)
        print("  the slowest put beside three large ranges: %.0f ms" % (1000 * slowest), flush=True)
    # What one answer may be and what all clients together may hold, at the member and in its log's reader.
    bounded("ranges over %d keys" % MANY_KEYS, peak, before, 3 * ANSWER_LIMIT_MIB)


def expired_tokens():
    """A token that was taken away by a reload is refused in etcd's words; one that was not goes on."""
    (port,) = claimed_ports(1)
    tokens = "auth: {bearer_tokens: [%s]}\n"
    with Node(tokens % "{token: old}, {token: kept}") as node:
        node.stop()
        node.etcd_port = port
        node.start()

        def ctl(token, *words):
            done = subprocess.run(["etcdctl", "--endpoints", "127.0.0.1:%d" % port, "--command-timeout", "5s", *(["--user", "me:" + token] if token else []), *words], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60, env={**os.environ, "ETCDCTL_API": "3"})
            return done.stdout.decode()
        until(lambda: ctl("old", "put", "a", "1") == "OK\n", 30, "a put with the first token")
        expect("the other", ctl("kept", "get", "a", "--print-value-only"), "1\n")
        expect_in("none", "etcdserver: user name is empty", ctl("", "get", "a"))
        expect_in("a wrong one", "etcdserver: authentication failed", ctl("wrong", "get", "a"))
        with open(node.config, "w") as file:
            file.write(tokens % "{token: kept}")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "OK" not in ctl("old", "put", "a", "2"), 30, "the token that was taken away is refused")
        expect_in("the old one", "etcdserver: ", ctl("old", "get", "a"))
        expect("the other goes on", ctl("kept", "get", "a", "--print-value-only"), "1\n")


def main():
    if not shutil.which("etcdctl"):
        skip("etcdctl is not installed (etcd-client)")
    wanted = sys.argv[1:]
    cluster = Cluster()
    try:
        cluster.leader()
        for part in [oversized, ten_thousand_watches, dead_clients_holding_leases, without_a_quorum, ranges_over_millions]:
            if wanted and part.__name__ not in wanted:
                continue
            began, before = time.monotonic(), len(PROBLEMS)
            part(cluster)
            print("%s: %.1f s%s" % (part.__name__, time.monotonic() - began, "" if len(PROBLEMS) == before else ", FAILED"), flush=True)
    except Exception:
        cluster.logs()
        raise
    finally:
        cluster.close()
    if not wanted or "expired_tokens" in wanted:
        expired_tokens()
    for one in PROBLEMS:
        print("FAILED", one)
    print("%d problems" % len(PROBLEMS))
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
