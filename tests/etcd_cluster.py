#!/usr/bin/env python3
"""etcdctl against three real nodes: every member answers, watches go on over the death of the leader without gap or duplicate, leases of dead clients end, members come and go,
the loss of the quorum is told in etcd's words, and `check perf` (with --perf) passes."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import claimed_ports, skip, until  # noqa: E402

CLEW = os.environ.get("CLEW", "build/release/clew")


class Cluster:
    def __init__(self, size=3):
        self.folder = tempfile.mkdtemp(prefix="clew-etcd-")
        self.ids = list(range(1, size + 1))
        self.ports = {node: claimed_ports(4) for node in self.ids}
        self.founders = ",".join("%d=127.0.0.1:%d" % (node, self.ports[node][0]) for node in self.ids)
        self.processes = {}
        for node in self.ids:
            self.start(node)

    def start(self, node):
        peer, client, etcd, http = self.ports[node]
        with open(os.path.join(self.folder, "%d.log" % node), "ab") as log:
            self.processes[node] = subprocess.Popen(
                [CLEW, "serve", "--data-dir", os.path.join(self.folder, str(node)), "--node-id", str(node), "--initial-cluster", self.founders, "--peer", "127.0.0.1:%d" % peer,
                 "--client", "127.0.0.1:%d" % client, "--etcd", "127.0.0.1:%d" % etcd, "--http", "127.0.0.1:%d" % http, "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0",
                 "--tempo", "127.0.0.1:0"], stdout=log, stderr=log)

    def kill(self, node):
        self.processes[node].kill()
        self.processes[node].wait()

    def endpoint(self, *nodes):
        return ",".join("127.0.0.1:%d" % self.ports[node][2] for node in nodes or self.ids)

    def ctl(self, nodes, *words, good=True, timeout=60, stdin=None):
        """What etcdctl prints; fails when its exit code is not as expected."""
        done = subprocess.run(["etcdctl", "--endpoints", self.endpoint(*nodes), "--command-timeout", "30s", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              input=stdin, env={**os.environ, "ETCDCTL_API": "3"})
        out, errors = done.stdout.decode(), done.stderr.decode()
        if (done.returncode == 0) != good:
            raise RuntimeError("etcdctl %s: exit %d\n%s%s" % (" ".join(words), done.returncode, out, errors))
        return out if good else errors

    def leader(self):
        """The node that leads, as the members that answer see it."""
        def asked():
            "a leader that answers"
            for node in self.ids:
                if self.processes[node].poll() is not None:
                    continue
                try:
                    status = json.loads(self.ctl([node], "endpoint", "status", "-w", "json"))[0]["Status"]
                except (RuntimeError, subprocess.TimeoutExpired, ValueError):
                    continue
                found = status.get("leader", 0)
                if found in self.ids and self.processes[found].poll() is None:
                    return found
            return None
        return until(asked, 60)

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        for node in self.ids:
            with open(os.path.join(self.folder, "%d.log" % node), errors="replace") as log:
                print("--- node %d\n%s" % (node, "".join(log.readlines()[-15:])))


PROBLEMS = []


def expect(what, got, wanted):
    if got != wanted:
        PROBLEMS.append("%s: got %r, wanted %r" % (what, got, wanted))


def expect_in(what, part, text):
    if part not in text:
        PROBLEMS.append("%s: %r is not in %r" % (what, part, text))


def every_member_answers(cluster):
    cluster.ctl([1], "put", "a", "1")
    for node in cluster.ids:
        expect("read through node %d" % node, cluster.ctl([node], "get", "a", "--print-value-only"), "1\n")
        expect("put through node %d" % node, cluster.ctl([node], "put", "a%d" % node, "x"), "OK\n")
    expect("keys", cluster.ctl([2], "get", "--prefix", "a", "--keys-only").split(), ["a", "a1", "a2", "a3"])
    expect("transaction", cluster.ctl([3], "txn", stdin=b'value("a") = "1"\n\nput a 2\n\nput a 3\n\n').split(), ["SUCCESS", "OK"])
    expect("delete", cluster.ctl([2], "del", "a1", "--prev-kv"), "1\na1\nx\n")
    members = cluster.ctl([1], "member", "list").strip().split("\n")
    expect("members", len(members), 3)
    for node, line in zip(cluster.ids, members):
        expect_in("member %d" % node, "started", line)
        expect_in("member %d" % node, "http://" + cluster.endpoint(node), line)
    expect("health", cluster.ctl([], "endpoint", "health", "-w", "json").count('"health":true'), 3)
    expect("table", cluster.ctl([], "endpoint", "status", "-w", "table").count("3.4.0+clew"), 3)

    def equal():
        "equal hashes on all members"
        hashes = cluster.ctl([], "endpoint", "hashkv").split("\n")
        return len({line.split(", ")[1] for line in hashes if line}) == 1
    until(equal, 30)
    expect("defrag", cluster.ctl([], "defrag").count("Finished"), 3)
    expect("alarms", cluster.ctl([1], "alarm", "list"), "")
    expect("lock", cluster.ctl([2], "lock", "mutex", "echo", "held"), "held\n")
    path = os.path.join(cluster.folder, "snapshot")
    expect_in("snapshot", "Snapshot saved", cluster.ctl([3], "snapshot", "save", path))
    with open(path, "rb") as file:
        expect("snapshot's beginning", file.read(8), b"CLEWETC1")


def leases_and_compaction(cluster):
    lease = cluster.ctl([1], "lease", "grant", "2").split()[1]
    cluster.ctl([2], "put", "leased", "x", "--lease=" + lease)
    expect_in("time to live", "granted with TTL(2s)", cluster.ctl([3], "lease", "timetolive", lease))

    def gone():
        "the key of a lease that nobody renews"
        return cluster.ctl([3], "get", "leased") == ""
    until(gone, 30)
    expect_in("ended lease", "already expired", cluster.ctl([1], "lease", "timetolive", lease))
    lease = cluster.ctl([1], "lease", "grant", "600").split()[1]
    expect("list", cluster.ctl([2], "lease", "list").split()[-1], lease)
    expect_in("renewal", "TTL(600)", cluster.ctl([3], "lease", "keep-alive", "--once", lease))
    expect_in("revoked", "revoked", cluster.ctl([2], "lease", "revoke", lease))
    revision = json.loads(cluster.ctl([1], "get", "a", "-w", "json"))["header"]["revision"]
    cluster.ctl([2], "compaction", str(revision))
    expect_in("compacted", "required revision has been compacted", cluster.ctl([3], "get", "a", "--rev", str(revision - 1), good=False))


def watches_survive_the_leader(cluster):
    """Writes number 1, 2, 3… while leaders die; each watcher, at one member, sees each acknowledged one once, in order."""
    count = 400
    begin = json.loads(cluster.ctl([1], "get", "a", "-w", "json"))["header"]["revision"] + 1
    watchers = {}
    for node in cluster.ids:
        # The other members stand behind, so that the client goes on elsewhere when its member dies.
        order = [node] + [other for other in cluster.ids if other != node]
        watchers[node] = subprocess.Popen(["etcdctl", "--endpoints", cluster.endpoint(*order), "watch", "w", "--rev", str(begin), "-w", "simple"], stdout=subprocess.PIPE,
                                          stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"})
    seen = {node: [] for node in cluster.ids}

    def read(node):
        for line in watchers[node].stdout:
            value = line.decode().strip()
            if value.isdigit():
                seen[node].append(int(value))
    threads = [threading.Thread(target=read, args=(node,)) for node in cluster.ids]
    for thread in threads:
        thread.start()
    acknowledged = []
    for number in range(1, count + 1):
        if number in (count // 3, 2 * count // 3):
            dead = cluster.leader()
            cluster.kill(dead)
            cluster.start(dead)
        done = subprocess.run(["etcdctl", "--endpoints", cluster.endpoint(), "--command-timeout", "20s", "put", "w", str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "ETCDCTL_API": "3"})
        if done.returncode == 0:
            acknowledged.append(number)

    def all_seen():
        "the last write at every watcher"
        return all(seen[node] and seen[node][-1] == acknowledged[-1] for node in cluster.ids)
    try:
        until(all_seen, 60)
    except RuntimeError as error:
        PROBLEMS.append("watch: %s: %s" % (error, {node: seen[node][-1:] for node in seen}))
    for watcher in watchers.values():
        watcher.kill()
        watcher.wait()
    for thread in threads:
        thread.join()
    if len(acknowledged) < count * 0.9:
        PROBLEMS.append("only %d of %d writes were acknowledged" % (len(acknowledged), count))
    for node in cluster.ids:
        # A client may send again what got no answer: the same number twice, as two changes. What must not be: a
        # change twice, which would go back behind a later one, or an acknowledged number missing.
        expect("order at node %d" % node, seen[node], sorted(seen[node]))
        expect("missing at node %d" % node, sorted(set(acknowledged) - set(seen[node])), [])
    lengths = {len(numbers) for numbers in seen.values()}
    expect("as many changes at each watcher", len(lengths), 1)


def members_come_and_go(cluster):
    leader = cluster.leader()
    other = next(node for node in cluster.ids if node != leader)
    expect_in("transfer", "Leadership transferred from %x to %x" % (leader, other), cluster.ctl(cluster.ids, "move-leader", "%x" % other))
    expect("new leader", cluster.leader(), other)
    out = cluster.ctl([leader], "member", "add", "four", "--learner", "--peer-urls", "http://127.0.0.1:%d" % claimed_ports(1)[0])
    added = re.search(r"Member +([0-9a-f]+) added", out).group(1)
    expect_in("learner", "true", [line for line in cluster.ctl([1], "member", "list").split("\n") if line.startswith(added)][0])
    expect_in("too early", "in sync with leader", cluster.ctl([1], "member", "promote", added, good=False))
    expect_in("update", "updated", cluster.ctl([2], "member", "update", added, "--peer-urls", "http://127.0.0.1:%d" % claimed_ports(1)[0]))
    expect_in("removed", "removed", cluster.ctl([3], "member", "remove", added))
    expect_in("again", "member not found", cluster.ctl([3], "member", "remove", added, good=False))


def without_a_quorum(cluster):
    cluster.ctl([1], "put", "before", "x")
    for node in (2, 3):
        cluster.kill(node)

    def refused():
        "etcd's words for what cannot be served"
        errors = subprocess.run(["etcdctl", "--endpoints", cluster.endpoint(1), "--command-timeout", "10s", "put", "k", "v"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "ETCDCTL_API": "3"}).stderr.decode()
        return "etcdserver: " in errors
    until(refused, 60)
    expect("a serializable read", cluster.ctl([1], "get", "before", "--consistency=s", "--print-value-only"), "x\n")
    expect_in("unhealthy", "unhealthy", cluster.ctl([1], "endpoint", "health", good=False))
    expect("members are still listed", len(cluster.ctl([1], "member", "list").strip().split("\n")), 3)
    for node in (2, 3):
        cluster.start(node)
    cluster.leader()
    expect("afterwards", cluster.ctl([1], "put", "k", "v"), "OK\n")


def main():
    if not shutil.which("etcdctl"):
        skip("etcdctl is not installed (etcd-client)")
    cluster = Cluster()
    try:
        cluster.leader()
        for part in [every_member_answers, leases_and_compaction, watches_survive_the_leader, members_come_and_go, without_a_quorum]:
            begin, before = time.monotonic(), len(PROBLEMS)
            part(cluster)
            print("%s: %.1f s%s" % (part.__name__, time.monotonic() - begin, "" if len(PROBLEMS) == before else ", FAILED"), flush=True)
        if "--perf" in sys.argv:
            cluster.leader()
            print(cluster.ctl([1], "check", "perf", "--load=s", timeout=180))
        for node in cluster.ids:
            cluster.processes[node].send_signal(signal.SIGTERM)
        for node in cluster.ids:
            expect("end of node %d" % node, cluster.processes[node].wait(60), 0)
    except Exception:
        cluster.logs()
        raise
    finally:
        cluster.close()
    for one in PROBLEMS:
        print("FAILED", one)
    print("%d problems" % len(PROBLEMS))
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
