#!/usr/bin/env python3
"""Attacks on a node with its default limits: amplification, gRPC, slow peers, hostile queries. After each, a span is sent and read back field by field."""
import gzip
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import FAST, Node  # noqa: E402

CONFIG = FAST + "receivers: {otlp: {protocols: {http: {request_timeout: 3s}}}}\n"
LIMIT = 64 << 20
MEMORY_MB = 1024  # the default of limits.memory
PROTO = "application/x-protobuf"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
NOW = time.time_ns()


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value & (2**64 - 1))


def attribute(key, value):
    return field(1, key) + field(2, field(1, value))


def span(trace, span_id=b"\x01" * 8, extra=b"", start=NOW, end=NOW + 1000, name=b"n"):
    return field(1, trace) + field(2, span_id) + field(5, name) + fixed64(7, start) + fixed64(8, end) + extra


def request(*spans, service=b"hostile", repeat=1):
    resource = field(1, field(1, attribute(b"service.name", service)))
    return field(1, resource + field(2, b"".join(field(2, one) for one in spans) * repeat))


def trace_id(number):
    return struct.pack(">QQ", 0x5EED, number)


def zstd_bomb(size):
    """A frame of run-length blocks: 4 bytes for each 128 KiB of zeros."""
    block = 128 << 10
    blocks = size // block
    body = b"\x28\xb5\x2f\xfd" + b"\x00\x58"  # window of 2 MiB, no content size
    for number in range(blocks):
        body += struct.pack("<I", (block << 3) | (1 << 1) | (number == blocks - 1))[:3] + b"\x00"
    return body


class Attack:
    def __init__(self, node):
        self.node, self.failed, self.done, self.numbers = node, 0, 0, 0

    def expect(self, what, got, wanted):
        self.done += 1
        if not (got in wanted if isinstance(wanted, tuple) else got == wanted):
            self.failed += 1
            print("FAILED %s: got %r, wanted %r" % (what, got, wanted))

    def status(self, what, wanted, body, content_type=PROTO, headers=None):
        try:
            status, reply, _ = self.node.post_traces(body, content_type, headers)
        except OSError as error:
            status, reply = repr(error), b""
        self.expect(what, status, wanted)
        if isinstance(status, int) and status >= 400:
            self.expect(what + ": says why", len(reply) > 4, True)
        return reply

    def discarded(self):
        """Spans left out so far, by reason."""
        text = self.node.get("/metrics")[1].decode()
        return {reason: int(float(count)) for reason, count in re.findall(r'clew_discarded_spans_total\{reason="(\w+)"\} (\S+)', text)}

    def rejected(self, what, reason, count, body, content_type=PROTO):
        before = self.discarded()
        self.status(what, 200, body, content_type)
        after = self.discarded()
        self.expect(what + ": counted as " + reason, {r: after[r] - before[r] for r in after if after[r] != before[r]}, {reason: count})

    def witness(self, after):
        """A span with every kind of field goes in and comes out as it was; a process that was restarted would have lost this one's predecessors."""
        self.numbers += 1
        trace = "%032x" % (0xACE0000 + self.numbers)
        sent = {"traceId": trace, "spanId": "b7ad6b7169203331", "parentSpanId": "00f067aa0ba902b7", "traceState": "a=1,b=2", "flags": 257, "name": "witness ✓", "kind": 2,
                "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + self.numbers), "droppedAttributesCount": 1, "droppedEventsCount": 2, "droppedLinksCount": 3,
                "attributes": [{"key": "s", "value": {"stringValue": "v"}}, {"key": "i", "value": {"intValue": "-7"}}, {"key": "d", "value": {"doubleValue": 0.5}},
                               {"key": "b", "value": {"boolValue": True}}, {"key": "l", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}]}}}],
                "events": [{"timeUnixNano": str(NOW + 1), "name": "e", "attributes": [{"key": "k", "value": {"stringValue": "w"}}]}],
                "links": [{"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}], "status": {"code": 2, "message": "why"}}
        body = json.dumps({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "witness"}}]}, "scopeSpans": [{"spans": [sent]}]}]})
        status = None
        for _ in range(50):  # back-pressure is a right answer to an attack: a client retries
            status, _, _ = self.node.post_traces(body.encode())
            if status != 503:
                break
            time.sleep(0.1)
        self.expect("after " + after + ": a good span is taken", status, 200)
        for number in (1, self.numbers):
            stored = self.node.spans("%032x" % (0xACE0000 + number))
            self.expect("after %s: span %d of %d is there" % (after, number, self.numbers), len(stored), 1)
        if stored:
            for key, value in sent.items():
                self.expect("after " + after + ": " + key, stored[0][2].get(key), value)

    def http(self, what, data, wanted, half_close=False, timeout=15):
        """Raw bytes to the receiver; `wanted` are beginnings of an answer, b"" stands for a closed connection."""
        with socket.create_connection(("127.0.0.1", self.node.otlp_port), timeout=timeout) as connection:
            try:
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(4096)
            except (ConnectionResetError, BrokenPipeError):
                answer = b""
            except socket.timeout:
                answer = b"no answer in time"
        self.expect("%s (%r)" % (what, answer[:40]), any(answer.startswith(one) if one else answer == b"" for one in wanted), True)

    def grpc(self, what, wanted, message, flag=0, path=EXPORT, headers=(), frame=None, deadline=60):
        """One unary call by curl; the status of the call, or of HTTP when the call never began."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(frame if frame is not None else struct.pack(">BI", flag, len(message)) + message)
            file.flush()
            command = ["curl", "-s", "-m", str(deadline), "--http2-prior-knowledge", "-o", "/dev/null", "-D", "-", "-H", "te: trailers", "--data-binary", "@" + file.name]
            if not any(one.lower().startswith("content-type") for one in headers):
                command += ["-H", "content-type: application/grpc"]
            for one in headers:
                command += ["-H", one]
            command.append("http://127.0.0.1:%d%s" % (self.node.grpc_port, path))
            # A refusal before the body was read resets the stream behind it, and curl may lose the answer to that: it asks again.
            patience = 1 if isinstance(wanted, tuple) and "no answer" in wanted else 30
            answer, give_up = "", time.monotonic() + patience
            while not answer and time.monotonic() < give_up:
                answer = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode(errors="replace")
        found = re.search(r"(?im)^grpc-status: (\d+)", answer)
        code = int(found.group(1)) if found else answer.split("\r\n")[0] or "no answer"
        self.expect(what, code, wanted)
        if isinstance(code, int) and code != 0:
            self.expect(what + ": says why", bool(re.search(r"(?im)^grpc-message: .{4,}", answer)), True)
        return answer


def amplification(attack):
    """Small input that would like to become large memory."""
    attack.status("a body of 64 MiB + 1", 413, b"\x00" * (LIMIT + 1))
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    chunk = b"100000\r\n" + b"\x00" * (1 << 20) + b"\r\n"
    attack.http("a chunked body of 64 MiB + 1", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 64 + b"1\r\n\x00\r\n0\r\n\r\n", [b"HTTP/1.1 413", b""])
    attack.http("one chunk that says it is 2^63 long", head + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", [b"HTTP/1.1 413", b"HTTP/1.1 400", b"HTTP/1.1 408", b""])
    attack.status("a zstd bomb of 1 GiB", 413, zstd_bomb(1 << 30), headers={"Content-Encoding": "zstd"})
    attack.status("cut zstd", 400, zstd_bomb(1 << 20)[:-3], headers={"Content-Encoding": "zstd"})
    attack.status("zstd with a window of 2 GiB", (400, 413), b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x03\x00\x00\x00", headers={"Content-Encoding": "zstd"})
    attack.status("a gzip bomb that says it is small", 413, gzip.compress(b"\x0a\x00" * (40 << 20))[:-4] + b"\x10\x00\x00\x00", headers={"Content-Encoding": "gzip"})
    attack.status("gzip in gzip", 400, gzip.compress(gzip.compress(request(span(trace_id(1))))), headers={"Content-Encoding": "gzip"})
    empty = gzip.compress(b"\x0a\x00" * (31 << 20), 9)
    attack.status("31 million empty resources in %d KiB" % (len(empty) >> 10), (200, 400), empty, headers={"Content-Encoding": "gzip"})
    scopes = gzip.compress(field(1, b"\x12\x00" * (31 << 20)), 9)
    attack.status("31 million empty scopes", (200, 400), scopes, headers={"Content-Encoding": "gzip"})
    none = gzip.compress(field(1, field(2, b"\x12\x00" * (31 << 20))), 9)
    attack.status("31 million empty spans", (200, 400), none, headers={"Content-Encoding": "gzip"})
    small = gzip.compress(request(field(1, trace_id(2)) + field(2, b"\x01" * 8), repeat=900_000), 9)
    attack.status("900,000 spans that are the same", (200, 503), small, headers={"Content-Encoding": "gzip"})
    million = b"".join(field(9, attribute(b"k%d" % i, b"v")) for i in range(1_000_000))
    attack.rejected("a span with a million attributes", "span_too_large" if len(million) > 16 << 20 else "too_many_attributes", 1, request(span(trace_id(3), extra=million)))
    same = field(9, attribute(b"k", b"v")) * 1_000_000
    attack.rejected("a span with a million times one attribute", "too_many_attributes" if len(same) < 16 << 20 else "span_too_large", 1, request(span(trace_id(3), extra=same)))
    events = field(11, field(2, b"e")) * 1_000_000
    attack.rejected("a span with a million events", "too_many_attributes", 1, request(span(trace_id(3), extra=events)))
    resource = field(1, field(1, million) + field(2, field(2, span(trace_id(4)))))
    attack.status("a resource with a million attributes", (200, 400), resource)
    attack.status("a resource of 60 MiB", (200, 400, 503), field(1, field(1, field(1, attribute(b"k", b"x" * (60 << 20)))) + field(2, field(2, span(trace_id(5))))))
    keys = request(*[span(trace_id(1000 + i), extra=b"".join(field(9, attribute(b"key-%d-%d" % (i, j), b"v%d" % (i * 100 + j))) for j in range(100))) for i in range(5000)])
    attack.status("half a million different keys", (200, 503), keys)


def hostile_protobuf(attack):
    nested = field(1, b"x")
    for _ in range(5000):
        nested = field(5, field(1, nested))
    attack.status("values nested 5,000 deep", (200, 400), request(span(trace_id(10), extra=field(9, field(1, b"k") + field(2, nested)))))
    for what, extra, reason in [("invalid UTF-8 in a key", field(9, attribute(b"\xff\xfe", b"v")), "invalid_utf8"), ("invalid UTF-8 in a value", field(9, attribute(b"k", b"\xc3\x28")), "invalid_utf8"),
                                ("an overlong UTF-8 form", field(9, attribute(b"k", b"\xc0\x80")), "invalid_utf8"), ("a surrogate in UTF-8", field(9, attribute(b"k", b"\xed\xa0\x80")), "invalid_utf8"),
                                ("a parent id of 3 bytes", field(4, b"abc"), "invalid_parent_span_id"), ("a cut attribute", b"\x4a\x7f\x01", "malformed"),
                                ("a group in a span", b"\x7b\x7c", "malformed"), ("field 0 in a span", b"\x02\x00", "malformed")]:
        attack.rejected(what, reason, 1, request(span(trace_id(11), extra=extra)))
    attack.rejected("invalid UTF-8 in a name", "invalid_utf8", 1, request(span(trace_id(11), name=b"\xff")))
    attack.rejected("a span id of 7 bytes", "invalid_span_id", 1, request(span(trace_id(11), b"\x01" * 7)))
    attack.rejected("a span id of zeros", "invalid_span_id", 1, request(span(trace_id(11), b"\x00" * 8)))
    attack.rejected("a trace id of 15 bytes", "invalid_trace_id", 1, request(span(b"\x01" * 15)))
    attack.rejected("a trace id of zeros", "invalid_trace_id", 1, request(span(b"\x00" * 16)))
    attack.rejected("an empty span", "invalid_trace_id", 1, request(b""))
    for number, (start, end) in enumerate([(0, 0), (1, 0), (2**64 - 1, 0), (0, 2**64 - 1), (2**63 - 1, 2**63), (2**64 - 1, 2**64 - 1), (NOW, NOW - 10**15)]):
        trace = trace_id(100 + number)
        attack.status("times %d to %d" % (start, end), 200, request(span(trace, start=start, end=end)))
        stored = attack.node.spans(trace.hex())
        attack.expect("times %d to %d are kept" % (start, end), [[one[2].get(key, "0") for key in ("startTimeUnixNano", "endTimeUnixNano")] for one in stored], [[str(start), str(end)]])
    good = request(span(trace_id(12), extra=field(9, attribute(b"k", b"v"))))
    for cut in range(1, len(good)):  # every truncation: an error, never a half
        attack.status("cut after %d bytes" % cut, 400, good[:cut])
    attack.expect("nothing of the cut requests is there", attack.node.spans(trace_id(12).hex()), [])


def hostile_json(attack):
    wrap = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"00f067aa0ba902b7",%%s}]}]}]}' % trace_id(20).hex()
    for what, inner in [("a number without end", '"startTimeUnixNano":' + "9" * 100_000), ("an infinite time", '"startTimeUnixNano":1e999'), ("a negative time", '"startTimeUnixNano":"-1"'),
                        ("a time beyond 64 bits", '"startTimeUnixNano":"18446744073709551616"'), ("an object as name", '"name":{}'), ("a list as kind", '"kind":[1]'),
                        ("a raw control character", '"name":"\x01"'), ("a bad escape", '"name":"\\q"'), ("NaN", '"startTimeUnixNano":NaN'),
                        ("values nested 100,000 deep", '"attributes":' + "[" * 100_000), ("unknown nested 100,000 deep", '"x":' + "[" * 100_000 + "]" * 100_000),
                        ("attributes that are an object", '"attributes":{"k":"v"}')]:
        attack.status("JSON: " + what, 400, (wrap % inner).encode(), "application/json")
    replaced = (wrap.replace(trace_id(20).hex(), trace_id(21).hex()) % '"name":"a\\ud800"').encode()
    attack.status("JSON: a lone surrogate", 200, replaced, "application/json")
    attack.expect("JSON: a lone surrogate is replaced", [one[2]["name"] for one in attack.node.spans(trace_id(21).hex())], ["a\ufffd"])
    attack.status("JSON: two documents", 400, b"{}{}", "application/json")
    attack.status("JSON: a byte order mark", (200, 400), b"\xef\xbb\xbf{}", "application/json")
    attack.status("JSON: UTF-16", 400, '{"resourceSpans":[]}'.encode("utf-16"), "application/json")
    attack.status("JSON: nothing", 400, b"", "application/json")
    attack.status("JSON: 20 million brackets", 400, b"[" * 20_000_000, "application/json")
    for bad in ["zz" * 16, "0" * 31, "0" * 33, "Cg==" * 8, "\\u0000" * 16]:
        body = wrap.replace(trace_id(20).hex(), bad) % '"name":"n"'
        reply = attack.status("JSON: the trace id " + bad[:40], (200, 400), body.encode(), "application/json")
        attack.expect("JSON: the trace id %s is not taken" % bad[:40], b"partialSuccess" in reply or b"message" in reply, True)
    good = (wrap % '"name":"n"').encode()
    for cut in range(1, len(good)):
        attack.status("JSON cut after %d bytes" % cut, 400, good[:cut], "application/json")
    attack.expect("nothing of the cut requests is there", attack.node.spans(trace_id(20).hex()), [])


def grpc(attack):
    good = request(span(trace_id(30)))
    attack.grpc("gRPC: a good request", 0, good)
    attack.expect("gRPC: it is there", len(attack.node.spans(trace_id(30).hex())), 1)
    attack.grpc("gRPC: gzip", 0, gzip.compress(request(span(trace_id(31)))), flag=1, headers=["grpc-encoding: gzip"])
    attack.expect("gRPC: gzip is there", len(attack.node.spans(trace_id(31).hex())), 1)
    attack.grpc("gRPC: cut protobuf", 3, good[:-2])
    attack.grpc("gRPC: nonsense", 3, b"\xff" * 1000)
    attack.grpc("gRPC: a gzip bomb of 1 GiB", 8, gzip.compress(b"\x00" * (1 << 30), 9), flag=1, headers=["grpc-encoding: gzip"])
    attack.grpc("gRPC: a deflate bomb", (3, 8, 12), zlib.compress(b"\x00" * (256 << 20), 9), flag=1, headers=["grpc-encoding: deflate"])
    attack.grpc("gRPC: gzip that is none", (3, 13), b"not gzip", flag=1, headers=["grpc-encoding: gzip"])
    attack.grpc("gRPC: compressed, but not how", (3, 12, 13), gzip.compress(good), flag=1)
    attack.grpc("gRPC: an encoding that nobody knows", (3, 12), gzip.compress(good), flag=1, headers=["grpc-encoding: br"])
    attack.grpc("gRPC: a message of 64 MiB + 1", 8, b"\x00" * (LIMIT + 1))
    attack.grpc("gRPC: a length of 4 GiB", (8, 13, 3), b"", frame=b"\x00\xff\xff\xff\xff" + good)
    attack.grpc("gRPC: a length beyond the end", (3, 13, 2, 1, 12), b"", frame=struct.pack(">BI", 0, 1000) + good)
    attack.grpc("gRPC: no message", (3, 12, 13, 2), b"", frame=b"")
    attack.grpc("gRPC: two messages", (0, 12, 13), b"", frame=(struct.pack(">BI", 0, len(good)) + good) * 2)
    attack.grpc("gRPC: a method that is none", 12, good, path="/opentelemetry.proto.collector.trace.v1.TraceService/Delete")
    attack.grpc("gRPC: another service", 12, good, path="/a.B/C")
    attack.grpc("gRPC: another content type", ("HTTP/2 415 ", 0), good, headers=["content-type: text/plain"])
    attack.grpc("gRPC: a tenant that none can be called", 3, good, headers=["x-scope-orgid: a/../b"])
    attack.grpc("gRPC: headers of 100 KiB", (8, 13, "no answer"), good, headers=["x-%d: %s" % (i, "a" * 1000) for i in range(100)])
    before = attack.discarded()
    attack.grpc("gRPC: a span id of zeros", 0, request(span(trace_id(32), b"\x00" * 8)))
    attack.expect("gRPC: counted", attack.discarded()["invalid_span_id"] - before["invalid_span_id"], 1)
    for what, data in [("HTTP/1", b"GET / HTTP/1.1\r\n\r\n"), ("nonsense", b"\x00" * 4096), ("a preface and nonsense", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096)]:
        with socket.create_connection(("127.0.0.1", attack.node.grpc_port), timeout=15) as connection:
            try:
                connection.sendall(data)
                while connection.recv(4096):
                    pass
                ended = True
            except ConnectionResetError:
                ended = True
            except socket.timeout:
                ended = False
        attack.expect("gRPC: %s ends the connection" % what, ended, True)


class HalfMessages:
    """One HTTP/2 connection whose calls each send a gRPC message but for its last byte, as fast as the windows allow."""

    def __init__(self, port, calls, message_bytes):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.window, self.first_window = 65535, 65535
        self.left = {1 + 2 * i: 5 + message_bytes - 1 for i in range(calls)}  # bytes still to send, by stream
        self.windows = {stream: 65535 for stream in self.left}
        self.inbox, self.sent = b"", 0
        field = lambda name, value: b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        head = b"".join(field(*pair) for pair in [(b":method", b"POST"), (b":scheme", b"http"), (b":path", EXPORT.encode()), (b":authority", b"x"),
                                                  (b"content-type", b"application/grpc"), (b"te", b"trailers")])
        self.outbox = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(4, 0, 0, b"")
        for stream in self.left:
            self.outbox += self.frame(1, 4, stream, head)
        self.prefix = struct.pack(">BI", 0, message_bytes)
        self.started = set()
        self.socket.setblocking(False)

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def read(self):
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError
        self.inbox += data
        while len(self.inbox) >= 9:
            size = int.from_bytes(self.inbox[:3], "big")
            if len(self.inbox) < 9 + size:
                return
            kind, flags, stream, payload = self.inbox[3], self.inbox[4], int.from_bytes(self.inbox[5:9], "big"), self.inbox[9:9 + size]
            self.inbox = self.inbox[9 + size:]
            if kind == 8 and stream == 0:
                self.window += int.from_bytes(payload, "big")
            elif kind == 8 and stream in self.windows:
                self.windows[stream] += int.from_bytes(payload, "big")
            elif kind == 4 and not flags & 1:
                for at in range(0, size, 6):
                    if payload[at:at + 2] == b"\x00\x04":
                        value = int.from_bytes(payload[at + 2:at + 6], "big")
                        self.windows = {one: window + value - self.first_window for one, window in self.windows.items()}
                        self.first_window = value
                self.outbox += self.frame(4, 1, 0, b"")
            elif kind == 6 and not flags & 1:
                self.outbox += self.frame(6, 1, 0, payload)
            elif kind == 3 or (kind == 1 and flags & 1):  # the call was ended
                self.left.pop(stream, None)

    def write(self):
        for stream, left in self.left.items():
            size = min(left, self.window, self.windows[stream], 16384)
            if len(self.outbox) > 1 << 20 or size < 1 or (stream not in self.started and size < 5):
                continue
            data = b"\x00" * size if stream in self.started else self.prefix + b"\x00" * (size - 5)
            self.started.add(stream)
            self.outbox += self.frame(0, 0, stream, data)
            self.left[stream] -= size
            self.window -= size
            self.windows[stream] -= size
        if self.outbox:
            try:
                sent = self.socket.send(self.outbox)
            except BlockingIOError:
                return
            self.outbox, self.sent = self.outbox[sent:], self.sent + sent

    def waits(self):
        return bool(self.outbox) or any(left and self.window > 4 and self.windows[stream] > 4 for stream, left in self.left.items())


def half_messages(attack):
    """Calls that never end their large messages, which gRPC keeps until it has them whole."""
    peers = [HalfMessages(attack.node.grpc_port, 4, 48 << 20) for _ in range(12)]
    quiet_since = time.monotonic()
    while peers and time.monotonic() - quiet_since < 3:  # nothing moves any more: all is sent, refused, or waits for room
        readable, writable, _ = select.select([one.socket for one in peers], [one.socket for one in peers if one.waits()], [], 0.5)
        for one in list(peers):
            before = one.sent, len(one.left)
            try:
                if one.socket in readable:
                    one.read()
                if one.socket in writable:
                    one.write()
            except (ConnectionResetError, BrokenPipeError):
                peers.remove(one)
                quiet_since = time.monotonic()
                continue
            if before != (one.sent, len(one.left)):
                quiet_since = time.monotonic()
    sent = sum(one.sent for one in peers)
    print("half messages: %d connections are left, which sent %d MB" % (len(peers), sent >> 20))
    attack.expect("HTTP is served meanwhile", attack.node.post_traces(request(span(trace_id(33))), "application/x-protobuf")[0], 200)
    for one in peers:
        one.socket.close()
    attack.grpc("gRPC: a good request after half messages", 0, request(span(trace_id(34))))


def slow_peers(attack):
    """Hundreds of peers that take their time: refused each in time, and good requests pass meanwhile."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 60000000\r\n"
    slow = []
    for number in range(600):
        one = socket.create_connection(("127.0.0.1", attack.node.otlp_port), timeout=15)
        one.sendall([b"POST", head, head + b"\r\n" + b"\x0a", head + b"Expect: 100-continue\r\n\r\n"][number % 4])
        slow.append(one)
    attack.witness("600 slow requests began")
    unanswered = 0
    deadline = time.monotonic() + 30
    for one in slow:
        one.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            while one.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except socket.timeout:
            unanswered += 1
        one.close()
    attack.expect("slow peers that still hold a connection", unanswered, 0)
    # A peer that never reads its answers ends, too, and its requests with it.
    one = socket.create_connection(("127.0.0.1", attack.node.http_port), timeout=2)
    try:
        for _ in range(20_000):
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 16)
        attack.expect("pipelining without reading is stopped", False, True)
    except (socket.timeout, ConnectionResetError, BrokenPipeError):
        pass
    one.close()
    for number in range(300):  # gone in the middle of a body, with a reset
        gone = socket.create_connection(("127.0.0.1", attack.node.otlp_port), timeout=15)
        gone.sendall(head + b"\r\n" + b"\x00" * 10_000)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
    body = request(span(trace_id(40)))
    whole = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    attack.http("a client that closes its half after the request", whole, [b"HTTP/1.1 200"], half_close=True)
    attack.http("smuggling: length and chunks", head.replace(b"60000000", b"5") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [b"HTTP/1.1 400", b""])
    attack.http("a space before the colon", whole.replace(b"Host:", b"Host :"), [b"HTTP/1.1 400", b""])
    attack.http("a NUL in a header", whole.replace(b"Host: x", b"Host: \x00"), [b"HTTP/1.1 400", b""])
    attack.http("HTTP/9.9", whole.replace(b"HTTP/1.1", b"HTTP/9.9", 1), [b"HTTP/1.1 400", b"HTTP/1.1 505", b""])
    attack.http("a method of 100 KiB", b"A" * 100_000 + b" / HTTP/1.1\r\n\r\n", [b"HTTP/1.1 4", b""])
    attack.http("100,000 headers", b"GET /v1/traces HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n", [b"HTTP/1.1 431", b"HTTP/1.1 400", b""])


def cpu_ms(pid):
    """CPU time of a process, of all its threads: what an attack costs, whatever else the machine does."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def queries(attack):
    node = attack.node
    quote = "".join

    def get(what, path, wanted, port=None, limit_ms=5000):
        begin = cpu_ms(node.process.pid)
        try:
            status, body, _ = node.request(port or node.http_port, "GET", path)
        except OSError as error:
            status, body = repr(error), b""
        attack.expect("GET " + what, status, wanted)
        attack.expect("GET %s: costs the node below %d ms of CPU" % (what, limit_ms), cpu_ms(node.process.pid) - begin < limit_ms, True)
        if status == 400:
            attack.expect("GET " + what + ": says why", len(body) > 4, True)
        return body

    def escape(text):
        return quote("%%%02X" % byte for byte in text.encode())

    tempo = node.tempo_port
    for what, q, wanted in [("parentheses 5,000 deep", "{" + "(" * 2500 + "true" + ")" * 2500 + "}", 400), ("not 5,000 times", "{" + "!" * 5000 + "true}", 400),
                            ("1,500 conditions", "{" + "&&".join(["true"] * 1500) + "}", 400), ("a query of 20 KB", '{name="' + "x" * 20_000 + '"}', (400, 431)), ("an open string", '{name="', 400),
                            ("an open brace", "{", 400), ("a pipeline", "{} | count() > 1", (400, 501)), ("a number without end", "{duration > %ss}" % ("9" * 400), 400), ("a negative duration", "{duration > -1s}", (200, 400)),
                            ("a type that does not fit", "{duration = true}", (200, 400)), ("a regex that is none", '{name =~ "("}', 400), ("a regex of a million states", '{name =~ "((a{1,1000}){1,1000}){1,1000}"}', 400),
                            ("a regex that explodes elsewhere", '{name =~ "(a+)+$"}', 200), ("a regex with a back reference", '{name =~ "(a)\\\\1"}', 400), ("NUL", "{name=\"\x00\"}", (200, 400)),
                            ("invalid UTF-8", "{name=\"\udcff\"}".encode("utf-8", "surrogateescape").decode("latin-1"), (200, 400)), ("structural operators", "{} >> {}", (400, 501))]:
        get("Tempo search: " + what, "/api/search?q=" + escape(q), wanted, tempo)
        get("own search: " + what, "/clew/v1/search?q=" + escape(q), wanted)
    for what, path, wanted in [("absurd limit", "/clew/v1/search?limit=99999999999999999999", 400), ("limit 2^31", "/clew/v1/search?limit=2147483648", (200, 400)), ("limit 0", "/clew/v1/search?limit=0", (200, 400)),
                               ("start > end", "/clew/v1/search?start=2000000000000000000&end=1000000000000000000", (200, 400)), ("times beyond all", "/clew/v1/search?start=99999999999999999999", 400),
                               ("since beyond all", "/clew/v1/search?since=999999999999999h", 400), ("cursor of another kind", "/clew/v1/search?cursor=" + "A" * 60, 400), ("cursor of 30 KB", "/clew/v1/search?cursor=" + "f" * 30_000, (400, 414, 431)),
                               ("unknown finding", "/clew/v1/search?finding=none", 400), ("10,000 parameters", "/clew/v1/search?" + "&".join("a%d=1" % i for i in range(3000)), (200, 400, 414, 431)),
                               ("Jaeger: limit", "/api/traces?service=s&limit=99999999999999", (200, 400)), ("Jaeger: start > end", "/api/traces?service=s&start=2000000000000000&end=1", (200, 400)),
                               ("Jaeger: minDuration", "/api/traces?service=s&minDuration=abc", 400), ("Jaeger: max < min", "/api/traces?service=s&minDuration=2s&maxDuration=1s", (200, 400)),
                               ("Jaeger: deep tags", "/api/traces?service=s&tags=" + escape('{"a":' * 2000), (400, 414, 431)), ("Jaeger: a million ids", "/api/traces?" + "&".join("traceID=%x" % i for i in range(1, 2000)), (400, 414, 431)),
                               ("Jaeger: bad id", "/api/traces/..%2f..%2fetc", (400, 404)), ("Jaeger v3: bad time", "/api/v3/traces?query.start_time_min=never&query.start_time_max=2020-01-01T00:00:00Z", 400),
                               ("Jaeger v3: no times", "/api/v3/traces?query.service_name=s", (400, 404)), ("operations of nothing", "/api/services//operations", (200, 400, 404)), ("an escape that breaks off", "/api/traces/%a", (400, 404)),
                               ("a path that climbs", "/../../etc/passwd", (400, 404)), ("transform by GET", "/api/transform", 405)]:
        get(what, path, wanted)
    for what, path, wanted in [("limit", "/api/search?limit=-5", 400), ("start", "/api/search?start=abc", 400), ("start > end", "/api/search?start=2000000000&end=1000000000", (200, 400)), ("tags", "/api/search?tags=%22", (200, 400)),
                               ("spss", "/api/search?spss=999999999999", (200, 400)), ("a tag name of 20 KB", "/api/v2/search/tag/" + "x" * 20_000 + "/values", (200, 400, 414, 431)), ("id", "/api/traces/xyz", 400), ("an id of 33 digits", "/api/v2/traces/" + "a" * 33, 400)]:
        get("Tempo: " + what, path, wanted, tempo)
    for method in ["POST", "DELETE", "PUT", "PATCH", "TRACE", "NONSENSE"]:
        attack.expect(method + " on a query", node.request(node.http_port, method, "/api/services")[0], (405, 400, 501))
    big = b"{" * (4 << 20)
    attack.expect("transform of nonsense", node.request(node.http_port, "POST", "/api/transform", big, {"Content-Type": "application/json"})[0], (400, 413))


def tenants(attack):
    """Nothing of a tenant shows at another, on any path."""
    node, trace = attack.node, trace_id(50)
    body = request(span(trace, extra=field(9, attribute(b"alpha.secret.key", b"alpha-secret-value")), name=b"alpha-secret-operation"), service=b"alpha-secret-service")
    attack.expect("alpha's span", node.post_traces(body, PROTO, {"X-Scope-OrgID": "alpha"})[0], 200)
    wide = "start=0&end=4000000000"
    jaeger = ["/api/services", "/api/traces/" + trace.hex(), "/api/v3/traces/" + trace.hex(), "/api/services/alpha-secret-service/operations", "/api/traces?service=alpha-secret-service&start=0&end=4000000000000000",
              "/api/traces?traceID=" + trace.hex(), "/clew/v1/traces/" + trace.hex(), "/clew/v1/traces/" + trace.hex() + "/verdict", "/clew/v1/search", "/clew/v1/search?service=alpha-secret-service",
              "/api/v3/services", "/api/v3/operations?service=alpha-secret-service"]
    tempo = ["/api/traces/" + trace.hex(), "/api/v2/traces/" + trace.hex(), "/api/search?" + wide, "/api/search/tags", "/api/v2/search/tags", "/api/v2/search/tag/resource.service.name/values", "/api/search/tag/alpha.secret.key/values",
             "/api/search?q=%7B%7D&" + wide]
    seen = 0
    for port, paths in [(node.http_port, jaeger), (node.tempo_port, tempo)]:
        for path in paths:
            own = node.request(port, "GET", path, headers={"X-Scope-OrgID": "alpha"})
            seen += own[0] == 200 and (b"alpha" in own[1] or trace.hex().encode() in own[1])
            for other in ({"X-Scope-OrgID": "beta"}, {}, {"X-Scope-OrgID": "alpha "}, {"X-Scope-OrgID": "ALPHA"}):
                status, reply, _ = node.request(port, "GET", path, headers=other)
                if other == {"X-Scope-OrgID": "alpha "}:
                    continue  # white space around a header's value is none of it: the same tenant
                attack.expect("%s as %r: an answer without alpha's data" % (path, other), b"secret" in reply.replace(b"alpha-secret-service/operations", b"") and status == 200, False)
    attack.expect("alpha itself sees its data (paths)", seen >= 14, True)
    attack.expect("two tenants at once", node.get("/api/services", {"X-Scope-OrgID": "alpha|beta"})[0], (400, 200))
    attack.expect("a tenant's name of 100 KiB", node.get("/api/services", {"X-Scope-OrgID": "a" * 20_000})[0], 400)


def peak_mb(pid):
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def main():
    parts = [amplification, hostile_protobuf, hostile_json, grpc, half_messages, slow_peers, queries, tenants]
    chosen = [part for part in parts if part.__name__ in sys.argv[1:]] or parts
    with Node(CONFIG) as node:
        attack = Attack(node)
        attack.witness("the start")
        for part in chosen:
            begin = time.monotonic()
            part(attack)
            attack.witness(part.__name__)
            print("%-18s %4d checks so far, peak RSS %4.0f MB, %.1f s" % (part.__name__, attack.done, peak_mb(node.process.pid), time.monotonic() - begin))
        peak = peak_mb(node.process.pid)
        attack.expect("peak RSS %.0f MB stays below %d" % (peak, MEMORY_MB), peak < MEMORY_MB, True)
        attack.expect("SIGTERM ends it cleanly", node.stop(), 0)
        wrong = [line for line in node.output().splitlines() if "level=critical" in line or "level=error" in line]
        attack.expect("no error in its log", wrong, [])
        node.start()
        attack.witness("a restart")
        attack.expect("SIGTERM ends it cleanly again", node.stop(), 0)
        print("%d checks, %d failed" % (attack.done, attack.failed))
        return 1 if attack.failed else 0


if __name__ == "__main__":
    sys.exit(main())
