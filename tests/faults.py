#!/usr/bin/env python3
"""Faults around a real node: full disk, damaged files, wrong directories, taken ports, ends under load, new certificates and tokens."""
import glob
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import PROTO, attribute, field, request, span  # noqa: E402
from node import FAST, Node, until  # noqa: E402

SMALL_LOG = FAST.replace("storage: {", "storage: {wal: {file_size: 4MiB}, ") + "control: {log_file_size: 8MiB}\n"
SLOW = "traces: {quiet_period: 60s, trace_timeout: 120s, max_open: 600s}\n"  # everything stays in the log
failed = 0
done = 0


class OneOf(tuple):
    """What `expect` takes one of."""



def expect(what, got, wanted):
    global failed, done
    done += 1
    if not (got in wanted if isinstance(wanted, OneOf) else got == wanted):
        failed += 1
        print("FAILED %s: got %r, wanted %r" % (what, got, wanted))


def trace_of(number):
    return (0xFA << 120 | number * 0x9E3779B97F4A7C15 % (1 << 64) << 56 | number).to_bytes(16, "big")


def send(node, number, size=100, spans=4):
    text = random.Random(number).randbytes(size // 2).hex().encode()
    body = request(*[span(trace_of(number), bytes([i + 1]) * 8, field(9, attribute(b"text", text))) for i in range(spans)], service=b"faults")
    return node.post_traces(body, PROTO)


def count(node, number):
    return len(node.spans(trace_of(number).hex()))


def metric(node, name):
    for line in node.get("/metrics")[1].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return None


def data(node):
    return os.path.join(node.directory, "data")


def flip(path, position, mask=0x41):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ mask]))


def full_disk():
    """On a file system of 64 MiB: refused as retryable, queries still answered, by itself well again once there is room, nothing acknowledged lost."""
    place = tempfile.mkdtemp(prefix="clew-full-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        os.rmdir(place)
        return print("full_disk: skipped, no right to mount a tmpfs")
    # Retention by share of the disk is off: it would make room by taking what was sealed, which is another promise.
    config = SMALL_LOG.replace("storage: {", "storage: {retention: {max_disk_share: 1}, ")
    node = Node(config)
    shutil.rmtree(node.directory)
    node.directory = os.path.join(place, "node")
    os.mkdir(node.directory)
    node.config, node.log_path = os.path.join(node.directory, "clew.yaml"), place + ".log"
    with open(node.config, "w") as file:
        file.write(config)
    try:
        with node:
            acknowledged, refused = [], None
            for number in range(20_000):
                status, reply, headers = send(node, number, size=20_000)
                if status == 200:
                    acknowledged.append(number)
                else:
                    refused = (status, {k.lower(): v for k, v in headers.items()}, reply)
                    break
            expect("a full disk refuses", refused is not None and refused[0], 503)
            if refused:
                expect("it says when to come again", "retry-after" in refused[1], True)
                expect("it says why", b"full" in refused[2] or b"space" in refused[2], True)
            expect("the node is alive", node.process.poll(), None)
            expect("it still answers", count(node, acknowledged[0]), 4)
            filler = os.path.join(place, "filler")
            try:  # not a byte is left
                with open(filler, "wb", buffering=0) as file:
                    while file.write(b"\0" * 4096):
                        pass
            except OSError:
                pass
            for number in range(30_000, 30_200):
                status = send(node, number, size=20_000)[0]
                expect("with not a byte left", status, OneOf((200, 503)))
                if status == 200:
                    acknowledged.append(number)
            time.sleep(2)
            expect("still alive", node.process.poll(), None)
            subprocess.run(["mount", "-o", "remount,size=256m", place], check=True)

            def takes():
                """the node takes spans again"""
                return send(node, 40_000)[0] == 200

            until(takes, 30)
            acknowledged.append(40_000)
            expect("no acknowledged span is missing", [n for n in acknowledged if count(node, n) != 4], [])
            until(lambda: metric(node, "clew_disk_full") == 0, 30)
            expect("SIGTERM ends it", node.stop(), 0)
            node.start()
            expect("nor after a restart", [n for n in acknowledged if count(node, n) != 4], [])
            expect("SIGTERM ends it again", node.stop(), 0)
    finally:
        subprocess.run(["umount", "-l", place], check=False)
        os.rmdir(place)
        if os.path.exists(place + ".log"):
            os.remove(place + ".log")


def start_up(*arguments, config=""):
    """(exit code, output) of a start that must fail."""
    program = os.environ.get("CLEW", "build/release/clew")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "clew.yaml")
        with open(path, "w") as file:
            file.write(config)
        addresses = []
        for name in ("--otlp-grpc", "--otlp-http", "--http", "--tempo", "--peer", "--client", "--etcd"):
            if name not in arguments:
                addresses += [name, "127.0.0.1:0"]
        try:
            ended = subprocess.run([program, "serve", "--config", path, *arguments, *addresses], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        except subprocess.TimeoutExpired as error:
            return "still runs", (error.output or b"").decode(errors="replace")
        return ended.returncode, ended.stdout.decode(errors="replace")


def wrong_starts():
    """Each says what is wrong and what to do, and ends with 1, touching nothing."""
    def refused(what, outcome, *words):
        code, output = outcome
        expect(what + ": exit code", code, 1)
        expect("%s: the message has %r (%s)" % (what, words, output[-300:]), any(word in output for word in words), True)

    with Node(SLOW) as node:
        send(node, 1)
        refused("a second process on one directory", start_up("--data-dir", data(node)), "another clew")
        with tempfile.TemporaryDirectory() as other:
            for name, port in [("--otlp-grpc", node.grpc_port), ("--otlp-http", node.otlp_port), ("--http", node.http_port), ("--tempo", node.tempo_port)]:
                refused("port of %s in use" % name, start_up("--data-dir", other, name, "127.0.0.1:%d" % port), "in use", "has this port")
        expect("the first one is unharmed", (send(node, 2)[0], count(node, 1)), (200, 4))
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "file")
        with open(file, "w") as out:
            out.write("x")
        refused("a file as data directory", start_up("--data-dir", file), "ot a directory", "exists")
        refused("below a file", start_up("--data-dir", file + "/data"), "ot a directory")
        refused("below /proc", start_up("--data-dir", "/proc/clew"), "/proc")
        foreign = os.path.join(directory, "foreign")
        os.mkdir(foreign)
        with open(foreign + "/node.meta", "w") as out:
            out.write("something else\n")
        refused("a foreign directory", start_up("--data-dir", foreign), "not of a Clew data directory")
        with open(foreign + "/node.meta", "w") as out:
            out.write("clew data directory, format 99\nshards 2\n")
        refused("a directory of a later version", start_up("--data-dir", foreign), "not of a Clew data directory")
        expect("nothing was added to it", sorted(set(os.listdir(foreign)) - {"LOCK", "lock", "clew.lock"}), ["node.meta"])
        good = os.path.join(directory, "good")
        refused("an address that is none", start_up("--data-dir", good, "--http", "nonsense"), "has no port")
        refused("an address of another machine", start_up("--data-dir", good, "--http", "192.0.2.1:1"), "does not have that address", "endpoint")
        refused("a port beyond all", start_up("--data-dir", good, "--http", "127.0.0.1:70000"), "port")
        refused("a setting that is unknown", start_up("--data-dir", good, config="storrage: {}\n"), "storrage")
        refused("a value that is none", start_up("--data-dir", good, config="limits: {memory: lots}\n"), "memory")
        refused("a file that is not YAML", start_up("--data-dir", good, config="a: [\n"), "clew.yaml")
        refused("a missing certificate", start_up("--data-dir", good, config="receivers: {otlp: {protocols: {http: {tls: {cert_file: /nonexistent.pem, key_file: /nonexistent.key}}}}}\n"), "nonexistent")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", good], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            try:
                subprocess.run(["mount", "-o", "remount,ro", good], check=True)
                refused("a read-only file system", start_up("--data-dir", good), "Read-only", "read-only")
            finally:
                subprocess.run(["umount", "-l", good], check=False)


def damaged_files():
    """One flipped byte in a stopped node's files: told, counted, and the rest is served."""
    node = Node(SLOW + "storage: {durability: disk, wal: {file_size: 1MiB}}\nshards: 1\n")
    with node:
        for number in range(200):
            expect("sent", send(node, number)[0], 200)
        node.process.kill()
        node.process.wait()
        log = max(glob.glob(data(node) + "/**/*.wal", recursive=True), key=lambda path: os.path.getsize(path) if b"faults" in open(path, "rb").read() else 0)
        with open(log, "rb") as file:
            content = file.read()
        flip(log, content.index(random.Random(150).randbytes(50).hex().encode()) + 5)
        node.start()
        there = [number for number in range(200) if count(node, number) == 4]
        expect("all before the damage is there", [number for number in range(150) if number not in there], [])
        # A later record is lost only for what it uses of the damaged one's dictionary entries, and each is named.
        told = node.output().count("damaged log record skipped")
        expect("%d of 200 are there: at least 190" % len(there), len(there) >= 190, True)
        expect("%d of 200 are there, and each that is not is told" % len(there), 200 - len(there) == told and told >= 1, True)
        expect("the damage is counted", metric(node, "clew_wal_damage_total") >= 1, True)
        expect("new spans are taken", (send(node, 1000)[0], count(node, 1000)), (200, 4))
        expect("SIGTERM ends it", node.stop(), 0)
        node.start()
        expect("the same is there after another restart", [number for number in range(200) if count(node, number) == 4], there)
        expect("SIGTERM ends it again", node.stop(), 0)

    node = Node(FAST + "shards: 1\n")
    with node:
        for number in range(400):
            send(node, number, size=400)
            if number % 50 == 0:
                time.sleep(0.3)
        until(lambda: metric(node, "clew_open_rows") == 0 and metric(node, "clew_store_spans") == 1600)
        node.stop()
        shutil.copytree(data(node), data(node) + ".good")
        segments = lambda: sorted(path for path in glob.glob(data(node) + "/**/*", recursive=True) if os.path.isfile(path) and path.endswith((".seg", ".segment", ".clew")))  # noqa: E731
        expect("there are segments", len(segments()) > 0, True)
        rng = random.Random(7)
        for attempt in range(12):
            shutil.rmtree(data(node))
            shutil.copytree(data(node) + ".good", data(node))
            victim = rng.choice(segments())
            size = os.path.getsize(victim)
            if attempt % 4 == 3:
                os.truncate(victim, rng.randrange(size))
                what = "cut"
            else:
                position = [0, size - 1, rng.randrange(size)][attempt % 4]
                flip(victim, position)
                what = "flipped at %d of %d" % (position, size)
            node.start()
            served, wrong = 0, []
            for number in range(400):
                status, body = node.get("/api/v3/traces/" + trace_of(number).hex())
                if status == 200:
                    served += 1
                    if body.count(b'"spanId"') not in (4,):
                        wrong.append(number)
                elif status != 404 and status < 500:
                    wrong.append((number, status))
            expect("segment %s: no trace is served wrongly" % what, wrong, [])
            expect("segment %s: other segments are served" % what, served > 0 or len(segments()) < 2, True)
            page = node.get("/clew/v1/search?limit=1000")
            expect("segment %s: search answers" % what, page[0], 200)
            harmed = served < 400
            if harmed:
                told = "damage" in node.output() or (metric(node, "clew_store_damaged_blocks_total") or 0) > 0
                expect("segment %s: %d of 400 served, and it is told" % (what, served), told, True)
            expect("segment %s: new spans are taken" % what, (send(node, 1000 + attempt)[0], count(node, 1000 + attempt)), (200, 4))
            expect("segment %s: SIGTERM ends it" % what, node.stop(), 0)


def ends_under_load():
    """SIGTERM with requests under way and connections open: ends with 0 in time; what was acknowledged is there afterwards."""
    node = Node(FAST)
    with node:
        acknowledged, stop = set(), threading.Event()

        def load(base):
            connection = None
            number = base
            while not stop.is_set():
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", node.otlp_port, timeout=10)
                    body = request(*[span(trace_of(number), bytes([i + 1]) * 8) for i in range(4)])
                    connection.request("POST", "/v1/traces", body, {"Content-Type": PROTO})
                    reply = connection.getresponse()
                    reply.read()
                    if reply.status == 200:
                        acknowledged.add(number)
                    number += 1
                except (OSError, http.client.HTTPException):
                    connection = None
                    number += 1
                    time.sleep(0.01)

        senders = [threading.Thread(target=load, args=(1_000_000 * (i + 1),)) for i in range(4)]
        for one in senders:
            one.start()
        idle = [socket.create_connection(("127.0.0.1", port)) for port in (node.otlp_port, node.http_port, node.tempo_port, node.grpc_port) for _ in range(20)]
        half = socket.create_connection(("127.0.0.1", node.otlp_port))
        half.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\nxx")
        preface = socket.create_connection(("127.0.0.1", node.grpc_port))  # HTTP/2 with a call that never sends its message
        preface.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + open_call())
        time.sleep(1)
        begin = time.monotonic()
        code = node.stop()
        took = time.monotonic() - begin
        stop.set()
        for one in senders:
            one.join()
        for one in [*idle, half, preface]:
            one.close()
        expect("SIGTERM under load ends it with 0", code, 0)
        expect("in time (%.1f s)" % took, took < 25, True)
        node.start()
        lost = [number for number in sorted(acknowledged) if count(node, number) != 4]
        expect("all of %d acknowledged requests are there" % len(acknowledged), (len(acknowledged) > 50, lost[:5]), (True, []))
        node.process.send_signal(signal.SIGINT)
        expect("SIGINT does the same", node.process.wait(timeout=60), 0)
        node.process = None


def open_call():
    """A HEADERS frame that begins Export, literal and without indexing, and no DATA after it."""
    headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"), (b":authority", b"x"), (b"te", b"trailers"), (b"content-type", b"application/grpc")]
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in headers)
    return len(block).to_bytes(3, "big") + b"\x01\x04\0\0\0\1" + block


def certificates():
    """SIGHUP reads new certificates; broken ones leave the former in use."""
    directory = tempfile.mkdtemp(prefix="clew-tls-")
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")

    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", key, "-out", cert],
                       stderr=subprocess.DEVNULL, check=True)

    def names():
        """The common names that both receivers show."""
        shown = []
        for port, protocols in ((node.otlp_port, ["http/1.1"]), (node.grpc_port, ["h2"])):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(protocols)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, context.wrap_socket(plain) as connection:
                der = connection.getpeercert(binary_form=True)
                shown.append(next(name for name in ("first", "second", "third") if name.encode() in der))
        return shown

    if shutil.which("openssl") is None:
        return print("certificates: skipped, openssl is not installed")
    make("first")
    tls = "tls: {cert_file: %s, key_file: %s}" % (cert, key)
    node = Node(FAST + "receivers: {otlp: {protocols: {http: {%s}, grpc: {%s}}}}\n" % (tls, tls))
    with node:
        expect("the first certificate", names(), ["first", "first"])
        make("second")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: node.output().count("TLS files reloaded") == 1)
        expect("the second one over HTTP after SIGHUP", names()[0], "second")
        until(lambda: names() == ["second", "second"], 10)  # gRPC looks once a second
        with open(cert, "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nbroken\n")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "not reloaded" in node.output())
        time.sleep(2.5)  # longer than gRPC takes to look
        expect("a broken one changes nothing", names(), ["second", "second"])
        make("third")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: node.output().count("TLS files reloaded") == 2)
        until(lambda: names() == ["third", "third"], 20)
        with socket.create_connection(("127.0.0.1", node.otlp_port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                answer = plain.recv(100)
            except ConnectionResetError:
                answer = b""
            expect("plain text at a TLS port is not answered with data", answer.startswith(b"HTTP/1.1 200"), False)
        expect("SIGTERM ends it", node.stop(), 0)
    shutil.rmtree(directory)


def tokens():
    """SIGHUP reads new bearer tokens; a broken file and one without tokens leave the former in use."""
    def write(auth):
        with open(node.config, "w") as file:
            file.write(FAST + auth)

    def told(text, times=1):
        node.process.send_signal(signal.SIGHUP)
        until(lambda: node.output().count(text) == times)

    def answers():
        """What each token gets: of the receiver, of a query."""
        got = {}
        for token in ("first", "second"):
            headers = {"Authorization": "Bearer " + token}
            got[token] = (node.post_traces(b"", PROTO, headers)[0], node.get("/api/services", headers)[0])
        return got

    def shown(token):
        """The tenants whose tokens the page's configuration names to who has this one."""
        status, body = node.get("/clew/v1/config", {"Authorization": "Bearer " + token})[:2]
        return re.findall(r'tenant: "(\w*)"', json.loads(body)["yaml"]) if status == 200 else status

    def by_client_port(token):
        """Whether our own client protocol takes the token."""
        address = re.search(r"api=client endpoint=(\S+)", node.output()).group(1)
        command = [node.program, "kv", "put", "key", "value", "--server", address, "--token", token]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode == 0

    good, bad = (200, 200), (401, 401)
    node = Node(FAST + "auth: {bearer_tokens: [{token: first}]}\n")
    with node:
        expect("the token of the start", answers(), {"first": good, "second": bad})
        expect("the client port takes it", [by_client_port(token) for token in ("first", "third")], [True, False])
        expect("an operator sees all tokens", shown("first"), [""])
        write("auth: {bearer_tokens: [{token: second, tenant: acme}, {token: third}]}\n")
        told("bearer tokens reloaded")
        expect("the reply says how many and from where", "tokens=2 file=" + node.config in node.output(), True)
        expect("the tokens of the file after SIGHUP", answers(), {"first": bad, "second": good})
        expect("the client port, too", [by_client_port(token) for token in ("first", "second", "third")], [False, False, True])
        expect("an operator sees the tokens that are in force, a tenant its own", [shown(token) for token in ("third", "second", "first")],
               [["acme", ""], ["acme"], 401])
        write("auth: {bearer_tokens: [{token: first\n")
        told("bearer tokens not reloaded")
        write("")
        told("bearer tokens not reloaded", 2)
        expect("neither a broken file nor one without tokens changes anything", answers(), {"first": bad, "second": good})
        expect("no token is ever logged", any(token in node.output() for token in ("first", "second", "third")), False)
        expect("without TLS nothing is said of it", "TLS" in node.output(), False)
        expect("SIGTERM ends it", node.stop(), 0)


def main():
    parts = [full_disk, wrong_starts, damaged_files, ends_under_load, certificates, tokens]
    for part in [part for part in parts if part.__name__ in sys.argv[1:]] or parts:
        begin = time.monotonic()
        part()
        print("%-16s %3d checks so far, %d failed, %.1f s" % (part.__name__, done, failed, time.monotonic() - begin))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
