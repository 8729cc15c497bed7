"""A bad line: a TCP proxy that delays, throttles, stalls and cuts what goes through it."""

import asyncio
import socket
import struct
import threading

_PIECE = 16 * 1024


class LinkProxy:
    """Forwards connections to `target`, (address, port), from a port of 127.0.0.1 in `namespace`.

    `delay` (seconds each way) and `rate` (bytes a second each way and connection, None: no bound) may be changed at any time.
    """

    def __init__(self, namespace, target):
        self.target = target
        self.delay, self.rate = 0.0, None
        self.connections = 0  # since the start
        self.sent = self.received = 0  # bytes towards the target and back
        self.cuts = 0
        self.changed = threading.Condition()
        self._cut_after, self._cuts_left = None, 0
        self._live = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_up = threading.Event()
        # Sockets belong where the thread is that makes them: this one is made in the namespace, and so is in there.
        self._thread = namespace.call(self._start)
        self._is_up.wait()

    def _start(self):
        thread = threading.Thread(target=self._run)
        thread.start()
        return thread

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._forward, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        self._loop.run_forever()
        server.close()
        self._flows.set()
        tasks = asyncio.all_tasks(self._loop)
        for live in self._live:
            live.reset()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=5))
        self._loop.close()

    # --- what tests do to the line ---

    def stall(self):
        """Nothing gets through, and nobody is told."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self):
        self._loop.call_soon_threadsafe(self._flows.set)

    def reset(self):
        """Both sides of all connections get an RST."""
        self._loop.call_soon_threadsafe(lambda: [live.reset() for live in list(self._live)])

    def cut(self, after, times):
        """Resets connections when so many bytes went through them, both ways together, as often as `times`."""

        def arm():
            self._cut_after, self._cuts_left = after, times
            for live in self._live:
                live.through = 0

        self._loop.call_soon_threadsafe(arm)

    def wait_for_cuts(self, count, timeout=120):
        with self.changed:
            if not self.changed.wait_for(lambda: self.cuts >= count, timeout):
                raise TimeoutError(f"{self.cuts} cuts in {timeout} s, not {count}")

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # --- in the thread ---

    async def _forward(self, reader, writer):
        try:
            back, there = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        live = _Live(writer, there)
        self._live.add(live)
        tasks = []
        for source, sink, direction in ((reader, there, "sent"), (back, writer, "received")):
            on_the_way = asyncio.Queue(maxsize=64)
            tasks += [self._loop.create_task(self._take(source, on_the_way)),
                      self._loop.create_task(self._deliver(on_the_way, sink, live, direction))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._live.discard(live)
        live.close()

    async def _take(self, source, on_the_way):
        while piece := await source.read(_PIECE):
            if self.rate:
                await asyncio.sleep(len(piece) / self.rate)
            await on_the_way.put((self._loop.time() + self.delay, piece))
        await on_the_way.put((0, b""))

    async def _deliver(self, on_the_way, sink, live, direction):
        while True:
            due, piece = await on_the_way.get()
            if not piece:
                return sink.write_eof()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._flows.wait()
            sink.write(piece)
            await sink.drain()
            self._count(direction, len(piece), live)

    def _count(self, direction, size, live):
        setattr(self, direction, getattr(self, direction) + size)
        live.through += size
        if self._cuts_left > 0 and live.through >= self._cut_after:
            self._cuts_left -= 1
            live.reset()
            with self.changed:
                self.cuts += 1
                self.changed.notify_all()


class _Live:
    """One connection through the proxy."""

    def __init__(self, *writers):
        self.writers = writers
        self.through = 0

    def reset(self):
        for writer in self.writers:
            # Closing a socket that does not linger sends an RST.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def close(self):
        for writer in self.writers:
            writer.close()
