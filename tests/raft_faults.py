#!/usr/bin/env python3
"""Faults around real members of a Raft group (bench/raft_node.cc): kills, pauses, partitions, restarts, changes of membership, slow and full disks.
Clients append unique values to lists and read them meanwhile. After each scenario the group must make progress, and its history must hold.
`raft_faults.py NAME...` runs some scenarios; `--keep DIR` keeps the histories there."""
import argparse
import glob
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import group_faults as faults  # noqa: E402
from faulty_machine import Machine  # noqa: E402
from node import claimed_ports, until  # noqa: E402
from peer_proxy import BREAK, STALL, Proxies  # noqa: E402
from raft_clients import Client, Driven, History, Load, check  # noqa: E402
from raft_group import Group, Member  # noqa: E402
from raft_peer_port import Attack, closes  # noqa: E402

CLEW = os.environ.get("CLEW", "build/release/clew")
RAFT_NODE = os.environ.get("RAFT_NODE", "build/release/bench/raft_node")
DEADLINE = 90  # of every wait: only to fail


class World(Group):
    """A group behind proxies, under load, with its history. Left by an exception it only stops; else it must heal, go on and agree."""

    def __init__(self, size, directory, name, extra=(), more=0, levels=("quorum", "quorum", "local"), node_directory=None):
        super().__init__(0, RAFT_NODE, directory)
        self.history = History(os.path.join(directory, name + ".history"))
        self.proxies, self.size, self.levels = Proxies(), size, levels
        ports = claimed_ports(size + more)
        self.addresses = {i + 1: "127.0.0.1:%d" % self.proxies.add(i + 1, port) for i, port in enumerate(ports)}
        self.ports = dict(enumerate(ports, 1))
        for i, port in self.ports.items():
            joins = i > size
            members = self.named([i] if joins else range(1, size + 1))
            flags = ["--listen", "127.0.0.1:%d" % port, "--lists", "--log-mb", "4"] + (["--joins"] if joins else []) + list(extra)
            at = node_directory if node_directory and i == 1 else os.path.join(self.directory, "node%d" % i)
            self.nodes.append(Driven(RAFT_NODE, i, members, at, flags, self.history))
        self.all, self.nodes = self.nodes, self.nodes[:size]
        self.load = None

    def named(self, ids):
        return ",".join("%d=%s" % (i, self.addresses[i]) for i in ids)

    def __enter__(self):
        try:
            for node in self.nodes:
                node.start()
            self.wait_for_leader()
            self.load = Load(self.nodes, self.history, levels=self.levels)
            self.progress()
            return self
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.conclude()
        finally:
            if self.load is not None:
                self.load.ended.set()
            for node in self.all:
                node.kill()
            self.history.close()
            self.proxies.close()
            super().__exit__(kind, *rest)

    def leader(self, among=None):
        """Who leads by the word of most of `among`, and its own."""

        def found():
            states = {node: node.status() for node in among or self.nodes}
            for node, state in states.items():
                if state["standing"] == "leader" and sum(one["leader"] == node.id for one in states.values()) * 2 > len(states):
                    return node
            return None

        return until(found, DEADLINE, "a leader")

    def lead(self, node):
        """Leadership is handed to that member."""

        def leads():
            leader = self.leader()
            if leader is not node:
                leader.tell("transfer %d" % node.id)
            return leader is node

        until(leads, DEADLINE, "node %d leads" % node.id)

    def followers(self):
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def progress(self, appends=60):
        self.load.wait("appended", appends, DEADLINE)

    def refusals(self, count):
        self.load.wait("refused", count, DEADLINE)

    def agree(self):
        """All members have applied the same, and it left them the same."""

        def same():
            states = [node.status() for node in self.nodes]
            if len({state["applied"] for state in states}) != 1:
                return False
            if len({state["digest"] for state in states}) != 1:
                raise RuntimeError("digests differ at one position: %s" % states)
            return True

        until(same, DEADLINE, "all members at one position")

    def conclude(self):
        self.proxies.heal()
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            if not node.running:
                node.start()
        self.progress(10)
        self.load.end()
        last = Client(self.load, 1000)
        self.load.ended.clear()  # its requests are repeated, too
        until(lambda: last.append("last"), DEADLINE, "an append when everything is healed")
        for key in sorted(self.load.keys | {"last"}):
            until(lambda k=key: last.get(k, final=True) is not None, DEADLINE, "a final read of " + key)
        self.agree()
        for node in self.nodes:
            node.kill()
        self.history.close()
        check(CLEW, self.history)


def kill_leader(directory):
    with World(3, directory, "kill_leader") as world:
        for _ in range(3):
            faults.kill_leader(world)


def kill_followers(directory):
    with World(5, directory, "kill_followers") as world:
        for _ in range(2):
            faults.kill_followers(world)
        faults.kill_minority(world)


def kill_all(directory):
    with World(3, directory, "kill_all") as world:
        faults.kill_all(world)


def pause_leader(directory):
    with World(3, directory, "pause_leader", levels=("quorum", "lease", "local"), extra=["--leases"]) as world:
        for _ in range(3):
            faults.pause_leader(world)


def pause_majority(directory):
    with World(3, directory, "pause_majority") as world:
        faults.pause_majority(world)


def full_partition(directory):
    for mode in (STALL, BREAK):
        with World(3, directory, "full_partition_" + mode) as world:
            faults.full_partition(world, mode)
    with World(5, directory, "full_partition_5") as world:
        faults.full_partition(world, STALL)


def one_way_partition(directory):
    with World(3, directory, "one_way_partition") as world:
        faults.mute_leader(world)
        faults.deaf_leader(world)


def partial_partition(directory):
    with World(3, directory, "partial_partition") as world:
        for mode in (STALL, BREAK):
            faults.partial_partition(world, mode)
    with World(5, directory, "partial_partition_5") as world:
        faults.bridge(world)


def rolling_restart(directory):
    with World(5, directory, "rolling_restart") as world:
        for node in world.nodes:
            node.kill()
            world.progress(20)
            node.start()
            until(lambda n=node: n.status()["applied"] >= world.leader().status()["committed"] - 50, DEADLINE, "it has caught up")
            node.tell("snapshot")


def snapshot_install(directory):
    """A member comes back when the entries that it lacks are only in a snapshot."""
    with World(3, directory, "snapshot_install") as world:
        gone = world.followers()[0]
        gone.kill()
        rest = [node for node in world.nodes if node is not gone]
        world.leader(rest).ask("load 16 12000 1000", "load", DEADLINE)  # more than a leader keeps behind its snapshot
        for node in rest:
            node.tell("snapshot")
        until(lambda: all(node.status()["snapshots"] > 0 for node in rest), DEADLINE, "snapshots")
        world.progress()
        gone.start()
        until(lambda: gone.status()["installed"] > 0, DEADLINE, "it installs a snapshot")
        world.progress()


def slow_disk(directory):
    """A member whose every sync takes long follows, leads and dies: what was acknowledged is durable all the same."""
    with World(3, directory, "slow_disk") as world:
        slow = world.followers()[0]
        slow.kill()
        machine = Machine(os.path.join(directory, "machine"))
        machine.slow_disk(60)
        slow.environment = machine.environment
        slow.start()
        world.progress()
        world.lead(slow)
        world.progress()
        slow.kill()
        world.progress()


def membership_change(directory):
    with World(3, directory, "membership_change", more=1) as world:
        joining = world.all[3].start()
        change_membership(world, [1, 2, 3, 4])
        world.nodes.append(joining)
        world.load.members.append(joining)
        world.progress(20)
        leaving = world.leader()  # the hardest to part with
        rest = [node for node in world.nodes if node is not leaving]
        world.load.members.remove(leaving)
        change_membership(world, [node.id for node in rest])
        world.nodes = rest
        leaving.kill()
        world.progress()
        rest[0].kill()  # two of three go on: the fourth counts
        world.progress()


def change_membership(world, ids):
    def done():
        for node in world.nodes:
            answer = node.call("reconfigure", world.named(ids), timeout=15)
            if answer is not None and answer["outcome"] == "ok":
                return True
        return False

    until(done, DEADLINE, "members %s" % ids)


def full_disk(directory):
    """A member's disk fills up under load, leading; nothing that was answered is lost, and it goes on when there is room."""
    mount = os.path.join(directory, "small")
    os.mkdir(mount)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], capture_output=True, check=False).returncode:
        print("  full_disk: skipped: it needs the right to mount a tmpfs")
        return
    try:
        with World(3, directory, "full_disk", node_directory=os.path.join(mount, "node1")) as world:
            world.lead(world.nodes[0])
            filler = os.path.join(mount, "filler")
            with open(filler, "wb") as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                        file.flush()
                except OSError:
                    pass
            filled = world.nodes[0].ask("load 16 8000 1000", "load", DEADLINE)  # more than its log has reserved
            if filled["errors"] == 0:
                raise RuntimeError("a full disk refuses nothing: %s" % filled)
            os.remove(filler)
            world.progress()
    finally:
        subprocess.run(["umount", "-l", mount], check=False)


def peer_port(directory):
    with World(3, directory, "peer_port") as world:
        Attack(world, world.leader(), RAFT_NODE).run()


def certificates(directory):
    """Whom a group with mutual TLS refuses; it goes on committing."""
    with Group(3, RAFT_NODE, directory, tls=True) as group, Group(1, RAFT_NODE, directory, tls=True) as foreign:
        victim = group.wait_for_leader()
        port = int(victim.members.split(",")[victim.id - 1].rsplit(":", 1)[1])
        other = 1 if victim.id != 1 else 2

        def expect(reason, files):
            before = victim.status()["refusals"].get(reason, 0)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if files:
                context.load_cert_chain(*files)
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as plain:
                try:
                    if files is None:
                        plain.sendall(b"no TLS at all" * 10)
                    closes(plain if files is None else context.wrap_socket(plain))
                except ssl.SSLError:
                    pass  # refused within the handshake
            until(lambda: victim.status()["refusals"].get(reason, 0) > before, DEADLINE, "%s is counted" % reason)
            if victim.ask("load 1 20 100", "load")["errors"]:
                raise RuntimeError("commands fail after a connection with " + reason)

        expect("tls_garbage", None)
        expect("tls_no_certificate", ())
        expect("tls_foreign_certificate", foreign.certificate(1).split(",")[:2])
        nine = group.certificate(9)
        impostor = Member(RAFT_NODE, other, "%d=127.0.0.1:%d,%d=127.0.0.1:%d" % (victim.id, port, other, claimed_ports(1)[0]),
                          os.path.join(group.directory, "impostor"), ["--tls", nine])
        before = victim.status()["refusals"].get("identity", 0)
        try:
            impostor.start()
            until(lambda: victim.status()["refusals"].get("identity", 0) > before, DEADLINE, "identity is counted")
        finally:
            impostor.stop()
        if victim.ask("load 1 20 100", "load")["errors"]:
            raise RuntimeError("commands fail after an impostor")


SCENARIOS = [kill_leader, kill_followers, kill_all, pause_leader, pause_majority, full_partition, one_way_partition, partial_partition,
             rolling_restart, snapshot_install, membership_change, slow_disk, full_disk, peer_port, certificates]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    failed = 0
    for scenario in SCENARIOS:
        if arguments.names and scenario.__name__ not in arguments.names:
            continue
        directory = tempfile.mkdtemp(prefix="clew-raft-faults-")
        began = time.monotonic()
        try:
            scenario(directory)
            print("%s: ok, %.1f s" % (scenario.__name__, time.monotonic() - began), flush=True)
        except Exception as error:  # the next scenario still says something
            failed += 1
            print("FAILED %s after %.1f s: %s: %s" % (scenario.__name__, time.monotonic() - began, type(error).__name__, error), flush=True)
        finally:
            if arguments.keep:
                for path in glob.glob(os.path.join(directory, "*.history")):
                    shutil.copy(path, arguments.keep)
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
