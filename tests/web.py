#!/usr/bin/env python3
"""The page as a node serves it: files, their headers, codings and tags; what is not a file; tokens; and the Grafana files."""
import glob
import gzip
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import Node, skip  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
problems = []


def expect(what, good):
    if not good:
        problems.append(what)


def get(node, path, headers=None, method="GET"):
    status, body, answer = node.request(node.http_port, method, path, headers=headers)
    return status, body, {name.lower(): value for name, value in answer.items()}


def raw(node, head):
    """Bytes as they are, because http.client mends paths; the status line."""
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=20) as connection:
        connection.sendall(head)
        return connection.recv(4096).split(b"\r\n")[0]


def check_files(node):
    status, page, headers = get(node, "/")
    if status == 404 and b"CLEW_UI" in page:
        skip("this clew was built without its page")
    expect("/ is the page: %d" % status, status == 200 and headers["content-type"].startswith("text/html"))
    expect("/ is asked for anew", headers["cache-control"] == "no-cache")
    policy = headers["content-security-policy"]
    expect("the policy lets the page load itself only: " + policy, "default-src 'none'" in policy and "unsafe" not in policy and "//" not in policy)
    expect("the page has no script and no style of its own in it", not re.search(rb"<style|<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=", page))
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    expect("the page names its parts relative to itself: %r" % parts, parts and all(part.startswith("./assets/") for part in parts))
    for part in parts + ["./"]:
        path = part[1:]
        status, plain, headers = get(node, path)
        expect("GET %s: %d" % (path, status), status == 200 and plain)
        if path != "/":
            expect(path + " is kept for good", headers["cache-control"] == "public, max-age=31536000, immutable")
        expect(path + " nosniff", headers["x-content-type-options"] == "nosniff")
        expect(path + " varies", "Accept-Encoding" in headers["vary"])
        tags = {headers["etag"]}
        for coding in ["gzip", "br"]:
            status, packed, answer = get(node, path, {"Accept-Encoding": coding})
            expect("%s as %s" % (path, coding), status == 200 and answer["content-encoding"] == coding and len(packed) < len(plain) + 64)
            if coding == "gzip":
                expect(path + " is the same when inflated", gzip.decompress(packed) == plain)
            tags.add(answer["etag"])
            status, nothing, again = get(node, path, {"Accept-Encoding": coding, "If-None-Match": answer["etag"]})
            expect("%s as %s: 304, %d %r" % (path, coding, status, nothing), status == 304 and not nothing and again["etag"] == answer["etag"])
        expect(path + " has a tag for each coding", len(tags) == 3)
        status, nothing, head = get(node, path, method="HEAD")
        expect("HEAD " + path, status == 200 and not nothing and int(head["content-length"]) == len(plain))
    expect("POST / is refused", get(node, "/", method="POST")[0] == 405)


def check_nothing_else(node):
    for path in ["/assets", "/assets/", "/assets/x.js", "/assets/../../etc/passwd", "/assets/..%2f..%2f..%2fetc%2fpasswd", "/assets/%2e%2e/%2e%2e/etc/passwd",
                 "/assets/....//etc/passwd", "/assets/..\\..\\etc\\passwd", "/assets/index.html", "/index.html", "/assets/%00", "//etc/passwd", "/./assets/../etc/passwd"]:
        line = raw(node, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        expect("GET %s: %r" % (path, line), b" 404 " in line or b" 400 " in line)
    status, body, headers = get(node, "/trace/4bf92f3577b34da6a3ce929d0e0e4736")
    expect("a link to Jaeger's page is sent on: %d %r" % (status, headers.get("location")), status == 302 and headers["location"] == "../#/trace/4bf92f3577b34da6a3ce929d0e0e4736")
    expect("a trace id that is none is refused", get(node, "/trace/%0d%0aSet-Cookie:x")[0] == 400)


def check_own_endpoints(node):
    config = node.get_json("/clew/v1/config")
    expect("the configuration in force has this node's directory", node.directory in config["yaml"])
    keys = node.get_json("/api/clew/kv?delimiter=/&consistency=sequential")
    expect("a new store has no keys: %r" % keys, keys["entries"] == [] and keys["next"] is None and keys["consistency"] == "sequential")
    expect("a key that is not there", get(node, "/api/clew/kv?key=nothing")[0] == 404)
    expect("names without spans are none", node.get_json("/clew/v1/names?of=services") == {"names": [], "truncated": False})
    expect("services without spans are none", node.get_json("/clew/v1/services")["services"] == [])


def check_tokens():
    secret = "t0ken-that-nobody-may-see"
    with Node("auth: {bearer_tokens: [{token: %s}]}" % secret) as node:
        expect("the page needs no token", get(node, "/")[0] == 200)
        expect("its data do", get(node, "/clew/v1/stats")[0] == 401)
        for path in ["/api/clew/kv", "/api/clew/kv?key=a", "/clew/v1/names?of=services"]:
            expect(path + " does", get(node, path)[0] == 401)
        expect("the configuration does", get(node, "/clew/v1/config")[0] == 401)
        status, body, _ = get(node, "/clew/v1/config", {"Authorization": "Bearer " + secret})
        expect("the configuration masks the token", status == 200 and secret.encode() not in body and b"bearer_tokens" in body)


def check_grafana(node):
    known = node.get("/metrics")[1].decode()
    names = set(re.findall(r"^# TYPE (\w+)", known, re.M))
    with open(os.path.join(ROOT, "docs/consensus-metrics.md")) as file:
        names |= set(re.findall(r"`(clew_\w+)` \| `peer`", file.read()))  # a single member has no peers
    paths = sorted(glob.glob(os.path.join(ROOT, "packaging/grafana/*-dashboard.json")))
    expect("there are dashboards of the node and of the group", len(paths) == 2)
    uids = set()
    for path in paths:
        with open(path) as file:
            dashboard = json.load(file)
        uids.add(dashboard["uid"])
        what = os.path.basename(path)
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                for name in re.findall(r"\b((?:clew|process)_\w+)", target["expr"]):
                    expect("%s: %s is a metric of the node" % (what, name), name in names or re.sub("_bucket$", "", name) in names)
                for label in re.findall(r"\bby \(([^)]*)\)", target["expr"]) + re.findall(r'[{,] ?(\w+)=~?"', target["expr"]):
                    for one in label.split(", "):
                        expect("%s: the label %s exists" % (what, one), one in ("instance", "peer") or re.search(r"[{,]%s=" % one, known))
        ids = [panel["id"] for panel in dashboard["panels"]]
        expect(what + ": panels have ids of their own", len(ids) == len(set(ids)))
    expect("dashboards have uids of their own", len(uids) == len(paths))


def main():
    with Node() as node:
        check_files(node)
        check_nothing_else(node)
        check_own_endpoints(node)
        check_grafana(node)
    check_tokens()
    for one in problems:
        print("FAILED", one)
    print("the page over HTTP: %d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
