#!/usr/bin/env python3
"""Hostile and broken input to a real node: a clear error or a counted rejection each time, memory bounded, the rest unharmed."""
import gzip
import json
import os
import socket
import sys
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import FAST, Node  # noqa: E402

CONFIG = FAST + """
receivers: {otlp: {protocols: {http: {request_timeout: 2s, max_request_body_size: 8MiB, cors: {allowed_origins: ["https://app.example"]}}, grpc: {max_recv_msg_size: 8MiB}}}}
limits: {memory: 256MiB, max_in_flight: 64MiB, max_span_size: 1MiB}
"""
LIMIT = 8 << 20
NOW = time.time_ns()


def span(trace="0af7651916cd43dd8448eb211c80319c", span_id="b7ad6b7169203331", **fields):
    made = {"traceId": trace, "spanId": span_id, "name": "n", "kind": 1, "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 1000)}
    made.update(fields)
    return made


def request(*spans):
    return json.dumps({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
                                          "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def rss_mb(pid):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0


class Checks:
    def __init__(self, node):
        self.node, self.failed, self.done = node, 0, 0

    def expect(self, what, got, wanted):
        self.done += 1
        good = got in wanted if isinstance(wanted, (list, tuple, set)) else got == wanted
        if not good:
            self.failed += 1
            print("FAILED %s: got %r, wanted %r" % (what, got, wanted))

    def post(self, what, body, wanted, content_type="application/json", headers=None):
        try:
            status, reply, _ = self.node.post_traces(body, content_type, headers)
        except OSError as error:
            status, reply = repr(error), b""
        self.expect(what, status, wanted)
        return status, reply

    def rejected(self, what, *spans, of=1, content_type="application/json"):
        """The request succeeds, and says that `of` spans were left out and why."""
        status, reply = self.post(what, request(*spans), 200, content_type)
        if status == 200:
            partial = json.loads(reply).get("partialSuccess", {})
            self.expect(what + ": rejected", int(partial.get("rejectedSpans", 0)), of)
            self.expect(what + ": a reason is given", bool(partial.get("errorMessage")), True)

    def good_request_still_works(self, what, number):
        trace = "%032x" % (0xabc000 + number)
        status, _, _ = self.node.post_traces(request(span(trace=trace)))
        self.expect("after " + what + ": a good request", status, 200)
        self.expect("after " + what + ": its span is there", len(self.node.spans(trace)), 1)


def bodies(check):
    proto = "application/x-protobuf"
    for what, body in [("cut JSON", b'{"resourceSpans":[{"sco'), ("not JSON", b"\x00\x01\x02"), ("JSON of another shape", b'{"resourceSpans": 5}'),
                       ("an array", b"[]"), ("deep JSON", b'{"a":' * 5000), ("invalid UTF-8 in a name", request(span()).replace(b'"n"', b'"\xff\xfe"'))]:
        check.post(what, body, 400)
    for what, body in [("cut protobuf", b"\x0a\xff\x01\x12"), ("a length beyond the end", b"\x0a\xff\xff\xff\xff\x0f"), ("an endless varint", b"\x0a" + b"\x80" * 20),
                       ("group wire types", b"\x0b\x0c"), ("field number 0", b"\x02\x00")]:
        check.post(what, body, 400, proto)
    check.post("an empty protobuf request", b"", 200, proto)
    check.post("an empty JSON request", b"{}", 200)
    check.post("another content type", b"x", 415, "text/plain")
    check.post("no such encoding", b"x", (400, 415), proto, {"Content-Encoding": "br"})
    check.post("gzip that is none", b"not gzip", 400, proto, {"Content-Encoding": "gzip"})
    check.post("cut gzip", gzip.compress(b"\x0a\x00" * 1000)[:-9], 400, proto, {"Content-Encoding": "gzip"})
    check.post("a body over the limit", b"\x00" * (LIMIT + 1), 413, proto)
    bomb = gzip.compress(b"\x00" * (1 << 30))
    check.post("a gzip bomb of 1 GiB in %d KiB" % (len(bomb) >> 10), bomb, 413, proto, {"Content-Encoding": "gzip"})
    deflate = zlib.compressobj(9)
    layers = deflate.compress(b"\x00" * (64 << 20)) + deflate.flush()
    check.post("a deflate bomb", layers, 413, proto, {"Content-Encoding": "deflate"})
    status, _, headers = check.node.request(check.node.otlp_port, "GET", "/v1/traces")
    check.expect("GET on the receiver", status, 405)
    status, _, _ = check.node.request(check.node.otlp_port, "POST", "/v1/nothing", b"{}")
    check.expect("another path", status, 404)


def spans(check):
    check.rejected("a zero trace id", span(trace="0" * 32))
    check.rejected("a zero span id", span(span_id="0" * 16))
    check.rejected("a short span id", span(span_id="b7ad6b71"))
    check.rejected("an empty trace id", span(trace=""))
    # One bad span does not take the good ones with it.
    good = "%032x" % 0xdef001
    check.rejected("one bad span among good ones", span(trace=good), span(trace=good, span_id="0" * 16), span(trace=good, span_id="b7ad6b7169203332"))
    check.expect("the good ones are stored", len(check.node.spans(good)), 2)
    # Odd, but what an SDK said: kept, and a finding of the verdict.
    odd = {"ends before it starts": dict(endTimeUnixNano=str(NOW - 5000)), "a time of 1970": dict(startTimeUnixNano="1", endTimeUnixNano="2"),
           "a time of 2262": dict(startTimeUnixNano=str(2**63 - 2), endTimeUnixNano=str(2**63 - 1)),
           "a time beyond signed 64 bits": dict(startTimeUnixNano=str(2**64 - 2), endTimeUnixNano=str(2**64 - 1)), "its own parent": dict(parentSpanId="b7ad6b7169203331")}
    for number, (what, fields) in enumerate(odd.items()):
        trace = "%032x" % (0xfed000 + number)
        check.post(what, request(span(trace=trace, **fields)), 200)
        stored = check.node.spans(trace)
        check.expect(what + ": kept", len(stored), 1)
        if stored:
            for key, value in fields.items():
                check.expect(what + ": " + key + " as sent", stored[0][2].get(key), value)
    many = [{"key": "k%d" % i, "value": {"intValue": str(i)}} for i in range(100_000)]
    check.rejected("100,000 attributes", span(attributes=many))
    check.rejected("a name of 2 MiB", span(name="x" * (2 << 20)))
    nested = {"stringValue": "x"}
    for _ in range(60):
        nested = {"arrayValue": {"values": [nested]}}
    status, _ = check.post("values nested 60 deep", request(span(attributes=[{"key": "k", "value": nested}])), (200, 400))


def raw(check, what, data, wanted, close_half=False, timeout=10):
    """Bytes as they are to the receiver; `wanted`: beginnings of acceptable answers (b"" is a closed connection)."""
    with socket.create_connection(("127.0.0.1", check.node.otlp_port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            if close_half:
                connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
        except socket.timeout:
            answer = b"no answer in time"
    check.expect(what, any(answer.startswith(one) if one else answer == b"" for one in wanted), True)


def connections(check):
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    raw(check, "not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", [b"HTTP/1.1 400", b""])
    raw(check, "a header without end", head + b"X: " + b"a" * (1 << 20), [b"HTTP/1.1 431", b"HTTP/1.1 400", b""])
    raw(check, "two lengths", head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", [b"HTTP/1.1 400", b""])
    raw(check, "a negative length", head + b"Content-Length: -1\r\n\r\n", [b"HTTP/1.1 400", b""])
    raw(check, "a length far beyond the limit", head + b"Content-Length: 99999999999\r\n\r\n", [b"HTTP/1.1 413"])
    raw(check, "a chunk of nonsense", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", [b"HTTP/1.1 400", b""])
    raw(check, "a body that never comes", head + b"Content-Length: 100\r\n\r\nhalf", [b"HTTP/1.1 408", b""])
    body = request(span(trace="%032x" % 0xcafe01))
    raw(check, "a client that closes its sending half", head + b"Content-Length: %d\r\n\r\n" % len(body) + body, [b"HTTP/1.1 200"], close_half=True)
    raw(check, "a head that drips", b"POST /v1/tr", [b"HTTP/1.1 408", b""])
    idle = [socket.create_connection(("127.0.0.1", check.node.otlp_port)) for _ in range(200)]
    check.good_request_still_works("200 idle connections", 1)
    for one in idle:
        one.close()


def tenants(check):
    trace = "%032x" % 0xbeef01
    status, _, _ = check.node.post_traces(request(span(trace=trace)), headers={"X-Scope-OrgID": "alpha"})
    check.expect("a tenant's span", status, 200)
    path = "/api/v3/traces/" + trace
    check.expect("its tenant finds it", check.node.get(path, {"X-Scope-OrgID": "alpha"})[0], 200)
    check.expect("another tenant does not", check.node.get(path, {"X-Scope-OrgID": "beta"})[0], 404)
    check.expect("nor does nobody", check.node.get(path)[0], 404)
    check.expect("a tenant name that none can have", check.node.get(path, {"X-Scope-OrgID": "a/../b"})[0], 400)


def browsers(check):
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, _, reply = check.node.request(check.node.otlp_port, "OPTIONS", "/v1/traces", headers=headers)
    check.expect("preflight", status, (200, 204))
    check.expect("preflight names the origin", {k.lower(): v for k, v in reply.items()}.get("access-control-allow-origin"), "https://app.example")
    headers["Origin"] = "https://evil.example"
    _, _, reply = check.node.request(check.node.otlp_port, "OPTIONS", "/v1/traces", headers=headers)
    check.expect("another origin is not allowed", "access-control-allow-origin" in {k.lower() for k in reply}, False)


def queries(check):
    for path in ["/api/v3/traces/zz", "/api/traces/" + "a" * 33, "/clew/v1/search?q=%7B", "/clew/v1/search?since=yesterday", "/clew/v1/search?limit=-1",
                 "/clew/v1/search?cursor=nonsense", "/clew/v1/search?state=fine", "/api/traces?service=s&tags=%7Bnot-json"]:
        status, _ = check.node.get(path)
        check.expect("GET " + path, status, 400)
    check.expect("an unknown trace", check.node.get("/api/v3/traces/" + "9" * 32)[0], 404)
    status, _ = check.node.get("/clew/v1/search?q=" + "(" * 20_000)
    check.expect("a filter of 20,000 parentheses", status, (400, 414, 431))


def main():
    with Node(CONFIG) as node:
        check = Checks(node)
        for number, part in enumerate([bodies, spans, connections, tenants, browsers, queries]):
            part(check)
            check.good_request_still_works(part.__name__, 100 + number)
        stats = node.get_json("/clew/v1/stats")
        rejected = {reason: int(count) for reason, count in stats["ingest"]["rejectedSpans"].items() if int(count) > 0}
        check.expect("rejections are counted by reason", len(rejected) >= 3, True)
        peak = rss_mb(node.process.pid)
        check.expect("peak RSS %.0f MB stays below 600" % peak, peak < 600, True)
        check.expect("SIGTERM ends it cleanly", node.stop(), 0)
        print("%d checks, %d failed; rejected spans: %s; peak RSS %.0f MB" % (check.done, check.failed, rejected, peak))
        return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
