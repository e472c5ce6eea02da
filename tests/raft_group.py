"""A Raft group of real processes (bench/raft_node.cc) for benchmarks and tests. Standard library only."""
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

from node import claimed_ports


class Member:
    """One process: commands go to its stdin, events come from its stdout."""

    def __init__(self, program, node_id, members, directory, flags):
        self.id, self.program, self.directory, self.flags = node_id, program, directory, list(flags)
        self.members = members
        self.process = None
        self.events = queue.Queue()
        self.started_before = False
        self.environment = {}  # of its process, besides this one's own

    def start(self, bootstrap=None):
        bootstrap = not self.started_before if bootstrap is None else bootstrap
        command = [self.program, "--id", str(self.id), "--members", self.members, "--dir", self.directory] + self.flags
        self.process = subprocess.Popen(command + (["--bootstrap"] if bootstrap else []), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1, env={**os.environ, **self.environment})
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()
        self.wait("started")
        self.started_before = True
        return self

    def read(self, process):
        for line in process.stdout:
            self.events.put(json.loads(line))

    def wait(self, event, timeout=30):
        """The next event of that name; others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                got = self.events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError("node %d: no %s in %d s (exit code %s)" % (self.id, event, timeout, self.process.poll())) from None
            if got["event"] == event:
                return got

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line, event, timeout=30):
        self.tell(line)
        return self.wait(event, timeout)

    def status(self):
        return self.ask("status", "status")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.kill()
        self.process.wait()


class Group:
    """with Group(3, program) as group: ... — fresh directories, all started; killed by pid at the end."""

    def __init__(self, size, program, directory=None, tls=False, extra=()):
        self.directory = tempfile.mkdtemp(prefix="clew-raft-", dir=directory)
        ports = claimed_ports(size)
        self.members = ",".join("%d=127.0.0.1:%d" % (i + 1, port) for i, port in enumerate(ports))
        self.nodes = []
        for i in range(size):
            flags = list(extra)
            if tls:
                flags += ["--tls", self.certificate(i + 1)]
            self.nodes.append(Member(program, i + 1, self.members, os.path.join(self.directory, "node%d" % (i + 1)), flags))

    def certificate(self, node_id):
        """CERT,KEY,CA of a node: made with openssl, the authority first."""
        path = lambda name: os.path.join(self.directory, name)  # noqa: E731
        run = lambda *command: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
        if not os.path.exists(path("ca.pem")):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=clew test authority", "-keyout", path("ca.key"), "-out", path("ca.pem"))
        name = "node-%d" % node_id
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
            "-addext", "subjectAltName=DNS:" + name, "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
        run("openssl", "x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-days", "2",
            "-copy_extensions", "copy", "-out", path(name + ".pem"))
        return ",".join([path(name + ".pem"), path(name + ".key"), path("ca.pem")])

    def __enter__(self):
        for node in self.nodes:
            node.start()
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_for_leader(self, timeout=30):
        """A member that leads and has committed an entry of its own, by its own word and that of all others."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            states = [node.status() for node in self.nodes if node.process.poll() is None]
            leaders = {state["leader"] for state in states}
            if len(leaders) == 1 and 0 not in leaders:
                leader = self.nodes[leaders.pop() - 1]
                if leader.status()["standing"] == "leader":
                    self.wait_for_followers(leader)
                    return leader
            time.sleep(0.02)
        raise RuntimeError("no leader: %s" % states)

    def wait_for_followers(self, leader, timeout=30):
        """All have what the leader has committed."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            committed = leader.status()["committed"]
            states = [node.status() for node in self.nodes]
            if committed > 0 and all(state["applied"] >= committed for state in states):
                return
            time.sleep(0.01)
        raise RuntimeError("a follower stays behind: %s" % states)

    def drain(self):
        for node in self.nodes:
            while not node.events.empty():
                node.events.get()

    def next_commit(self, nodes, after_ns, timeout):
        """The first entry that a new leader among `nodes` commits after that moment of the monotonic clock; and which it is."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for node in nodes:
                try:
                    event = node.events.get_nowait()
                except queue.Empty:
                    continue
                if event["event"] == "commit" and event["at_ns"] > after_ns:
                    return event, node
            time.sleep(0.001)
        raise RuntimeError("no commit in %d s" % timeout)
