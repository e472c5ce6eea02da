#!/usr/bin/env python3
"""CPU time of a gRPC server per echo of 300 bytes, by several ways to build one (bench/rpc_echo.cc), driven by h2load (Debian: nghttp2-client).

    bench/rpc_echo.py [BUILD_DIR] [--calls 200000]
"""
import os
import re
import subprocess
import sys
import tempfile

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main():
    arguments = sys.argv[1:]
    calls = 200000
    if "--calls" in arguments:
        at = arguments.index("--calls")
        calls = int(arguments[at + 1])
        del arguments[at:at + 2]
    program = os.path.join(arguments[0] if arguments else "build/release", "bench", "rpc_echo")
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + (300).to_bytes(4, "big") + b"x" * 300)
        body.flush()
        print("| server | connections × streams | calls/s | server's CPU µs a call |\n|---|---|---|---|")
        for mode in ["own", "queue", "callback"]:
            for connections, streams in [(1, 100), (10, 100), (100, 1)]:
                server = subprocess.Popen([program, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                port = int(server.stdout.readline())
                before = cpu_seconds(server.pid)
                done = subprocess.run(["h2load", "-n", str(calls), "-c", str(connections), "-m", str(streams), "-d", body.name, "-H", "content-type: application/grpc",
                                       "-H", "te: trailers", "http://127.0.0.1:%d/bench.Echo/Echo" % port], stdout=subprocess.PIPE, check=True)
                spent = cpu_seconds(server.pid) - before
                server.stdin.close()
                server.wait()
                out = done.stdout.decode()
                ok = int(re.search(r"(\d+) succeeded", out).group(1))
                rate = float(re.search(r"([\d.]+) req/s", out).group(1))
                if ok != calls:
                    print("FAILED: %d of %d calls of %s succeeded" % (ok, calls, mode))
                    return 1
                print("| %s | %d × %d | %d | %.1f |" % (mode, connections, streams, rate, spent / calls * 1e6), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
