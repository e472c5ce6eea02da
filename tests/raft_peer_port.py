"""Bad input on the peer port of a running member: refused, counted by reason, bounded, nothing harmed. Standard library only."""
import os
import random
import socket
import struct

from node import claimed_ports, until
from raft_group import Member

FRAME_HEADER = 12
MASK = (1 << 64) - 1


def rotated(value, by):
    return (value << by | value >> (64 - by)) & MASK


def checksum8(data):
    """The checksum of a frame's header: the low half of XXH3-64 of 8 bytes (its path for 4 to 8 of them, seed 0)."""
    low, high = struct.unpack("<II", data)
    x = (high + (low << 32)) ^ 0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE
    x ^= rotated(x, 49) ^ rotated(x, 24)
    x = x * 0x9FB21C651E98DF25 & MASK
    x ^= (x >> 35) + 8
    x = x * 0x9FB21C651E98DF25 & MASK
    return (x ^ x >> 28) & 0xFFFFFFFF


def header(size, body_checksum=0):
    front = struct.pack("<II", size, body_checksum)
    return front + struct.pack("<I", checksum8(front))


def memory_kb(process):
    with open("/proc/%d/status" % process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def challenged(port):
    """A connection, and the frame with which the member greets it."""
    stream = socket.create_connection(("127.0.0.1", port), timeout=60)
    frame = b""
    while len(frame) < FRAME_HEADER or len(frame) < FRAME_HEADER + struct.unpack_from("<I", frame)[0]:
        more = stream.recv(256)
        if not more:
            raise RuntimeError("the peer port closes before it greets")
        frame += more
    if struct.unpack_from("<I", frame, 8)[0] != checksum8(frame[:8]):
        raise RuntimeError("the checksum of a frame's header is not what docs/format/peer.md says")
    return stream


def closes(stream):
    try:
        while stream.recv(4096):
            pass
    except ConnectionError:
        pass
    stream.close()


class Attack:
    def __init__(self, world, victim, program):
        self.world, self.victim, self.program = world, victim, program
        self.port, self.last_id = world.ports[victim.id], 100

    def counted(self, reason):
        return self.victim.status()["refusals"].get(reason, 0)

    def expect(self, reason, attack):
        """`attack` is refused for that reason, and clients go on being served."""
        before = self.counted(reason)
        attack()
        until(lambda: self.counted(reason) > before, 90, "%s is counted" % reason)
        self.world.progress(10)

    def bytes(self, sent, hang_up=False):
        def attack():
            stream = challenged(self.port)
            stream.sendall(sent)
            if hang_up:
                stream.shutdown(socket.SHUT_WR)
            closes(stream)
        return attack

    def process(self, node_id, addressed, more=()):
        """A member that is none: believes to be `node_id`, and takes the victim's port for that of `addressed`."""
        self.last_id += 1
        members = "%d=127.0.0.1:%d,%d=127.0.0.1:%d" % (addressed, self.port, node_id, claimed_ports(1)[0])
        return Member(self.program, node_id, members, os.path.join(self.world.directory, "false%d" % self.last_id), list(more)).start()

    def false_member(self, reason, *arguments, **more):
        started = []
        try:
            self.expect(reason, lambda: started.append(self.process(*arguments, **more)))
        finally:
            for one in started:
                one.stop()

    def strangers(self):
        """Of the right cluster, but no members: some are let in, not more, and none is followed."""
        started = []
        try:
            self.expect("stranger", lambda: started.extend(self.process(50 + i, self.victim.id) for i in range(9)))
        finally:
            for one in started:
                one.stop()

    def silent_crowd(self):
        crowd = []
        before = self.counted("slow")
        try:
            self.expect("too_many", lambda: crowd.extend(socket.create_connection(("127.0.0.1", self.port), timeout=60) for _ in range(200)))
            until(lambda: self.counted("slow") > before, 90, "the silent are given up")
        finally:
            for one in crowd:
                one.close()

    def run(self):
        chance = random.Random(1)
        before_kb = memory_kb(self.victim.process)
        for _ in range(20):
            self.expect("garbage", self.bytes(chance.randbytes(chance.randrange(FRAME_HEADER, 300))))
        self.expect("garbage", self.bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        for size in (4097, 1 << 31, 0xFFFFFFFF):
            self.expect("too_long", self.bytes(header(size) + bytes(4096)))
        hello = until(lambda: next((bytes(sent) for (_, to), sent in self.world.proxies.hellos.items() if to == self.victim.id), None), 90, "a handshake to repeat")
        for cut in (1, FRAME_HEADER - 1, FRAME_HEADER, FRAME_HEADER + 1, len(hello) - 1):
            self.expect("truncated", self.bytes(hello[:cut], hang_up=True))
        self.expect("replayed", self.bytes(hello))
        damaged = bytearray(hello)
        damaged[-1] ^= 1
        self.expect("garbage", self.bytes(bytes(damaged)))
        other = next(node.id for node in self.world.nodes if node is not self.victim)
        self.false_member("cluster", other, self.victim.id, more=["--cluster", "7"])
        self.false_member("wrong_node", 60, other)
        self.false_member("wrong_node", self.victim.id, other)
        self.false_member("stale_instance", other, self.victim.id)
        self.strangers()
        self.silent_crowd()
        grown_kb = memory_kb(self.victim.process) - before_kb
        if grown_kb > 64 << 10:
            raise RuntimeError("bad input made a member grow by %d KiB" % grown_kb)
