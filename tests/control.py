"""clew kv, member, status and keys against real nodes: what they print, their exit codes, and that they go on when the leader is killed."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "bench"))
sys.path.insert(0, HERE)
import kv as bench  # noqa: E402
from node import claimed_ports, until  # noqa: E402

CLEW = os.environ.get("CLEW", "build/release/clew")


def clew(*arguments, servers=None, stdin=None, expect=0, timeout=60):
    command = [CLEW, *arguments] + (["--server", servers] if servers else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", input=stdin, timeout=timeout)
    if expect is not None and done.returncode != expect:
        sys.exit("%s: exit code %d, not %d\n%s%s" % (" ".join(command), done.returncode, expect, done.stdout, done.stderr))
    return done.stdout


def same(got, wanted, what=""):
    if got != wanted:
        sys.exit("%s: got %r, not %r" % (what, got, wanted))


def keys_and_values(group, scratch):
    servers = group.leader_first(1)

    def kv(*arguments, **options):
        return clew("kv", *arguments, servers=servers, **options)

    kv("get", "a", expect=1)
    kv("put", "a", "1")
    same(kv("get", "a"), "1\n")
    same(kv("put", "a", "2", "--prev"), "1\n")
    kv("put", "a", "-", stdin="three\nlines\n")
    same(kv("get", "a"), "three\nlines\n")
    kv("append", "log", "x")
    kv("append", "log", "y")
    same(kv("get", "log"), "xy\n")
    kv("cas", "lock", "me", "--expect-absent")
    kv("cas", "lock", "you", "--expect-absent", expect=1)
    kv("cas", "lock", "you", "--expect", "me")
    revision = json.loads(kv("range", "lock", "--prefix", "--json"))["kvs"][0]["mod_revision"]
    kv("cas", "lock", "they", "--expect-revision", str(revision))
    kv("cas", "lock", "they", expect=2)
    kv("txn", "--if", "value(lock) = they", "--then", "put t/1 'a b'", "--then", "put t/2 c", "--else", "get lock")
    kv("txn", "--if", "version(lock) = 1", "--then", "put t/3 d", "--else", "get-prefix t/", expect=1)
    kv("txn", "--if", "size(lock) = 1", expect=2)
    found = json.loads(kv("range", "t/", "--prefix", "--json"))
    same([(one["key"], one["value"]) for one in found["kvs"]], [("t/1", "a b"), ("t/2", "c")])
    same(kv("range", "t/", "--prefix", "--count"), "2\n")
    kv("del", "t/", "--prefix")
    kv("del", "t/", "--prefix", expect=1)
    kv("range", "t/", "--prefix", expect=1)
    same(kv("get", "a", "--rev", "2"), "1\n")
    kv("compact", "3")
    kv("get", "a", "--rev", "2", expect=2)
    lease = json.loads(kv("lease", "grant", "60", "--json"))["lease"]
    kv("put", "leased", "v", "--lease", lease)
    left = json.loads(kv("lease", "ttl", lease, "--json"))
    same((left["granted_ttl_s"], left["keys"]), (60, [{"key": "leased"}]))
    same(json.loads(kv("lease", "keep-alive", lease, "--once", "--json"))["ttl_s"], 60)
    same(json.loads(kv("lease", "list", "--json"))["leases"], [lease])
    kv("lease", "revoke", lease)
    kv("get", "leased", expect=1)
    kv("lease", "ttl", lease, expect=1)
    kv("put", "orphan", "v", "--lease", lease, expect=2)
    # What a session has written it reads on every node, from that node's state.
    token = os.path.join(scratch, "token")
    for value in range(5):
        kv("put", "session", str(value), "--token-file", token)
        for ports in group.ports:
            got = clew("kv", "get", "session", "--consistency", "sequential", "--token-file", token, servers="127.0.0.1:%d" % ports[1])
            same(got, "%d\n" % value, "a sequential read with the session's token")
    for level in ("linearizable", "lease", "sequential"):
        same(kv("get", "a", "--consistency", level), "three\nlines\n", level)
    kv("get", "a", "--consistency", "eventually", expect=2)
    kv("range", "", "--system")
    print("keys and values: good")


def killed_leader(group):
    every = ",".join("127.0.0.1:%d" % ports[1] for ports in group.ports)
    begin = json.loads(clew("kv", "put", "begin", "", "--json", servers=every))["revision"] + 1
    watch = subprocess.Popen([CLEW, "kv", "watch", "w/", "--prefix", "--json", "--count", "60", "--rev", str(begin), "--server", every],
                             stdout=subprocess.PIPE, text=True)
    written = []
    for number in range(60):
        if number in (20, 40):
            leader = group.leader()
            group.processes[leader].kill()
            group.processes[leader].wait()
            clew("kv", "put", "unwatched", "x", "--timeout", "30s", servers=every)
            until(lambda: "  offline  " in clew("status", servers=every, expect=None), 60, "the status says who is missing")
            page = clew("status", servers=every, expect=1)
            assert page.startswith("DEGRADED: it works, 2 of 3 voters up, and the next loss stops it"), page
            assert any(line.startswith("  - ") and "node-%d" % (leader + 1) in line for line in page.splitlines()), page
            group.start(leader)
            group.wait_until_ready()
        # A command whose fate is not known may be repeated: the value is fixed.
        key = "w/%03d" % number
        until(lambda k=key: clew("kv", "put", k, k, "--timeout", "10s", servers=every, expect=None) != "", 60, key)
        written.append(key)
    out, _ = watch.communicate(timeout=120)
    events = [json.loads(line) for line in out.splitlines()]
    got = [event["kv"]["key"] for event in events]
    revisions = [event["revision"] for event in events]
    same(revisions, sorted(set(revisions)), "revisions of a watch")
    distinct = [key for index, key in enumerate(got) if index == 0 or got[index - 1] != key]
    same(distinct, written[:len(distinct)], "what a watch saw")
    assert len(distinct) >= 55, got
    print("killed leaders: good")


def members(group):
    every = ",".join("127.0.0.1:%d" % ports[1] for ports in group.ports)
    status = json.loads(clew("status", "--json", servers=every))
    same([member["state"] for member in status["members"]], ["online"] * 3)
    lines = clew("member", "list", servers=every).splitlines()
    same(len(lines), 3)
    leader = group.leader() + 1
    other = leader % 3 + 1
    clew("member", "transfer", str(other), servers=every)
    until(lambda: group.leader() == other - 1, 60, "node %d leads" % other)
    added = json.loads(clew("member", "add", "127.0.0.1:1", "--role", "learner", "--json", servers=every))["id"]
    same(len(clew("member", "list", servers=every).splitlines()), 4)
    clew("member", "promote", added, servers=every, expect=2)  # nobody lives there: it cannot have caught up
    clew("member", "update", added, "127.0.0.1:2", servers=every)
    assert "127.0.0.1:2" in clew("member", "list", servers=every)
    clew("member", "remove", added, servers=every)
    same(len(clew("member", "list", servers=every).splitlines()), 3)
    clew("member", "remove", "999", servers=every, expect=2)
    print("members: good")


def nobody_answers():
    nobody = "127.0.0.1:%d" % claimed_ports(1)[0]
    began = time.monotonic()
    clew("status", servers=nobody, expect=2)
    clew("kv", "get", "a", servers=nobody, expect=2)
    clew("member", "list", servers="no-port", expect=2)
    assert time.monotonic() - began < 20
    print("nobody: good")


def certificates(scratch):
    keys = os.path.join(scratch, "keys")

    def make(*arguments, expect=0):
        return clew("keys", *arguments, "--dir", keys, expect=expect)

    make("ca")
    make("ca", expect=1)
    make("node", "1", "--host", "127.0.0.1", "--host", "localhost")
    make("client", "operator")
    make("client", "node-9", expect=2)
    for name in ("ca", "node-1", "operator"):
        same(os.stat(os.path.join(keys, name + ".key")).st_mode & 0o777, 0o600)
    subprocess.run(["openssl", "verify", "-CAfile", keys + "/ca.crt", keys + "/node-1.crt", keys + "/operator.crt"], check=True, stdout=subprocess.DEVNULL)
    peer, client, http, _ = claimed_ports(4)
    tls = "{cert_file: %s/node-1.crt, key_file: %s/node-1.key, client_ca_file: %s/ca.crt}" % (keys, keys, keys)
    config = os.path.join(scratch, "tls.yaml")
    with open(config, "w") as file:
        file.write("control:\n  node_id: 1\n  peer:\n    endpoint: 127.0.0.1:%d\n    tls: %s\n  client:\n    endpoint: 127.0.0.1:%d\n    tls: %s\n" % (
            peer, tls, client, tls))
    with open(os.path.join(scratch, "tls.log"), "wb") as log:
        node = subprocess.Popen([CLEW, "serve", "--config", config, "--data-dir", scratch + "/tls-node", "--http", "127.0.0.1:%d" % http, "--otlp-grpc",
                                 "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--tempo", "127.0.0.1:0", "--etcd", ""], stdout=log, stderr=log)
    try:
        where = "127.0.0.1:%d" % client
        mine = ["--ca", keys + "/ca.crt", "--cert", keys + "/operator.crt", "--key", keys + "/operator.key"]
        until(lambda: '"healthy":true' in clew("status", "--json", *mine, servers=where, expect=None), 60, "a node with TLS")
        clew("kv", "put", "a", "1", *mine, servers=where)
        same(clew("kv", "get", "a", *mine, servers=where), "1\n")
        clew("kv", "get", "a", "--timeout", "1s", servers=where, expect=2)  # no TLS
        other = os.path.join(scratch, "other")
        clew("keys", "ca", "--dir", other)
        clew("keys", "client", "operator", "--dir", other)
        clew("kv", "get", "a", "--timeout", "1s", "--ca", keys + "/ca.crt", "--cert", other + "/operator.crt", "--key", other + "/operator.key",
             servers=where, expect=2)
    finally:
        node.kill()
        node.wait()
    print("certificates: good")


def exactly_once(group, program):
    """examples/kv-client appends lines while leaders are killed: each line is there once."""
    every = ",".join("127.0.0.1:%d" % ports[1] for ports in group.ports)
    lines = ["line %d" % number for number in range(60)]
    client = subprocess.Popen([program, every, "journal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for number, line in enumerate(lines):
        client.stdin.write(line + "\n")
        client.stdin.flush()
        if number in (20, 40):
            leader = group.leader()
            group.processes[leader].send_signal(signal.SIGKILL)
            group.processes[leader].wait()
            group.start(leader)
    out, _ = client.communicate(timeout=120)
    same(client.returncode, 0, "kv-client")
    same(clew("kv", "get", "journal", "--timeout", "30s", servers=every), "\n".join(lines) + "\n")
    assert out.count("revision") > 10, out
    print("exactly once: good")


def main():
    options = argparse.Namespace(clew=CLEW, dir=None, engine="memory", heartbeat_ms=50, election_ms=500)
    client = os.environ.get("KV_CLIENT")
    if client:  # tests/library.sh: the library's example
        with bench.Clew(options, 3) as group:
            exactly_once(group, client)
        return
    nobody_answers()
    with tempfile.TemporaryDirectory(prefix="clew-control-") as scratch:
        certificates(scratch)
        with bench.Clew(options, 3) as group:
            keys_and_values(group, scratch)
            members(group)
            killed_leader(group)


main()
