"""A real `clew serve` for the Python tests of the whole program, and a few helpers to talk to it. Standard library only."""
import fcntl
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIP = 77


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIP)


_claims = None


def claimed_ports(count):
    """Loopback ports to name on a command line, this process's until it ends. They lie below those that the system gives to
    outgoing connections, and each is a locked byte of a file that all tests share (src/os/claimed_port_test.h, too)."""
    global _claims
    if _claims is None:
        path = os.path.join(tempfile.gettempdir(), "clew-test-ports-%d" % os.getuid())
        _claims = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600), itertools.cycle(random.sample(range(12_000, 32_000), 20_000)))
    file, candidates = _claims
    ports = []
    for port in itertools.islice(candidates, 20_000):
        if len(ports) == count:
            return ports
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        ports.append(port)
    raise RuntimeError("no %d free ports" % count)


class Node:
    """with Node() as node: ... — started on free loopback ports with a data directory of its own; killed by pid at the end."""

    def __init__(self, config="", program=None, arguments=()):
        self.program = program or os.environ.get("CLEW", "build/release/clew")
        self.directory = tempfile.mkdtemp(prefix="clew-test-")
        self.grpc_port, self.otlp_port, self.http_port, self.tempo_port = claimed_ports(4)
        self.config = os.path.join(self.directory, "clew.yaml")
        self.arguments = list(arguments)
        with open(self.config, "w") as file:
            file.write(config)
        self.control_arguments = ["--peer", "127.0.0.1:0", "--client", "127.0.0.1:0"]
        self.etcd_port = 0
        self.environment = {}  # of its process, besides this one's own
        self.process = None
        self.log_path = os.path.join(self.directory, "serve.log")

    def start(self):
        self.log = open(self.log_path, "ab")
        address = "127.0.0.1:%d"
        self.process = subprocess.Popen(
            [self.program, "serve", "--config", self.config, "--data-dir", os.path.join(self.directory, "data"),
             "--otlp-grpc", address % self.grpc_port, "--otlp-http", address % self.otlp_port,
             "--http", address % self.http_port, "--tempo", address % self.tempo_port,
             "--etcd", address % self.etcd_port] + self.control_arguments + self.arguments,
            stdout=self.log, stderr=self.log, env={**os.environ, **self.environment})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("clew serve ended:\n" + self.output())
            try:
                if self.get("/ready")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("clew serve was not ready after 60 s:\n" + self.output())

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=90)
        self.process = None
        return code

    def output(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print("--- the node's log\n" + self.output()[-4000:])
        shutil.rmtree(self.directory, ignore_errors=True)

    def request(self, port, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read(), dict(reply.getheaders())
        finally:
            connection.close()

    def get(self, path, headers=None):
        status, body, _ = self.request(self.http_port, "GET", path, headers=headers)
        return status, body

    def get_json(self, path, headers=None):
        status, body = self.get(path, headers)
        if status != 200:
            raise RuntimeError("GET %s: %d %r" % (path, status, body[:300]))
        return json.loads(body)

    def post_traces(self, body, content_type="application/json", headers=None):
        return self.request(self.otlp_port, "POST", "/v1/traces", body, {"Content-Type": content_type, **(headers or {})})

    def search(self, query=""):
        """Every hit of a search, page by page."""
        hits, cursor = [], ""
        while True:
            page = self.get_json("/clew/v1/search?limit=1000" + query + ("&cursor=" + cursor if cursor else ""))
            hits += page["hits"]
            if not page["next"]:
                return hits
            cursor = page["next"]

    def spans(self, trace_id):
        """(resource, scope, span) of every span of a trace, as OTLP JSON; none when it is not known."""
        status, body = self.get("/api/v3/traces/" + trace_id)
        if status == 404:
            return []
        if status != 200:
            raise RuntimeError("trace %s: %d %r" % (trace_id, status, body[:300]))
        found = []
        for resource in json.loads(body)["result"]["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                found += [(resource.get("resource", {}), scope.get("scope", {}), span) for span in scope["spans"]]
        return found


def until(condition, seconds=30, what=None):
    """Calls `condition` until it gives something true, and returns that; fails after `seconds`, naming `what` it waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise RuntimeError("not within %d s: %s" % (seconds, what or condition.__doc__ or condition))
        time.sleep(0.02)


FAST = """
traces: {quiet_period: 300ms, trace_timeout: 1s, max_open: 10s}
storage: {seal_delay: 100ms}
"""
