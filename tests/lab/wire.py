"""A slow wire: every connection to a registry gets so many bytes a second, and no more; or every request comes late.

The rate may change while connections are open. With loss, a connection sends a window of segments in each round trip,
as TCP does: at first it doubles, then it grows by one; where a segment is lost, it halves.

It is a process of its own, which copies bytes and knows nothing of HTTP, so that it takes little from who is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.lab.process import Process, WorldError, clean_environment

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

START_SECONDS = 20.0
TICK = 0.02
"""Seconds between two pieces of a connection."""
SEGMENT, FIRST_WINDOW, LEAST_WINDOW = 1448, 10, 2
"""Bytes of a segment; segments of a connection's first window, and of the smallest."""
ACKED = struct.Struct("<120xQ")
"""The bytes that the other side has acknowledged, in the kernel's `struct tcp_info` (tcp(7), TCP_INFO)."""


class SlowWire:
    """A way to a registry on which every connection is slow; use it as a context manager."""

    def __init__(self, upstream: str, bytes_per_second: int = 0, latency: float = 0.0, *, loss: float = 0.0) -> None:
        """`upstream` is HOST:PORT; a rate of 0 is any; `latency` is a round trip's time in seconds.

        `loss` is the share of the segments that are lost, by chance; it needs a latency.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="puller-"))
        self._arguments = [upstream, str(latency), str(loss), str(self.directory)]
        self.change(bytes_per_second)
        self._process: Process | None = None
        self.address = ""

    def __enter__(self) -> Self:
        """Start it; raises WorldError when it does not come up."""
        root = Path(__file__).resolve().parents[2]
        environment = clean_environment() | {"PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "tests.lab.wire", *self._arguments]
        self._process = Process(command, self.directory / "log", environment)
        port = self.directory / "port"
        try:
            self._process.await_ready(lambda: port.exists() and port.read_text().endswith("\n"), START_SECONDS)
        except WorldError:
            self._process.terminate()
            raise
        self.address = f"127.0.0.1:{port.read_text().strip()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._process:
            self._process.terminate()
        shutil.rmtree(self.directory, ignore_errors=True)

    def change(self, bytes_per_second: int) -> None:
        """Give every connection another rate, also the open ones."""
        new = self.directory / "rate.new"
        new.write_bytes(bytes_per_second.to_bytes(8, "little"))
        new.replace(self.directory / "rate")

    @property
    def sent(self) -> int:
        """Bytes that have gone out to all clients so far, headers included.

        What had not arrived when a connection ended is taken off again: it has waited in buffers on this side.
        """
        return int.from_bytes((self.directory / "sent").read_bytes(), "little")


class Window:
    """How many bytes a connection sends in its next round trip; 0 is any, where nothing is lost."""

    def __init__(self, loss: float, chance: Random) -> None:
        self._loss, self._chance = loss, chance
        self._segments = FIRST_WINDOW if loss else 0
        self._step = 0
        """Segments by which it grows; 0 until the first loss: it doubles."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self._segments * SEGMENT

    def sent(self, size: int) -> None:
        """Learn the fate of what was sent."""
        segments = -(-size // SEGMENT)
        if self._chance.random() > (1 - self._loss) ** segments:
            self._segments, self._step = max(LEAST_WINDOW, self._segments // 2), 1
        elif segments == self._segments:
            self._segments += self._step or self._segments


class _Wire:
    """The server side of it."""

    def __init__(self, upstream: str, latency: float, loss: float, directory: Path) -> None:
        self.host, _, self.port = upstream.rpartition(":")
        self.latency, self.loss, self.directory = latency, loss, directory
        self.limit = self.sent = 0
        self.random = Random(1)
        self.tally = os.open(directory / "sent", os.O_CREAT | os.O_RDWR)

    @property
    def _share(self) -> int:
        """Bytes that a connection may send in one piece; 0 is any."""
        return max(4096, round(self.limit * TICK)) if self.limit else 0

    async def follow(self) -> None:
        """Look at the rate again and again."""
        while True:
            self.limit = int.from_bytes((self.directory / "rate").read_bytes(), "little")
            await asyncio.sleep(TICK)

    async def ask(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Copy what a client sends."""
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await asyncio.sleep(self.latency)
                target.write(data)
                await target.drain()
        target.close()

    async def answer(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> int:
        """Copy what the registry sends, and count it."""
        clock = asyncio.get_running_loop()
        free, window, count = clock.time(), Window(self.loss, self.random), 0
        with contextlib.suppress(OSError):
            while data := await source.read(min(window.size or 1 << 18, self._share or 1 << 18)):
                target.write(data)
                await target.drain()
                count += len(data)
                self.add(len(data))
                if self.loss:
                    window.sent(len(data))
                    await asyncio.sleep(self.latency)
                if self.limit:
                    free = max(free, clock.time() - TICK) + len(data) / self.limit
                    await asyncio.sleep(max(0.0, free - clock.time()))
        target.close()
        return count

    def add(self, count: int) -> None:
        """Count what has gone out."""
        self.sent += count
        os.pwrite(self.tally, self.sent.to_bytes(8, "little"), 0)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        await asyncio.sleep(self.latency)  # the handshake of TCP
        try:
            there, back = await asyncio.open_connection(self.host, int(self.port), limit=1 << 18)
        except OSError:
            writer.close()
            return
        client: socket.socket = writer.get_extra_info("socket").dup()  # to be asked when the writer has closed its own
        _, count = await asyncio.gather(self.ask(reader, back), self.answer(there, writer))
        (arrived,) = ACKED.unpack(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED.size))
        client.close()
        self.add(min(arrived - count, 0))

    async def serve(self) -> None:
        """Serve for ever."""
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, limit=1 << 18)
        following = asyncio.create_task(self.follow())
        _tell(self.directory / "port", server.sockets[0].getsockname()[1])
        async with server:
            await asyncio.gather(server.serve_forever(), following)


def _tell(file: Path, port: int) -> None:
    file.write_text(f"{port}\n")


if __name__ == "__main__":
    asyncio.run(_Wire(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])).serve())
