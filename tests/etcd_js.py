#!/usr/bin/env python3
"""The npm client etcd3 against the etcd API (tests/etcd_single.cc) and, where it is installed, against Debian's etcd, so that the script itself is known to be right."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import claimed_ports, skip, until  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "etcd3@1.1.2"


def install():
    """The client at an exact version, below the build directory; kept from run to run."""
    folder = os.path.join(os.environ.get("CLEW_BUILD_DIR", "build/release"), "js-etcd")
    stamp = os.path.join(folder, "installed")
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == PACKAGE:
                return folder
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node or npm is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(os.path.join(folder, "package.json"), "w") as file:
        file.write('{"private": true}')
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", PACKAGE], cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=540)
    if done.returncode != 0:
        skip("npm install failed:\n" + done.stdout.decode(errors="replace")[-1500:])
    with open(stamp, "w") as file:
        file.write(PACKAGE)
    return folder


def run(folder, name, port):
    done = subprocess.run(["node", os.path.join(HERE, "js", "etcd.js"), "http://127.0.0.1:%d" % port], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                          env={**os.environ, "NODE_PATH": os.path.abspath(os.path.join(folder, "node_modules"))})
    out = done.stdout.decode(errors="replace").strip()
    print("%s: %s" % (name, out))
    return out == "ok"


def etcd(folder):
    with tempfile.TemporaryDirectory() as data:
        port, peer = claimed_ports(2)
        client_url, peer_url = "http://127.0.0.1:%d" % port, "http://127.0.0.1:%d" % peer
        server = subprocess.Popen(["etcd", "--name", "one", "--data-dir", data, "--listen-client-urls", client_url, "--advertise-client-urls", client_url, "--listen-peer-urls",
                                   peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster", "one=" + peer_url], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            def listening():
                "etcd listens"
                with socket.socket() as one:
                    return one.connect_ex(("127.0.0.1", port)) == 0
            until(listening, 30)
            return run(folder, "etcd", port)
        finally:
            server.kill()
            server.wait()


def main():
    folder = install()
    good = True
    server = subprocess.Popen([os.environ["ETCD_SINGLE"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        good = run(folder, "clew", int(server.stdout.readline()))
    finally:
        server.stdin.close()
        server.wait()
    if shutil.which("etcd"):
        good = etcd(folder) and good
    else:
        print("etcd is not installed: not compared")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
