#!/usr/bin/env python3
"""Whole nodes under faults: kills, pauses longer than leases, partitions, slow and full disks, clocks that jump, rolling restarts and upgrades, changes of membership.
Clients of our own protocol (with sessions: each append exactly once) and of etcd's API work meanwhile, a watch follows and a lease is held; all that they saw is recorded and judged.

cluster_faults.py                  one plan, always the same: each fault once on three nodes, those that want five on five
cluster_faults.py --long           each fault three times, on three and on five nodes, with both engines
cluster_faults.py FAULT...         these, in this order (--nodes N, --engine E, --keep DIR for the histories)"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import group_faults  # noqa: E402
from fault_world import CLEW, FaultyNode, World  # noqa: E402
from node import until  # noqa: E402

CLEW_NEXT = os.environ.get("CLEW_NEXT", "build/release/tests/clew_next")
SMALL_DISK_MIB = 96
HOUR = 3600


def run_clew(*arguments, codes=(0,)):
    """Of `clew … --json` the answer, of others nothing."""
    done = subprocess.run([CLEW, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    if done.returncode not in codes:
        raise RuntimeError("clew %s: exit code %d: %s" % (" ".join(arguments), done.returncode, done.stderr))
    return json.loads(done.stdout) if "--json" in arguments else None


def slow_disk(world):
    """A member whose every sync takes long follows, leads and dies: what was acknowledged is durable all the same."""
    slow = world.followers()[0]
    slow.machine.slow_disk(60)
    world.progress()
    world.lead(slow)
    world.progress()
    slow.kill()
    world.progress()
    slow.machine.slow_disk(0)
    slow.start()
    world.progress(20)


def full_disk(world):
    """A member's disk fills up under load while it leads: what grows is refused, or another one leads; it goes on by itself when there is room."""
    node = world.all[0]
    if not world.disk_is_small or node not in world.nodes:
        print("  full_disk: skipped: it needs the right to mount a tmpfs")
        return
    world.lead(node)
    filler = os.path.join(node.data, "filler")
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    # More than its log has reserved.
    load = subprocess.run([CLEW, "bench", "kv", "--server", node.client(), "--operations", "600", "--outstanding", "8", "--keys", "8", "--value-bytes", "30000", "--timeout", "2s", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    if load.returncode == 0 and world.leader() is node:
        raise RuntimeError("a full disk refuses nothing: %s" % load.stdout)
    if not node.running or node.process.poll() is not None:
        raise RuntimeError("a full disk ended the node:\n" + node.output()[-2000:])
    os.remove(filler)
    world.progress()
    world.caught_up(node)


def clock_jumps(world):
    """Forward and back, by more than any lease and session lasts, on the leader and on others: nothing ends early, nothing waits for the clock."""
    leader = world.leader()
    for shift in (HOUR * 30, -HOUR * 2, HOUR * 24 * 400, 0):
        leader.machine.set_clock(shift)
        world.progress(40)
        other = world.followers()[0]
        other.machine.set_clock(-shift)
        world.progress(20)
    leader.machine.set_clock(-HOUR)
    leader.kill()
    world.progress(20)
    leader.start()
    world.lead(leader)
    world.progress(40)
    for node in world.nodes:
        node.machine.set_clock(0)


def rolling_restart(world):
    for node in list(world.nodes):
        node.stop()
        world.progress(20)
        node.start()
        world.caught_up(node)


def versions(world):
    """Which versions members named to each other in their last handshakes."""
    magic_kind = 12 + 9
    return {hello[magic_kind] for (_, to), hello in world.proxies.hellos.items() if to in [node.id for node in world.nodes]}


def rolling_upgrade(world):
    """Member by member to a program that knows the next version of the wire, and back again."""
    for program, spoken in ((CLEW_NEXT, {2}), (CLEW, {1})):
        for number, node in enumerate(world.nodes):
            node.stop()
            node.program = program
            node.start()
            world.caught_up(node)
            world.progress(20)
            if number == 0 and 1 not in versions(world):
                raise RuntimeError("a mixed group speaks %s" % versions(world))
        # Connections that were made before the last member changed go on in the version that they began with.
        world.proxies.hellos.clear()
        for node in world.nodes:
            node.stop()
            node.start()
            world.caught_up(node)
        until(lambda: versions(world) == spoken, 60, "all speak %s" % spoken)


def membership_change(world):
    """A learner comes, is promoted, and the leader leaves for good."""
    learner = FaultyNode(0, world.proxies, world.nodes[0].engine)
    world.join(learner, "learner")
    world.progress(20)
    until(lambda: world.member("promote", learner.id, expect=None).returncode == 0, 60, "the learner is promoted")
    world.progress(20)
    leaving = world.leader()  # the hardest to part with
    if leaving is learner or (leaving is world.all[0] and world.disk_is_small):
        leaving = next(node for node in world.nodes if node is not learner and node is not world.all[0])
        world.lead(leaving)
    world.nodes.remove(leaving)
    world.member("remove", leaving.id)
    world.progress(20)
    leaving.kill()
    back = world.nodes[0]
    back.kill()  # the others go on: the new one counts
    world.progress(20)
    back.start()
    # The machine that left comes back empty, so that the plan goes on with as many as before and its clients find them.
    shutil.rmtree(leaving.data, ignore_errors=True)
    world.join(leaving)
    world.progress(20)
    world.nodes.remove(learner)
    world.member("remove", learner.id)
    learner.kill()
    world.progress(20)


def replace_machine(world):
    """docs/operations.md, Replacing a dead machine."""
    dead = next(node for node in world.followers() if node is not world.all[0])
    dead.kill()
    world.progress(20)
    world.member("remove", dead.id)
    shutil.rmtree(dead.data)
    world.join(dead)
    world.caught_up(dead)
    world.progress(20)


SHARED = [group_faults.kill_leader, group_faults.kill_followers, group_faults.kill_all, group_faults.pause_leader, group_faults.pause_majority, group_faults.stalled_partition,
          group_faults.broken_partition, group_faults.mute_leader, group_faults.deaf_leader, group_faults.partial_partition]
OWN = [slow_disk, full_disk, clock_jumps, rolling_restart, rolling_upgrade, membership_change, replace_machine]
OF_FIVE = [group_faults.kill_minority, group_faults.stalled_partition, group_faults.bridge]
FAULTS = {fault.__name__: fault for fault in SHARED + OWN + OF_FIVE}


def run(size, faults, engine="memory", keep=None):
    began = time.monotonic()
    needs_disk = full_disk in faults
    with World(size, engine, small_disk_mib=SMALL_DISK_MIB if needs_disk else 0, keep=keep) as world:
        for fault in faults:
            before = time.monotonic()
            try:
                fault(world)
            except Exception as error:
                raise RuntimeError("%s on %d nodes: %s" % (fault.__name__, size, error)) from error
            print("  %-20s %5.1f s" % (fault.__name__, time.monotonic() - before), flush=True)
    print("%d nodes, %s: %d operations judged, all hold; %.1f s" % (size, engine, world.judged, time.monotonic() - began), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--engine", default="memory", choices=["memory", "rocksdb"])
    parser.add_argument("--keep", help="the histories go there")
    options = parser.parse_args()
    if options.faults:
        run(options.nodes, [FAULTS[name] for name in options.faults], options.engine, options.keep)
    elif options.long:
        for engine in ("memory", "rocksdb"):
            for _ in range(3):
                run(3, SHARED + OWN, engine, options.keep)
                run(5, SHARED + OWN + OF_FIVE, engine, options.keep)
    else:
        run(3, SHARED + OWN, options.engine, options.keep)
        run(5, OF_FIVE, options.engine, options.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
