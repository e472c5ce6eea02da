#!/usr/bin/env python3
"""./dev soak: a cluster of real nodes under load and under faults that are drawn at random, for hours.

Clients work in windows: at the end of each their histories are judged, all members must have the same state, and memory, open files and disk of every node are compared with
the first windows. What was drawn is printed, and --seed draws it again (what processes do with it is not repeated to the letter)."""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cluster_faults  # noqa: E402
from fault_world import World  # noqa: E402

# What every window may add to what the first ones had: beyond it something is not given back.
GROWTH = {"memory": (1.5, 64), "files": (1.2, 40), "disk": (1.5, 64)}  # times, and so much more
WARM_WINDOWS = 2


class Soak:
    def __init__(self, world, options):
        self.world, self.options, self.chance = world, options, random.Random(options.seed)
        self.faults = [fault for fault in cluster_faults.FAULTS.values()
                       if not (fault in cluster_faults.OF_FIVE and fault not in cluster_faults.SHARED and options.nodes < 5)]
        self.began, self.windows, self.inflicted, self.first = time.monotonic(), 0, {}, None

    def say(self, text):
        print("%9s  %s" % (time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - self.began)), text), flush=True)

    def left(self):
        return self.began + self.options.hours * 3600 - time.monotonic()

    def window(self):
        """A few faults under one load, which is then judged."""
        until = time.monotonic() + min(self.options.window, max(self.left(), 1))
        while True:
            fault = self.chance.choice(self.faults)
            before = time.monotonic()
            try:
                fault(self.world)
            except Exception as error:
                raise RuntimeError("%s: %s" % (fault.__name__, error)) from error
            self.inflicted[fault.__name__] = self.inflicted.get(fault.__name__, 0) + 1
            self.say("%-20s %5.1f s" % (fault.__name__, time.monotonic() - before))
            if time.monotonic() > until:
                break
        judged = self.world.judged
        self.world.heal()
        self.world.end_load()
        self.forget()
        self.windows += 1
        usage = self.usage()
        self.say("window %d: %d operations judged, all hold; most memory %.0f MiB, files %d, disk %.0f MiB; %.0f %% done" % (
            self.windows, self.world.judged - judged, usage["memory"], usage["files"], usage["disk"], min(100, 100 - 100 * self.left() / (self.options.hours * 3600))))
        self.compare(usage)

    def forget(self):
        """What the window wrote is deleted and compacted, so that what grows is what leaks."""
        servers = ",".join(node.client() for node in self.world.nodes)
        for prefix in ("list/", "register/", "bench/"):
            cluster_faults.run_clew("kv", "del", prefix, "--prefix", "--server", servers, "--timeout", "30s", codes=(0, 1))
        revision = cluster_faults.run_clew("kv", "put", "soak", str(self.windows), "--json", "--server", servers)["revision"]
        cluster_faults.run_clew("kv", "compact", str(revision), "--server", servers)

    def usage(self):
        of = [node.usage() for node in self.world.nodes]
        return {what: max(one[what] for one in of) for what in GROWTH}

    def compare(self, usage):
        if self.windows <= WARM_WINDOWS:
            self.first = {what: max(usage[what], (self.first or usage)[what]) for what in usage}
            return
        for what, (times, more) in GROWTH.items():
            if usage[what] > self.first[what] * times + more:
                raise RuntimeError("%s grew from %.0f to %.0f" % (what, self.first[what], usage[what]))

    def run(self):
        while True:
            self.window()
            if self.left() <= 0:
                return
            self.world.begin_load()


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--nodes", type=int, default=3, choices=[3, 5])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--window", type=float, default=120, help="seconds of load that are judged together")
    parser.add_argument("--engine", default="memory", choices=["memory", "rocksdb"])
    parser.add_argument("--keep", help="a directory for the histories of a window that failed")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print("soak of %g h, %d nodes, %s, --seed %d" % (options.hours, options.nodes, options.engine, options.seed), flush=True)
    soak, failed = None, None
    try:
        with World(options.nodes, options.engine, options.seed, cluster_faults.SMALL_DISK_MIB, options.keep) as world:
            soak = Soak(world, options)
            soak.run()
            world.begin_load()  # what the world judges when it is left
    except Exception as error:
        failed = error
    if soak is not None:
        print("\n%d windows in %.0f s, %d operations judged" % (soak.windows, time.monotonic() - soak.began, soak.world.judged))
        for name, times in sorted(soak.inflicted.items()):
            print("  %-22s %4d" % (name, times))
        print("  %.1f faults a window" % (sum(soak.inflicted.values()) / max(1, soak.windows)))
    print("FAILED: %s" % failed if failed else "all histories hold, all members agree, nothing grows")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
