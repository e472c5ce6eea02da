"""A cluster of real nodes whose machines, network and disks a test can make fail, under a load of clients whose histories are checked at the end. Standard library only.

The nodes reach each other through proxies (peer_proxy.py); each has a machine of its own (faulty_machine.py), and one may have a small file system of its own."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from faulty_machine import Machine
from history_load import HistoryLoad
from node import Node, claimed_ports, until
from peer_proxy import Proxies

CLEW = os.environ.get("CLEW", "build/release/clew")
DEADLINE = 120  # of every wait: only to fail

# Small files, so that logs rotate and snapshots are made within seconds.
CONFIG = """
traces: {quiet_period: 300ms, trace_timeout: 1s, max_open: 10s}
storage: {seal_delay: 100ms, wal: {file_size: 4MiB}}
control:
  log_file_size: 8MiB
  snapshot_every: 1MiB
  heartbeat: 50ms
  election_timeout: 500ms
  leases: true
  engine: %s
  role: %s
  peer: {advertise: "%s"}
"""


class FaultyNode(Node):
    """`clew serve` behind a proxy. id: of the member; a node that was replaced has another one."""

    def __init__(self, number, proxies, engine="memory", program=CLEW):
        super().__init__("", program)
        self.id, self.proxies, self.engine, self.role = number, proxies, engine, "voter"
        self.peer_port, self.client_port, self.etcd_port = claimed_ports(3)
        self.machine = Machine(os.path.join(self.directory, "machine"))
        self.environment = self.machine.environment
        self.data, self.mounted, self.running = os.path.join(self.directory, "data"), False, False
        self.address, self.belongs = None, []
        self.at(number)

    def at(self, number):
        """The member `number` has an address of its own: a proxy's."""
        self.id, self.address = number, "127.0.0.1:%d" % self.proxies.add(number, self.peer_port)

    def small_disk(self, mib):
        """A file system of its own for its data. False: that needs rights."""
        os.makedirs(self.data, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % mib, "tmpfs", self.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        self.mounted = done.returncode == 0
        return self.mounted

    def client(self):
        return "127.0.0.1:%d" % self.client_port

    def etcd(self):
        return "127.0.0.1:%d" % self.etcd_port

    def start(self):
        with open(self.config, "w") as file:
            file.write(CONFIG % (self.engine, self.role, self.address))
        self.control_arguments = ["--peer", "127.0.0.1:%d" % self.peer_port, "--client", self.client()] + self.belongs
        self.running = True
        return super().start()

    def kill(self):
        self.running = False
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In good order."""
        self.running = False
        code = super().stop()
        if code != 0:
            raise RuntimeError("node %d ended with exit code %d:\n%s" % (self.id, code, self.output()[-3000:]))

    def signal(self, number):
        self.process.send_signal(number)

    def metrics(self):
        """Name with labels → value; none when it does not answer."""
        try:
            status, body, _ = self.request(self.http_port, "GET", "/metrics", timeout=3)
        except OSError:
            return {}
        if status != 200:
            return {}
        lines = [line.rsplit(" ", 1) for line in body.decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def usage(self):
        """Resident MiB, open files and MiB on the disk."""
        with open("/proc/%d/status" % self.process.pid) as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        disk = 0
        for folder, _, names in os.walk(self.data):
            for name in names:
                try:
                    disk += os.stat(os.path.join(folder, name)).st_blocks * 512
                except OSError:
                    pass  # let go of meanwhile
        return {"memory": resident / 1024, "files": len(os.listdir("/proc/%d/fd" % self.process.pid)), "disk": disk / 2**20}

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class World:
    """with World(3) as world: … — left without an exception it must heal, go on and agree, and its histories must hold."""

    def __init__(self, size, engine="memory", seed=1, small_disk_mib=0, keep=None):
        self.directory = tempfile.mkdtemp(prefix="clew-faults-")
        self.proxies, self.seed, self.keep, self.loads, self.load = Proxies(), seed, keep, 0, None
        self.nodes = [FaultyNode(number, self.proxies, engine) for number in range(1, size + 1)]
        self.next_id = size + 1
        self.disk_is_small = small_disk_mib > 0 and self.nodes[0].small_disk(small_disk_mib)
        founders = ",".join("%d=%s" % (node.id, node.address) for node in self.nodes)
        for node in self.nodes:
            node.belongs = ["--node-id", str(node.id), "--initial-cluster", founders]
        self.all, self.judged = list(self.nodes), 0

    def __enter__(self):
        try:
            for node in self.nodes:
                node.start()
            self.leader()
            self.begin_load()
            return self
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.heal()
                self.end_load()
        except BaseException:
            kind = True
            raise
        finally:
            if kind is not None:
                for node in self.all:
                    if node.process is not None:
                        print("--- node %d\n%s" % (node.id, node.output()[-1500:]))
            if self.load is not None:
                self.load.kill()
            for node in self.all:
                node.close()
            self.proxies.close()
            if self.keep:
                for name in os.listdir(self.directory):
                    if name.endswith(".history"):
                        shutil.copy(os.path.join(self.directory, name), self.keep)
            shutil.rmtree(self.directory, ignore_errors=True)

    def begin_load(self):
        self.loads += 1
        self.load = HistoryLoad(CLEW, self.directory, [node.client() for node in self.nodes], [node.etcd() for node in self.nodes], tag=self.loads, seed=self.seed)
        self.progress()

    def end_load(self):
        """The cluster is whole: what its clients saw must hold, and its members must have the same state."""
        self.progress(10)
        self.judged += sum(self.load.finish())
        self.load = None
        self.agree()

    def heal(self):
        self.proxies.heal()
        for node in self.nodes:
            node.machine.slow_disk(0)
            node.machine.set_clock(0)
            if node.running:
                node.signal(signal.SIGCONT)
            else:
                node.start()

    def leader(self, among=None):
        """Who leads by the word of most of `among`, and its own."""

        def found():
            members = among or self.nodes
            seen = {node: node.metrics() for node in members if node.running}
            for node, metrics in seen.items():
                leads = any(value == 1 and "leader" in name for name, value in metrics.items() if name.startswith("clew_consensus_standing{"))
                if leads and sum(one.get("clew_consensus_leader") == node.id for one in seen.values()) * 2 > len(members):
                    return node
            return None

        return until(found, DEADLINE, "a leader")

    def followers(self):
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def progress(self, operations=60):
        self.load.wait("answered", operations, DEADLINE)

    def refusals(self, count):
        self.load.wait("refused", count, DEADLINE)

    def member(self, *arguments, expect=0):
        """`clew member …` through whoever answers."""
        done = subprocess.run([CLEW, "member", *map(str, arguments), "--timeout", "15s", "--server", ",".join(node.client() for node in self.nodes if node.running)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        if expect is not None and done.returncode != expect:
            raise RuntimeError("member %s: exit code %d: %s" % (" ".join(map(str, arguments)), done.returncode, done.stdout))
        return done

    def lead(self, node):
        """Leadership is handed to that member."""

        def leads():
            if self.leader() is node:
                return True
            self.member("transfer", node.id, expect=None)
            return False

        until(leads, DEADLINE, "node %d leads" % node.id)

    def caught_up(self, node):
        """It has applied what the leader had committed a moment ago."""
        committed = self.leader().metrics().get('clew_consensus_position{of="committed"}', 0)
        until(lambda: node.metrics().get('clew_consensus_position{of="applied"}', -1) >= committed, DEADLINE, "node %d has caught up" % node.id)

    def agree(self):
        """Equal hashes of all keys on all members, by etcd's words."""
        if not shutil.which("etcdctl"):
            return

        def same():
            done = subprocess.run(["etcdctl", "--endpoints", ",".join(node.etcd() for node in self.nodes), "endpoint", "hashkv", "-w", "json"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"}, timeout=60, check=False)
            if done.returncode != 0:
                return False
            hashes = [(one["HashKV"]["header"]["revision"], one["HashKV"]["hash"]) for one in json.loads(done.stdout)]
            if len({revision for revision, _ in hashes}) != 1 or len(hashes) != len(self.nodes):
                return False
            if len(set(hashes)) != 1:
                raise RuntimeError("members have different states at one revision: %s" % hashes)
            return True

        until(same, DEADLINE, "one revision on all members")

    def join(self, node, role="voter"):
        """A new machine, or one that lost everything, comes in as a new member."""
        node.at(self.next_id)
        self.next_id += 1
        node.role, node.belongs = role, ["--join", ",".join(one.client() for one in self.nodes if one.running and one is not node)]
        node.start()
        if node not in self.all:
            self.all.append(node)
        if node not in self.nodes:
            self.nodes.append(node)
        if int(node.get_json("/api/clew/cluster")["self"]) != node.id:
            raise RuntimeError("the new member is not node %d" % node.id)
        if role == "voter":  # when it has caught up; until then the group spares nobody for it
            until(lambda: self.role_of(node) in ("primary", "secondary"), DEADLINE, "node %d votes" % node.id)

    def role_of(self, node):
        members = self.leader().get_json("/api/clew/cluster")["members"]
        return next((one["role"] for one in members if one["id"] == str(node.id)), None)
