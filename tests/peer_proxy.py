"""TCP proxies in front of the peer ports of a Raft group, for network faults between real processes. Standard library only.

A connection between members carries frames one way only and names who connects in its handshake (docs/format/peer.md),
so one proxy in front of each member can tell whose frames it carries, and break or stall each direction alone.
"""
import asyncio
import struct
import threading

FRAME_HEADER = 12
OPEN, STALL, BREAK = "open", "stall", "break"


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def sender_of(hello):
    """Whom the body of a hello says that it is from."""
    magic_and_kind = 9
    _, at = varint(hello, magic_and_kind)
    return varint(hello, at + 16)[0]  # behind nonce and cluster


class Link:
    """One connection that passes through."""

    def __init__(self, proxies, to):
        self.proxies, self.to, self.sender = proxies, to, None
        self.writers = []

    def mode(self):
        return self.proxies.modes.get((self.sender, self.to), OPEN)

    def abort(self):
        for writer in self.writers:
            writer.transport.abort()

    async def passable(self):
        """Waits while the direction is stalled. False: it is broken."""
        while self.mode() == STALL:
            await self.proxies.changed()
        return self.mode() == OPEN

    async def run(self, reader, writer):
        self.writers.append(writer)
        self.proxies.links.add(self)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.proxies.targets[self.to])
            self.writers.append(there[1])
            await asyncio.wait([asyncio.ensure_future(self.forward(reader, there[1])),
                                asyncio.ensure_future(self.pump(there[0], writer))], return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            self.abort()
            self.proxies.links.discard(self)

    async def forward(self, reader, writer):
        try:
            header = await reader.readexactly(FRAME_HEADER)
            hello = await reader.readexactly(struct.unpack_from("<I", header)[0])
            self.sender = sender_of(hello)
            self.proxies.hellos[(self.sender, self.to)] = header + hello
            if not await self.passable():
                return
            writer.write(header + hello)
        except (asyncio.IncompleteReadError, OSError):
            return
        await self.pump(reader, writer)

    async def pump(self, reader, writer):
        try:
            while True:
                data = await reader.read(1 << 16)
                if not data or not await self.passable():
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return


class Proxies:
    """add(ID, port of the member) → the port to name to the others. Directions are pairs (from, to)."""

    def __init__(self):
        self.targets, self.modes, self.links, self.hellos = {}, {}, set(), {}
        self.waiters = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def on_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def add(self, member, port):
        self.targets[member] = port

        async def listen():
            server = await asyncio.start_server(lambda r, w: Link(self, member).run(r, w), "127.0.0.1", 0)
            return server.sockets[0].getsockname()[1]

        return self.on_loop(listen())

    async def changed(self):
        waiter = self.loop.create_future()
        self.waiters.append(waiter)
        await waiter

    def set(self, directions, mode):
        """STALL: bytes wait and arrive when it is open again. BREAK: connections are reset, and new ones too."""

        async def change():
            for direction in directions:
                self.modes[direction] = mode
            for link in list(self.links):
                if link.mode() == BREAK:
                    link.abort()
            waiters, self.waiters = self.waiters, []
            for waiter in waiters:
                waiter.set_result(None)

        self.on_loop(change())

    def close(self):
        async def end():
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.on_loop(end())
        self.loop.call_soon_threadsafe(self.loop.stop)

    def heal(self):
        self.set(list(self.modes), OPEN)


def between(some, others):
    """All directions between two sides."""
    return [pair for a in some for b in others for pair in ((a, b), (b, a))]
