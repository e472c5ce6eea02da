#!/usr/bin/env python3
"""Three servers on loopback with the etcd v3 API, durable, driven by the same client: h2load with etcd's own messages (Debian: etcd-server, nghttp2-client).

    bench/etcd_api.py [--calls 100000] [--systems clew,etcd] [--clew build/release/clew] [--engine memory|rocksdb]

Puts of 256 bytes under one key, and linearizable ranges of that key, through the leader and through a follower. CPU seconds are those of the three servers together per
100,000 calls, read from /proc. One run, one table: compare the rows, not the machine.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))
from node import claimed_ports  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def varint(number):
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def framed(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


PUT = ("/etcdserverpb.KV/Put", framed(field(1, b"bench/key") + field(2, b"v" * 256)))
RANGE = ("/etcdserverpb.KV/Range", framed(field(1, b"bench/key")))


class Servers:
    def __init__(self, system, options):
        self.folder = tempfile.mkdtemp(prefix="bench-etcd-", dir=options.directory)
        self.processes, self.ports = [], []
        ports = [claimed_ports(4) for _ in range(3)]
        for index in range(3):
            data = os.path.join(self.folder, str(index))
            if system == "clew":
                founders = ",".join("%d=127.0.0.1:%d" % (i + 1, ports[i][0]) for i in range(3))
                command = [options.clew, "serve", "--data-dir", data, "--node-id", str(index + 1), "--initial-cluster", founders, "--peer", "127.0.0.1:%d" % ports[index][0],
                           "--client", "127.0.0.1:%d" % ports[index][2], "--etcd", "127.0.0.1:%d" % ports[index][1], "--http", "127.0.0.1:%d" % ports[index][3],
                           "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--tempo", "127.0.0.1:0", "--engine", options.engine]
            else:
                cluster = ",".join("n%d=http://127.0.0.1:%d" % (i, ports[i][0]) for i in range(3))
                peer, client = "http://127.0.0.1:%d" % ports[index][0], "http://127.0.0.1:%d" % ports[index][1]
                command = ["etcd", "--name", "n%d" % index, "--data-dir", data, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--listen-client-urls", client,
                           "--advertise-client-urls", client, "--initial-cluster", cluster, "--quota-backend-bytes", str(8 << 30)]
            with open(data + ".log", "wb") as log:
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            self.ports.append(ports[index][1])

    def order(self):
        """The leader's port first."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = subprocess.run(["etcdctl", "--endpoints", ",".join("127.0.0.1:%d" % port for port in self.ports), "endpoint", "status", "-w", "json"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"})
            if done.returncode == 0:
                members = json.loads(done.stdout)
                leaders = [one["Endpoint"] for one in members if one["Status"].get("leader") == one["Status"]["header"]["member_id"]]
                if len(members) == 3 and len(leaders) == 1:
                    port = int(leaders[0].rsplit(":", 1)[1])
                    return [port] + [other for other in self.ports if other != port]
            time.sleep(0.2)
        raise RuntimeError("no leader within a minute: see " + self.folder)

    def cpu(self):
        total = 0
        for process in self.processes:
            with open("/proc/%d/stat" % process.pid) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def load(servers, port, call, calls, connections, streams):
    path, body = call
    with tempfile.NamedTemporaryFile() as data, tempfile.NamedTemporaryFile() as log:
        data.write(body)
        data.flush()
        before = servers.cpu()
        done = subprocess.run(["h2load", "-n", str(calls), "-c", str(connections), "-m", str(streams), "-d", data.name, "--log-file", log.name, "-H", "content-type: application/grpc",
                               "-H", "te: trailers", "http://127.0.0.1:%d%s" % (port, path)], stdout=subprocess.PIPE, check=True)
        spent = servers.cpu() - before
        out = done.stdout.decode()
        ok = int(re.search(r"(\d+) succeeded", out).group(1))
        if ok != calls:
            raise RuntimeError("%d of %d calls succeeded:\n%s" % (ok, calls, out))
        with open(log.name) as lines:
            times = sorted(int(line.split("\t")[2]) for line in lines)
        rate = float(re.search(r"([\d.]+) req/s", out).group(1))
        return rate, spent / calls * 1e5, times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100000)
    parser.add_argument("--systems", default="clew,etcd")
    parser.add_argument("--clew", default="build/release/clew")
    parser.add_argument("--engine", default="memory")
    parser.add_argument("--directory", default=None, help="where the servers keep their data")
    options = parser.parse_args()
    print("| system | through | call | outstanding | calls/s | CPU s / 100k | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|---|")
    for system in options.systems.split(","):
        servers = Servers(system, options)
        try:
            leader, follower, _ = servers.order()
            for where, port in [("leader", leader), ("follower", follower)]:
                for name, call in [("put", PUT), ("linearizable range", RANGE)]:
                    load(servers, port, call, 1000, 10, 10)  # connections, caches
                    for connections, streams, share in [(1, 1, 50), (10, 10, 4), (10, 100, 1)]:
                        row = load(servers, port, call, max(200, options.calls // share), connections, streams)
                        print("| %s | %s | %s | %d | %d | %.2f | %.2f | %.2f |" % ((system, where, name, connections * streams) + row), flush=True)
        finally:
            servers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
