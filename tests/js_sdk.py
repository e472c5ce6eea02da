#!/usr/bin/env python3
"""The OpenTelemetry JS SDK sends over gRPC, HTTP/protobuf (gzip) and HTTP/JSON; what it sent is read back field by field."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import FAST, Node, skip, until  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["@opentelemetry/api@1.9.0", "@opentelemetry/sdk-trace-base@2.0.1", "@opentelemetry/resources@2.0.1",
            "@opentelemetry/exporter-trace-otlp-grpc@0.203.0", "@opentelemetry/exporter-trace-otlp-proto@0.203.0",
            "@opentelemetry/exporter-trace-otlp-http@0.203.0"]


def install():
    """The SDK at exact versions, below the build directory; kept from run to run."""
    folder = os.path.join(os.environ.get("CLEW_BUILD_DIR", "build/release"), "js-sdk")
    stamp = os.path.join(folder, "installed")
    wanted = "\n".join(PACKAGES)
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return folder
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node or npm is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(os.path.join(folder, "package.json"), "w") as file:
        file.write('{"private": true}')
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"] + PACKAGES, cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=540)
    if done.returncode != 0:
        skip("npm install failed:\n" + done.stdout.decode(errors="replace")[-1500:])
    with open(stamp, "w") as file:
        file.write(wanted)
    return folder


def attributes(entries):
    def plain(value):
        (kind, inner), = value.items() if value else [("empty", None)]
        if kind == "intValue":
            return int(inner)
        if kind == "arrayValue":
            return [plain(one) for one in inner.get("values", [])]
        return inner
    return {entry["key"]: plain(entry["value"]) for entry in entries}


def check(transport, sent, spans):
    problems = []

    def expect(what, got, wanted):
        if got != wanted or type(got) is not type(wanted):
            problems.append("%s over %s: got %r, wanted %r" % (what, transport, got, wanted))
    by_id = {span["spanId"]: (resource, scope, span) for resource, scope, span in spans}
    expect("span ids", sorted(by_id), sorted([sent["root"], sent["child"], sent["linked"]]))
    if problems:
        return problems
    resource, scope, root = by_id[sent["root"]]
    resource = attributes(resource["attributes"])
    expect("service.name", resource.get("service.name"), "js-" + transport)
    expect("service.version", resource.get("service.version"), "1.2.3")
    expect("process.pid", resource.get("process.pid"), 4711)
    expect("scope", (scope.get("name"), scope.get("version")), ("clew-test", "0.9"))
    expect("name", root["name"], "GET /orders/{id}")
    expect("kind", root["kind"], 2)
    expect("trace id", root["traceId"], sent["trace"])
    expect("no parent", root.get("parentSpanId", ""), "")
    expect("start", root["startTimeUnixNano"], "1700000000123456789")
    expect("end", root["endTimeUnixNano"], "1700000001123456789")
    wanted = {"text": "größer", "whole": 42, "negative": -7, "real": 2.5, "yes": True, "no": False, "texts": ["a", "b"], "wholes": [1, 2, 3], "empty": ""}
    expect("attributes", attributes(root["attributes"]), wanted)
    expect("events", [(one["name"], one["timeUnixNano"], attributes(one["attributes"])) for one in root["events"]],
           [("cache miss", "1700000000223456789", {"key": "k1", "tries": 3})])
    _, _, child = by_id[sent["child"]]
    expect("parent", child["parentSpanId"], sent["root"])
    expect("client kind", child["kind"], 3)
    expect("error status", (child["status"]["code"], child["status"]["message"]), (2, "deadlock"))
    _, _, linked = by_id[sent["linked"]]
    expect("ok status", linked["status"]["code"], 1)
    expect("links", [(one["traceId"], one["spanId"], attributes(one["attributes"])) for one in linked["links"]],
           [(sent["trace"], sent["child"], {"why": "caused by"})])
    return problems


def main():
    folder = install()
    problems = []
    with Node(FAST) as node:
        for transport, port in [("grpc", node.grpc_port), ("proto", node.otlp_port), ("json", node.otlp_port)]:
            done = subprocess.run(["node", os.path.join(HERE, "js", "send.js"), transport, str(port)], stdout=subprocess.PIPE, timeout=60,
                                  env={**os.environ, "NODE_PATH": os.path.abspath(os.path.join(folder, "node_modules"))})
            if done.returncode != 0 or not done.stdout:
                problems.append("the SDK failed over " + transport)
                continue
            sent = json.loads(done.stdout)
            problems += ["open: " + one for one in check(transport, sent, node.spans(sent["trace"]))]

            def sealed():
                "the verdict of the trace is there"
                verdict = node.get_json("/clew/v1/traces/" + sent["trace"] + "/verdict")["verdict"]
                return verdict if verdict and verdict["state"] in ("complete", "timed_out") else None
            verdict = until(sealed, 20)
            if verdict["state"] != "complete" and not any(one["kind"] == "client_without_server" for one in verdict["findings"]):
                problems.append("verdict over %s: %r" % (transport, verdict))
            problems += ["sealed: " + one for one in check(transport, sent, node.spans(sent["trace"]))]
    for one in problems:
        print("FAILED", one)
    print("3 transports, %d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
