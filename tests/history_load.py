"""The load of tests/history_clients.cc on a cluster: clients of both protocols, their histories, and whether these hold. Standard library only."""
import json
import os
import queue
import subprocess
import threading
import time

HISTORY_CLIENTS = os.environ.get("HISTORY_CLIENTS", "build/release/tests/history_clients")


class HistoryLoad:
    """At work from now on. finish() when the cluster is whole again: ends the clients and checks what they saw. `tag`: another one for each load on a cluster."""

    def __init__(self, clew, directory, own, etcd, tag="1", seed=1, levels=("linearizable", "lease", "sequential"), more=()):
        self.clew, self.files = clew, [os.path.join(directory, "%s-%s.history" % (kind, tag)) for kind in ("lists", "registers")]
        self.process = subprocess.Popen([HISTORY_CLIENTS, "--own", ",".join(own), "--etcd", ",".join(etcd), "--lists", self.files[0], "--registers", self.files[1], "--tag", str(tag),
                                         "--seed", str(seed), "--levels", ",".join(levels), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def counts(self):
        try:
            self.process.stdin.write("counts\n")
            line = self.lines.get(timeout=60)
            if line is None:
                raise BrokenPipeError
            return json.loads(line)
        except (BrokenPipeError, ValueError):
            raise RuntimeError("the clients ended with exit code %s: %s" % (self.process.wait(60), self.rest())) from None

    def rest(self):
        lines = []
        while not self.lines.empty():
            lines.append(self.lines.get() or "")
        return "".join(lines)

    def wait(self, what, more, timeout=90):
        """Until so many more operations are "answered" or "refused"."""
        before, deadline = self.counts(), time.monotonic() + timeout
        while True:
            now = self.counts()
            if now[what] >= before[what] + more:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("not %d operations %s within %d s: %s, then %s" % (more, what, timeout, before, now))
            time.sleep(0.02)

    def finish(self, timeout=240):
        self.process.stdin.write("finish\n")
        code = self.process.wait(timeout)
        if code != 0:
            raise RuntimeError("the clients found (exit code %d):\n%s" % (code, self.rest()))
        return [self.check(path) for path in self.files]

    def check(self, path):
        """`clew check-history`: undecided is a failure, too. How many operations it judged."""
        done = subprocess.run([self.clew, "check-history", "--json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise RuntimeError("check-history %s: exit code %d\n%s%s" % (path, done.returncode, done.stdout[-6000:], done.stderr[-2000:]))
        return json.loads(done.stdout)["operations"]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
