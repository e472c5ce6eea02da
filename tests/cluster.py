"""Real nodes as one control group: founding, joining, replacing, stopping; what is refused, and what the views say. Standard library only."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faulty_machine import Machine  # noqa: E402
from node import FAST, Node, claimed_ports, until  # noqa: E402

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
        self.peer, self.client = ("127.0.0.1:%d" % port for port in claimed_ports(2))
        super().__init__(FAST + "control: {log_file_size: 8MiB, heartbeat: 50ms, election_timeout: 500ms%s}\n" % config)
        self.extra = list(arguments)
        self.flags = []  # of `clew kv` through this node

    def start(self, *more):
        self.control_arguments = ["--peer", self.peer, "--client", self.client] + self.extra + list(more)
        return super().start()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def view(self):
        return self.get_json("/api/clew/cluster")

    def clew(self, *arguments):
        """(exit code, output)"""
        ended = subprocess.run([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return ended.returncode, ended.stdout.decode().strip()

    def kv(self, *arguments):
        """`clew kv` through this node."""
        return self.clew("kv", *arguments, "--server", self.client, *self.flags)

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
        one.extra = ["--node-id", str(one.number), "--initial-cluster", founders]
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

        fourth = Member(4, arguments=["--join", nodes[2].client + "," + nodes[0].client])
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
        kept, victim.extra = victim.extra, ["--node-id", "1", "--initial-cluster", "1=%s" % victim.peer]
        expect("another list is refused", "belongs to a group of the founding" in victim.refused(), True)
        victim.extra = kept[:1] + ["2"] + kept[2:]
        expect("another number is refused", "is member 1's" in victim.refused(), True)
        victim.extra = kept
        shutil.rmtree(os.path.join(victim.directory, "data"))
        victim.start()
        others = nodes[1:] + [fourth]
        until(lambda: member_of(others[0].view(), 1).get("state") == "error")
        expect("the view says what to do", "remove this member" in member_of(others[0].view(), 1)["problem"], True)
        victim.kill()
        shutil.rmtree(os.path.join(victim.directory, "data"))
        victim.extra = ["--join", others[0].client]
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
            node.kill()
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
        node.kill()
        node.start()
        until(lambda: led([node]))
        expect("the first key", node.kv("get", "key0")[1], "v0")
        expect("the last key", node.kv("get", "key49")[1], "v49")
        expect("stops", node.stop(), 0)
    finally:
        close([node])


def restored_from_a_snapshot():
    """Saved under load, by both tools; a new group of other nodes is made of it, and the old one's members are strangers to it."""
    nodes = group(3)
    restored = []
    try:
        for node in nodes:
            node.start()
        until(lambda: healthy(nodes, 3))
        for number in range(20):
            expect("put", nodes[0].kv("put", "before%d" % number, "v%d" % number)[0], 0)
        expect("put again", nodes[0].kv("put", "before0", "newer")[0], 0)
        lease = json.loads(nodes[0].kv("lease", "grant", "30", "--json")[1])["lease"]
        expect("put with a lease", nodes[0].kv("put", "leased", "x", "--lease", lease)[0], 0)
        load = subprocess.Popen([nodes[0].program, "bench", "kv", "--server", nodes[0].client, "--seconds", "60", "--outstanding", "16", "--value-bytes", "2000"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        path = os.path.join(nodes[0].directory, "backup")
        try:
            until(lambda: nodes[0].kv("range", "bench/", "--prefix", "--count")[1] not in ("", "0"))
            revision = json.loads(nodes[1].kv("put", "acknowledged", "1", "--json")[1])["revision"]
            code, out = nodes[2].clew("snapshot", "save", path, "--json", "--server", nodes[2].client)
        finally:
            load.kill()
            load.wait()
        expect("saved under load", code, 0)
        saved = json.loads(out)
        expect("with what was acknowledged before", saved["revision"] >= revision, True)
        expect("not written over", nodes[0].clew("snapshot", "save", path, "--server", nodes[0].client)[0], 2)
        expect("its status", json.loads(nodes[0].clew("snapshot", "status", path, "--json")[1]), saved)

        # Damaged, cut short, of somebody else: refused, and nothing is made.
        with open(path, "rb") as file:
            content = file.read()
        for what, bad in (("damaged", content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]), ("cut short", content[:-600]), ("no snapshot", b"PK" + content[2:]), ("empty", b"")):
            with open(path + ".bad", "wb") as file:
                file.write(bad)
            code, out = nodes[0].clew("snapshot", "status", path + ".bad")
            expect("%s: %s" % (what, out), code, 1)
            code, out = nodes[0].clew("snapshot", "restore", path + ".bad", "--data-dir", path + ".data", "--node-id", "1", "--initial-cluster", "1=127.0.0.1:1")
            expect("%s is not restored: %s" % (what, out), (code, os.path.exists(path + ".data/control")), (1, False))

        restored = [Member(number + 1) for number in range(3)]
        founders = ",".join("%d=%s" % (one.number, one.peer) for one in restored)
        foundings = set()
        for node in restored:
            data = os.path.join(node.directory, "data")
            arguments = ["snapshot", "restore", path, "--data-dir", data, "--node-id", str(node.number), "--initial-cluster", founders, "--json"]
            code, out = node.clew(*arguments)
            expect("restored: " + out, code, 0)
            foundings.add(json.loads(out)["founding"])
            expect("not into a member's directory", node.clew(*arguments)[0], 2)
            node.extra = ["--node-id", str(node.number), "--initial-cluster", founders]
            node.start()
        expect("one founding", len(foundings), 1)
        until(lambda: healthy(restored, 3))
        view = restored[0].view()
        expect("a new one", (view["founding"] in foundings, view["cluster"] != nodes[0].view()["cluster"]), (True, True))
        for number in range(1, 20):
            expect("restored key", restored[number % 3].kv("get", "before%d" % number)[1], "v%d" % number)
        expect("the newest value", restored[0].kv("get", "before0")[1], "newer")
        expect("and the former one", restored[1].kv("get", "before0", "--rev", "2")[1], "v0")
        expect("acknowledged before", restored[2].kv("get", "acknowledged")[1], "1")
        expect("keys of a lease", restored[0].kv("get", "leased")[1], "x")
        next_revision = json.loads(restored[0].kv("put", "after", "1", "--json")[1])["revision"]
        expect("revisions go on", next_revision, saved["revision"] + 1)
        events = restored[1].kv("watch", "before0", "--rev", "2", "--count", "2", "--json")[1]
        expect("a watch from the past", [json.loads(line)["kv"]["value"] for line in events.splitlines()], ["v0", "newer"])
        until(lambda: restored[0].kv("get", "leased")[0] == 1, 90, "the lease that nobody renews ends")
        # All restart, and one is replaced, as in any group.
        for node in restored:
            expect("stops", node.stop(), 0)
        for node in restored:
            node.start()
        until(lambda: healthy(restored, 3))
        expect("still there", restored[1].kv("get", "before7")[1], "v7")
        restored.append(Member(4, arguments=["--join", restored[0].client]))
        restored[3].start()
        until(lambda: healthy(restored, 4))
        expect("one that joins has it, too", restored[3].kv("get", "before7", "--consistency", "sequential")[1], "v7")

        # A group that is made of it may run another protocol; members that believe only what was signed cannot begin with it.
        code, out = nodes[0].clew("snapshot", "restore", path, "--data-dir", path + ".data", "--node-id", "1", "--initial-cluster", founders, "--consensus", "pbft")
        expect("not on pbft: " + out, (code, "cannot begin with a state" in out, os.path.exists(path + ".data/control")), (2, True, False))
        for protocol in ("multipaxos", "zab"):
            others = [Member(number + 1) for number in range(3)]
            restored += others
            founders = ",".join("%d=%s" % (one.number, one.peer) for one in others)
            for node in others:
                data = os.path.join(node.directory, "data")
                code, out = node.clew("snapshot", "restore", path, "--data-dir", data, "--node-id", str(node.number), "--initial-cluster", founders, "--consensus", protocol)
                expect("restored for %s: %s" % (protocol, out), code, 0)
                node.extra = ["--node-id", str(node.number), "--initial-cluster", founders, "--consensus", protocol]
                node.start()
            until(lambda: healthy(others, 3))
            expect("restored key", others[1].kv("get", "before7")[1], "v7")
            leader = until(lambda: led(others))
            first = next(node for node in others if node.view()["self"] == leader)
            rest = [node for node in others if node is not first]
            first.kill()
            expect("it goes on without its first leader", rest[0].kv("put", "after", "1")[0], 0)
            first.start()
            until(lambda: healthy(others, 3))
            expect("who comes back has all of it", (first.kv("get", "after")[1], first.kv("get", "before0")[1]), ("1", "newer"))
    finally:
        close(nodes + restored)


def certificates_between_members():
    """Mutual TLS between members, for our own protocol and for etcd's clients: made by `clew keys`; whose certificate is foreign, expired or missing is refused in words."""
    keys = tempfile.mkdtemp(prefix="clew-keys-")
    nodes = group(3)

    def make(*arguments, directory=keys, shift_s=0):
        machine = Machine(os.path.join(keys, "machine"))
        machine.set_clock(shift_s)
        subprocess.run([nodes[0].program, "keys", *arguments, "--dir", directory], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **(machine.environment if shift_s else {})})

    def tls(name, directory=keys):
        return "{cert_file: %s/%s.crt, key_file: %s/%s.key, client_ca_file: %s/ca.crt}" % (directory, name, directory, name, keys)

    def configure(node, files):
        with open(node.config, "w") as file:
            file.write(FAST + "control: {log_file_size: 8MiB, heartbeat: 50ms, election_timeout: 500ms, peer: {tls: %s}, client: {tls: %s}}\netcd: {tls: %s}\n" % (files, files, files))

    def shown(name, directory=keys):
        return ["--ca", keys + "/ca.crt", "--cert", "%s/%s.crt" % (directory, name), "--key", "%s/%s.key" % (directory, name)]

    def etcdctl(node, *arguments, name="operator", directory=keys, files=True):
        shown_files = ["--cert", "%s/%s.crt" % (directory, name), "--key", "%s/%s.key" % (directory, name)] if files else []
        done = subprocess.run(["etcdctl", "--endpoints", "https://127.0.0.1:%d" % node.etcd_port, "--cacert", keys + "/ca.crt", "--dial-timeout", "2s", "--command-timeout", "5s", *shown_files,
                               *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False, env={**os.environ, "ETCDCTL_API": "3"})
        return done.returncode, done.stdout.decode()

    def problem_of(number):
        return member_of(nodes[0].view(), number).get("problem", "")

    def start_again(node, files):
        node.kill()
        configure(node, files)
        node.start()

    try:
        other = os.path.join(keys, "other")
        make("ca")
        make("client", "operator")
        for node in nodes:
            make("node", str(node.number), "--host", "127.0.0.1")
        make("ca", directory=other)
        make("client", "operator", directory=other)
        make("node", "3", "--host", "127.0.0.1", directory=other)
        # Made ten days ago, for a day.
        old = os.path.join(keys, "old")
        os.mkdir(old)
        for name in ("ca.crt", "ca.key"):
            shutil.copy(os.path.join(keys, name), old)
        make("client", "operator", "--days", "1", directory=old, shift_s=-864000)
        make("node", "3", "--host", "127.0.0.1", "--days", "1", directory=old, shift_s=-864000)

        for node in nodes:
            (node.etcd_port,) = claimed_ports(1)
            configure(node, tls("node-%d" % node.number))
            node.start()
        until(lambda: healthy(nodes, 3))
        mine = shown("operator")
        expect("put", nodes[0].kv("put", "a", "1", *mine)[0], 0)
        for node in nodes:
            expect("get through node %d" % node.number, node.kv("get", "a", *mine), (0, "1"))
        expect("status", nodes[1].clew("status", "--server", nodes[1].client, *mine)[0], 0)
        for what, files, words in (("a foreign certificate", shown("operator", other), "another authority signed"), ("an expired certificate", shown("operator", old), "has expired"),
                                   ("no TLS", [], "does it want TLS"), ("no certificate", ["--ca", keys + "/ca.crt"], "certificate")):
            code, out = nodes[0].kv("get", "a", "--timeout", "2s", *files)
            expect("%s: %s" % (what, out), (code, words in out), (2, True))
        if shutil.which("etcdctl"):
            expect("etcdctl", etcdctl(nodes[1], "get", "a", "--print-value-only"), (0, "1\n"))
            for what, more in (("foreign", {"directory": other}), ("expired", {"directory": old}), ("missing", {"files": False})):
                expect("etcdctl with a certificate that is " + what, etcdctl(nodes[1], "get", "a", **more)[0] != 0, True)

        # A member whose certificate is not good is offline to the others, who say why; the group goes on.
        for what, files, words in (("foreign", tls("node-3", other), "another authority signed its certificate"), ("expired", tls("node-3", old), "its certificate has expired"),
                                   ("another member's", tls("node-2"), "another one than the member that is meant")):
            start_again(nodes[2], files)
            until(lambda w=words: w in problem_of(3), 60, "the others say that member 3's certificate is %s: %s" % (what, problem_of(3)))
            expect("the group goes on", nodes[0].kv("put", "while", what, *mine)[0], 0)
        until(lambda: any("TLS refused" in node.output() and "port=peer" in node.output() for node in nodes[:2]), 30, "the log says who was refused")
        expect("it is counted", any('clew_tls_refused_total{port="peer",reason="expired_certificate"} 0' not in node.get("/metrics")[1].decode() for node in nodes[:2]), True)
        # No TLS at all.
        nodes[2].kill()
        with open(nodes[2].config, "w") as file:
            file.write(FAST)
        nodes[2].start()
        until(lambda: "does not speak TLS" in problem_of(3), 60, "the others say that member 3 speaks no TLS: %s" % problem_of(3))
        start_again(nodes[2], tls("node-3"))
        until(lambda: healthy(nodes, 3))
        expect("and it has what it missed", nodes[2].kv("get", "while", "--consistency", "sequential", *mine), (0, "another member's"))
    finally:
        close(nodes)
        shutil.rmtree(keys, ignore_errors=True)


def on_another_protocol(protocol, founders=3, arguments=lambda number: [], joins_with=lambda nodes: [], too_few=None, flags=()):
    """A group that runs another protocol than the default: both client protocols work on it, and who comes with the wrong one is told so."""
    nodes = group(founders)
    late = None

    def etcdctl(node, *arguments):
        done = subprocess.run(["etcdctl", "--endpoints", "127.0.0.1:%d" % node.etcd_port, "--command-timeout", "20s", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False, env={**os.environ, "ETCDCTL_API": "3"})
        return done.returncode, done.stdout.decode()

    try:
        for node in nodes:
            node.extra += arguments(node.number) + ["--consensus", protocol]
            node.flags = flags
            (node.etcd_port,) = claimed_ports(1)
            node.start()
        until(lambda: healthy(nodes, founders))
        expect("what it runs is said", nodes[1].view()["protocol"], protocol)
        code, out = nodes[2].clew("status", "--server", nodes[2].client)
        expect("clew status: " + out, (code, "healthy" in out), (0, True))
        expect("put through any node", nodes[1].kv("put", "greeting", "hello")[0], 0)
        if shutil.which("etcdctl"):
            for node in nodes:
                expect("etcdctl through node %d" % node.number, etcdctl(node, "get", "greeting", "--print-value-only"), (0, "hello\n"))
            expect("etcdctl put", etcdctl(nodes[2], "put", "from-etcd", "1"), (0, "OK\n"))
            expect("a lease of etcd's", etcdctl(nodes[0], "lease", "grant", "60")[0], 0)
            expect("its members", len(etcdctl(nodes[0], "member", "list")[1].splitlines()), founders)
        else:
            expect("put", nodes[2].kv("put", "from-etcd", "1")[0], 0)
        # A session's command, asked again, counts once; state of a snapshot and of the log is the same.
        for number in range(30):
            expect("put", nodes[number % founders].kv("put", "key%d" % number, "v%d" % number)[0], 0)
        leader = until(lambda: led(nodes))
        first = next(node for node in nodes if node.view()["self"] == leader)
        rest = [node for node in nodes if node is not first]
        first.kill()
        expect("nothing is lost with the leader", rest[0].kv("get", "greeting")[1], "hello")
        expect("writes go on", rest[1].kv("put", "greeting", "again")[0], 0)  # and depose a primary of PBFT's
        until(lambda: led(rest) not in (False, leader))

        kept, first.extra = first.extra, first.extra[:-1] + ["raft"]
        expect("its data refuses another protocol", "belongs to a group that runs %s, not to raft" % protocol in first.refused(), True)
        first.extra = kept
        first.start()
        until(lambda: healthy(nodes, founders))
        expect("it has what it missed", first.kv("get", "greeting")[1], "again")
        expect("and what came from etcd's side", first.kv("get", "from-etcd")[1], "1")

        late = Member(founders + 1, arguments=["--join", nodes[2].client])
        expect("the group refuses one of another protocol", "the group runs %s, this node would run raft" % protocol in late.refused(), True)
        expect("and has not taken it in", len(nodes[0].view()["members"]), founders)
        late.extra += arguments(late.number) + joins_with(nodes) + ["--consensus", protocol]
        late.flags = flags
        late.start()
        until(lambda: healthy(nodes + [late], founders + 1))
        expect("a node that joined has everything", late.kv("get", "greeting")[1], "again")
        expect("and a word in it", member_of(nodes[0].view(), late.number).get("role"), "secondary")
        expect("member remove", nodes[0].member("remove", str(late.number)), 0)
        until(lambda: healthy(nodes, founders))
        if protocol != "pbft":  # whose members go on hearing a primary
            until(lambda: late.clew("status", "--server", late.client)[0] != 0, what="the removed member is not well")
        expect("who names it first is told by the others", late.clew("status", "--server", late.client + "," + nodes[0].client)[0], 0)
        if too_few:
            code, said = nodes[0].clew("member", "remove", str(founders), "--server", nodes[0].client)
            expect("a group that would be too small: " + said, (code != 0, too_few in said), (True, True))
        # A machine's disk is gone: another member takes its place in one step, where it was.
        leader = until(lambda: led(nodes))
        gone = next(node for node in nodes if node.view()["self"] != leader)
        others = [node for node in nodes if node is not gone]
        gone.kill()
        shutil.rmtree(os.path.join(gone.directory, "data"))
        code, said = others[0].clew("member", "replace", str(gone.number), "--server", others[0].client)
        taker = late.number + 1
        expect("member replace: " + said, (code, "node %d takes the place of node %d" % (taker, gone.number) in said), (0, True))
        gone.extra = ["--join", others[0].client] + joins_with(nodes) + arguments(taker) + ["--consensus", protocol]
        gone.start()
        until(lambda: healthy(nodes, founders))
        expect("who took its place", (gone.view()["self"], member_of(others[0].view(), taker).get("role")), (str(taker), "secondary"))
        expect("has everything", gone.kv("get", "greeting")[1], "again")

        leader = until(lambda: led(nodes))
        first = next(node for node in nodes if node.view()["self"] == leader)
        metrics = first.get("/metrics")[1].decode()
        expect("its metrics", all(name in metrics for name in ('clew_consensus_standing{standing="leader"} 1', "clew_consensus_commit_seconds_count", "clew_consensus_peer_lag{")), True)
        expect("the leader stops", first.stop(), 0)
        expect("leadership was given away", "not given away" in first.output(), False)
    finally:
        close(nodes + [one for one in (late,) if one])


def on_multipaxos():
    on_another_protocol("multipaxos")


def on_zab():
    on_another_protocol("zab")


def signing(keys):
    """What gives a member its own key, and the others' public ones."""
    def arguments(number):
        made = subprocess.run([os.environ.get("CLEW", "build/release/clew"), "keys", "signing", str(number), "--dir", keys], stdout=subprocess.PIPE, check=False)
        expect("clew keys signing", (made.returncode, b"fingerprint " in made.stdout), (0, True))
        return ["--signing-key", "%s/signing-%d.key" % (keys, number), "--signing-members", keys]
    return arguments


def on_pbft():
    """Members that do not trust each other: each signs with its own key, and knows the others by the files that they gave it."""
    keys = tempfile.mkdtemp(prefix="clew-signing-")
    arguments = signing(keys)
    try:
        on_another_protocol("pbft", 4, arguments, lambda nodes: nodes[0].extra[2:4], "at least 4", flags=["--trust-gateway"])
        node = group(1)[0]
        node.extra += ["--consensus", "pbft"]
        expect("no key", "clew keys signing" in node.refused(), True)
        node.extra += arguments(1000)
        said = node.refused()
        expect("too few: " + said, "at least 4" in said, True)
        close([node])
    finally:
        shutil.rmtree(keys, ignore_errors=True)


def group_with_a_liar(lies, play):
    """Four members under PBFT, of which the first, the primary of the first view, lies in these ways; `play(liar, honest, all addresses)`."""
    keys = tempfile.mkdtemp(prefix="clew-signing-")
    nodes = group(4)
    arguments = signing(keys)
    try:
        nodes[0].program = os.environ.get("CLEW_LIAR", "build/release/tests/clew_liar")
        nodes[0].environment = {"CLEW_LIES": lies}
        for node in nodes:
            node.extra += arguments(node.number) + ["--consensus", "pbft"]
            (node.etcd_port,) = claimed_ports(1)
        for node in nodes:
            node.start()
        expect("the liar lies", "this member lies" in nodes[0].output(), True)
        play(nodes[0], nodes[1:], ",".join(node.client for node in nodes))
        # Equal states: what the honest ones answer by themselves, and the hash of all versions.
        def state(node):
            return node.clew("kv", "range", "own", "--prefix", "--consistency", "sequential", "--trust-gateway", "--server", node.client)
        until(lambda: len({state(node) for node in nodes[1:]}) == 1, what="the honest members' states are equal")
        expect("and there is something in them", (state(nodes[1])[0], "own0" in state(nodes[1])[1]), (0, True))
        if shutil.which("etcdctl"):
            def hashed(node):
                done = subprocess.run(["etcdctl", "--endpoints", "127.0.0.1:%d" % node.etcd_port, "endpoint", "hashkv", "--write-out", "json"], stdout=subprocess.PIPE, timeout=60, check=False,
                                      env={**os.environ, "ETCDCTL_API": "3"})
                return json.loads(done.stdout)[0]["HashKV"]["hash"] if done.returncode == 0 else None
            until(lambda: len({hashed(node) for node in nodes[1:]}) == 1 and hashed(nodes[1]) is not None, what="equal hashes of the honest members' states")
        expect("no honest member halted", [node.process.poll() for node in nodes[1:]], [None] * 3)
    finally:
        close(nodes)
        shutil.rmtree(keys, ignore_errors=True)


def goes_on(honest, servers, rounds=10):
    """Our own client, which asks all, and etcd's at honest members: all is done once, and read back."""
    for number in range(rounds):
        code, said = honest[0].clew("kv", "put", "own%d" % number, "v%d" % number, "--server", servers, "--timeout", "20s")
        expect("own client's put: " + said, code, 0)
        expect("own client's get", honest[0].clew("kv", "get", "own%d" % number, "--server", servers, "--timeout", "20s"), (0, "v%d" % number))
        if not shutil.which("etcdctl"):
            continue
        node = honest[number % len(honest)]
        for command in (["put", "etcd%d" % number, "e%d" % number], ["get", "etcd%d" % number, "--print-value-only"]):
            done = subprocess.run(["etcdctl", "--endpoints", "127.0.0.1:%d" % node.etcd_port, "--command-timeout", "20s", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                                  check=False, env={**os.environ, "ETCDCTL_API": "3"})
            expect("etcdctl " + " ".join(command), (done.returncode, done.stdout.decode()), (0, "OK\n" if command[0] == "put" else "e%d\n" % number))


def an_equivocating_primary():
    """The primary shows one member a batch and the others another one: another one is elected, and everything goes on."""
    def play(liar, honest, servers):
        goes_on(honest, servers)
        leaders = {node.view()["leader"] for node in honest}
        expect("they left the liar's view: %r" % leaders, (len(leaders), "1" in leaders, all(int(node.view()["epoch"]) > 1 for node in honest)), (1, False, True))
        refused = [line for node in honest for line in node.get("/metrics")[1].decode().splitlines() if line.startswith("clew_consensus_messages_refused_total{")]
        expect("what the liar said is counted by reason: %r" % refused, any(float(line.split()[-1]) > 0 for line in refused), True)
    group_with_a_liar("equivocation", play)


def a_silent_member():
    """The primary says nothing to two of three: they leave it, and go on without it."""
    def play(liar, honest, servers):
        goes_on(honest, servers)
        expect("they left its view", "1" in {node.view()["leader"] for node in honest}, False)
    group_with_a_liar("silence", play)


def a_lying_gateway():
    """A member tells its clients what is not so: our own client, which names it first, is told the truth; who trusts it is not."""
    def play(liar, honest, servers):
        goes_on(honest, servers)
        for number in range(5):
            key, value = "through%d" % number, "the liar"
            expect("put by way of the liar", liar.clew("kv", "put", key, value, "--server", servers, "--timeout", "20s")[0], 0)
            expect("it was done", honest[number % 3].clew("kv", "get", key, "--server", honest[number % 3].client, "--trust-gateway"), (0, value))
            expect("get by way of the liar", liar.clew("kv", "get", key, "--server", servers, "--timeout", "20s"), (0, value))
        expect("who trusts the liar gets the lie", liar.clew("kv", "get", "through0", "--server", liar.client, "--trust-gateway"), (0, "a lie"))
        code, said = honest[0].kv("get", "through0")
        expect("one address is too few: " + said, (code != 0, "--trust-gateway" in said), (True, True))
    group_with_a_liar("answers", play)


def zab_without_witnesses():
    """ZAB's members hold whole histories: a witness is refused in words, among the founders and afterwards."""
    node, witness = group(1) + [Member(2)]
    try:
        founders = "1=%s,2=%s/witness,3=127.0.0.1:1" % (node.peer, witness.peer)
        kept, node.extra = node.extra, ["--node-id", "1", "--initial-cluster", founders, "--consensus", "zab"]
        expect("a witness among the founders", "a witness stores no history" in node.refused(), True)
        node.extra = kept + ["--consensus", "zab"]
        node.start()
        until(lambda: healthy([node], 1))
        witness.extra = ["--join", node.client, "--role", "witness", "--consensus", "zab"]
        said = witness.refused()
        expect("a witness that joins: " + said, "a witness stores no history" in said, True)
        expect("and is no member", len(node.view()["members"]), 1)
    finally:
        close([node, witness])


def one_shot_agreements():
    """clew paxos propose: rivals are told one value, it outlives kill -9 of all members, and a majority is enough."""
    nodes = group(3)

    def propose(node, name, value):
        code, output = node.clew("paxos", "propose", name, value, "--json", "--server", node.client, "--timeout", "20s")
        return code, json.loads(output) if code in (0, 1) else output

    def a_majority(attempt):
        return all(len(attempt[what]) >= 2 for what in ("promised", "accepted"))

    try:
        for node in nodes:
            node.start()
        until(lambda: led(nodes))
        rivals = [subprocess.Popen([node.program, "paxos", "propose", "colour", "of-%d" % node.number, "--json", "--server", node.client, "--timeout", "30s"],
                                   stdout=subprocess.PIPE) for node in nodes]
        told = [json.loads(rival.communicate(timeout=120)[0]) for rival in rivals]
        chosen = {one["chosen"] for one in told}
        expect("rivals are told one value", len(chosen), 1)
        expect("one of them won", sorted(rival.returncode for rival in rivals), [0, 1, 1])
        expect("the acceptors are the members", told[0]["acceptors"], ["1", "2", "3"])
        # A rival that is bound by phase 1 may complete the winner's value: then nobody's last ballot need be the one that chose.
        ends = [(one["attempts"][-1]["end"], a_majority(one["attempts"][-1])) for one in told if one["attempts"]]
        expect("a ballot that chose counted a majority", [majority for end, majority in ends if end == "chosen" and not majority], [])
        code, alone = propose(nodes[1], "taste", "sweet")
        expect("without rivals the wish is chosen", (code, alone["chosen"], alone["attempts"][-1]["end"]), (0, "sweet", "chosen"))
        expect("a majority promised and accepted", a_majority(alone["attempts"][-1]), True)
        code, text = nodes[0].clew("paxos", "propose", "colour", "late", "--server", nodes[0].client)
        expect("whoever is late is told", (code, '"late" came too late' in text), (1, True))

        for node in nodes:
            node.kill()
        for node in nodes:
            node.start()
        until(lambda: led(nodes))
        for node in nodes:
            code, answer = propose(node, "colour", "again")
            expect("node %d knows it after kill -9 of all" % node.number, (code, {answer["chosen"]}), (1, chosen))

        nodes[2].kill()
        until(lambda: led(nodes[:2]))
        code, answer = propose(nodes[0], "shape", "round")
        expect("two of three are enough", (code, answer["chosen"] if code == 0 else answer), (0, "round"))
        nodes[1].kill()
        code, answer = nodes[0].clew("paxos", "propose", "size", "big", "--server", nodes[0].client, "--timeout", "2s")
        expect("one of three is not: " + answer, code, 2)
        nodes[1].start()
        nodes[2].start()
        until(lambda: led(nodes))
        code, answer = propose(nodes[2], "shape", "square")
        expect("who was away is told", (code, answer["chosen"]), (1, "round"))
    finally:
        close(nodes)


SCENARIOS = (life_of_a_group, no_quorum, rocksdb_and_traces, restored_from_a_snapshot, certificates_between_members, on_multipaxos, on_zab, on_pbft, an_equivocating_primary, a_silent_member, a_lying_gateway,
             zab_without_witnesses, one_shot_agreements)

if __name__ == "__main__":
    wanted = sys.argv[1:]
    for scenario in SCENARIOS:
        if not wanted or scenario.__name__ in wanted:
            before = failed
            scenario()
            print("%s: %s" % (scenario.__name__, "FAILED" if failed > before else "good"))
    sys.exit(1 if failed else 0)
