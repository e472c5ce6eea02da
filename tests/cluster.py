"""Real nodes as one control group: founding, joining, replacing, stopping; what is refused, and what the views say. Standard library only."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import FAST, Node, free_ports, until  # noqa: E402

# cluster.py zab: the same on another protocol than the default.
CONSENSUS = ["--consensus", sys.argv[1]] if len(sys.argv) > 1 else []

failed = 0


def expect(what, got, wanted):
    global failed
    if got != wanted:
        failed += 1
        print("FAILED %s: got %r, wanted %r" % (what, got, wanted))


class Member(Node):
    """A node whose control plane listens on known ports."""

    def __init__(self, number, config="", arguments=()):
        self.number = number
        self.peer, self.client = ("127.0.0.1:%d" % port for port in free_ports(2))
        super().__init__(FAST + "control: {log_file_size: 8MiB, heartbeat: 50ms, election_timeout: 500ms%s}\n" % config)
        self.extra = list(arguments)

    def start(self, *more):
        self.control_arguments = ["--peer", self.peer, "--client", self.client] + self.extra + list(more)
        return super().start()

    def view(self):
        return self.get_json("/api/clew/cluster")

    def kv(self, *arguments):
        """(exit code, output) of `clew kv` through this node."""
        ended = subprocess.run([self.program, "kv", *arguments, "--server", self.client],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        return ended.returncode, ended.stdout.decode().strip()

    def member(self, *arguments):
        return subprocess.run([self.program, "member", *arguments, "--server", self.client], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False).returncode

    def refused(self, *more):
        """What a start that must fail says."""
        try:
            self.start(*more)
        except RuntimeError as error:
            return str(error)
        self.stop()
        return "it started"


def member_of(view, number):
    return next((one for one in view["members"] if one["id"] == str(number)), {})


def group(count, config=""):
    members = [Member(number + 1, config) for number in range(count)]
    founders = ",".join("%d=%s" % (one.number, one.peer) for one in members)
    for one in members:
        one.extra = ["--node-id", str(one.number), "--initial-cluster", founders] + CONSENSUS
    return members


def led(nodes):
    """all nodes name the same leader, and it says so itself"""
    views = [node.view() for node in nodes]
    leaders = {view["leader"] for view in views}
    return leaders != {"0"} and len(leaders) == 1 and all(view["leaderView"] for view in views) and next(iter(leaders))


def healthy(nodes, count):
    """the group has `count` members, all online, and no problems"""
    views = [node.view() for node in nodes]
    return all(len(view["members"]) == count and not view["problems"] and all(one["state"] == "online" for one in view["members"]) for view in views)


def close(nodes):
    for node in nodes:
        if node.process is not None:
            node.process.kill()
            node.process.wait()
        shutil.rmtree(node.directory, ignore_errors=True)


def life_of_a_group():
    """Three founders; one more joins; one loses its disk, is refused, and is replaced; the leader stops in good order."""
    nodes = group(3)
    fourth = fifth = None
    try:
        for node in nodes:
            node.start()
        until(lambda: led(nodes))
        expect("put through any node", nodes[1].kv("put", "greeting", "hello")[0], 0)
        until(lambda: healthy(nodes, 3))
        for node in nodes:
            expect("get through node %d" % node.number, node.kv("get", "greeting")[1], "hello")
        expect("its metrics are there", all(b"clew_consensus_leader" in node.get("/metrics")[1] and b"clew_kv_keys" in node.get("/metrics")[1] for node in nodes), True)

        fourth = Member(4, arguments=["--join", nodes[2].client + "," + nodes[0].client] + CONSENSUS)
        fourth.start()
        until(lambda: healthy(nodes + [fourth], 4))
        expect("a node that joined is a secondary", member_of(nodes[0].view(), 4).get("role"), "secondary")
        expect("and has everything", fourth.kv("get", "greeting")[1], "hello")
        expect("stops", fourth.stop(), 0)
        fourth.start()
        until(lambda: healthy(nodes + [fourth], 4))

        # A list that was changed afterwards, another number, a second life with an empty directory.
        victim = nodes[0]
        expect("stops", victim.stop(), 0)
        kept, victim.extra = victim.extra, ["--node-id", "1", "--initial-cluster", "1=%s" % victim.peer] + CONSENSUS
        expect("another list is refused", "belongs to cluster" in victim.refused(), True)
        victim.extra = kept[:1] + ["2"] + kept[2:]
        expect("another number is refused", "is member 1's" in victim.refused(), True)
        victim.extra = kept
        shutil.rmtree(os.path.join(victim.directory, "data"))
        victim.start()
        others = nodes[1:] + [fourth]
        until(lambda: member_of(others[0].view(), 1).get("state") == "error")
        expect("the view says what to do", "remove this member" in member_of(others[0].view(), 1)["problem"], True)
        victim.process.kill()
        victim.process.wait()
        victim.process = None
        shutil.rmtree(os.path.join(victim.directory, "data"))
        victim.extra = ["--join", others[0].client] + CONSENSUS
        expect("joining under the old address is refused", "remove it first" in victim.refused(), True)
        expect("member remove", others[1].member("remove", "1"), 0)
        fifth = victim
        fifth.start()
        until(lambda: healthy(others + [fifth], 4))
        expect("it is a new member", fifth.view()["self"], "5")
        expect("with everything", fifth.kv("get", "greeting")[1], "hello")

        # The leader goes in good order: nobody waits for an election.
        everybody = others + [fifth]
        leader = until(lambda: led(everybody))
        first = next(node for node in everybody if node.view()["self"] == leader)
        rest = [node for node in everybody if node is not first]
        before = int(first.view()["epoch"])
        expect("the leader stops", first.stop(), 0)
        expect("writes go on", rest[0].kv("put", "after", "1")[0], 0)
        expect("after one change of leader", int(rest[0].view()["epoch"]), before + 1)
        expect("leadership was given away", "not given away" in first.output(), False)
        for node in rest:
            node.process.kill()
    finally:
        close(nodes + [one for one in (fourth,) if one])


def no_quorum():
    """One of three alone: no answer but sequential reads, and a word that a tired person understands; then all again."""
    nodes = group(3)
    try:
        for node in nodes:
            node.start()
        until(lambda: healthy(nodes, 3))
        expect("put", nodes[0].kv("put", "k", "v")[0], 0)
        for node in nodes[1:]:
            node.process.kill()
            node.process.wait()
            node.process = None
        until(lambda: any(text.startswith("no leader: 1 of 3 voters is reachable from here, 2 needed") for text in nodes[0].view()["problems"]))
        expect("a sequential read", nodes[0].kv("get", "k", "--consistency", "sequential")[1], "v")
        expect("a write is refused", nodes[0].kv("put", "k", "w", "--timeout", "1s")[0], 2)
        for node in nodes[1:]:
            node.start()
        until(lambda: healthy(nodes, 3))
        expect("a write again", nodes[0].kv("put", "k", "x")[0], 0)
    finally:
        close(nodes)


def rocksdb_and_traces():
    """The other engine keeps its state over a kill; spans about the leader are in the node's own store."""
    (node,) = group(1, ", engine: rocksdb, traces: {enabled: true, appends_one_in: 1}")
    try:
        node.start()
        until(lambda: led([node]))
        for number in range(50):
            expect("put", node.kv("put", "key%d" % number, "v%d" % number)[0], 0)
        until(lambda: "become_leader" in str(node.search()))
        node.process.kill()
        node.process.wait()
        node.start()
        until(lambda: led([node]))
        expect("the first key", node.kv("get", "key0")[1], "v0")
        expect("the last key", node.kv("get", "key49")[1], "v49")
        expect("stops", node.stop(), 0)
    finally:
        close([node])


SCENARIOS = (life_of_a_group, no_quorum, rocksdb_and_traces)

if __name__ == "__main__":
    wanted = sys.argv[1:]
    for scenario in SCENARIOS:
        if not wanted or scenario.__name__ in wanted:
            scenario()
            print("%s: %s" % (scenario.__name__, "FAILED" if failed else "good"))
    sys.exit(1 if failed else 0)
