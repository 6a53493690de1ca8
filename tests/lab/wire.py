"""A slow wire: every connection to a registry gets so many bytes a second, and no more; or every request comes late.

It is a process of its own, which copies bytes and knows nothing of HTTP, so that it takes little from who is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.process import Process, WorldError, clean_environment

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

START_SECONDS = 20.0
TICK = 0.02
"""Seconds between two pieces of a connection."""


class SlowWire:
    """A way to a registry on which every connection is slow; use it as a context manager."""

    def __init__(self, upstream: str, bytes_per_second: int = 0, latency: float = 0.0) -> None:
        """`upstream` is HOST:PORT; a rate of 0 is any; `latency` is a round trip's time in seconds."""
        self.directory = Path(tempfile.mkdtemp(prefix="puller-"))
        self._arguments = [upstream, str(bytes_per_second), str(latency), str(self.directory)]
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

    @property
    def sent(self) -> int:
        """Bytes that have gone out to all clients so far, headers included."""
        return int.from_bytes((self.directory / "sent").read_bytes(), "little")


async def _serve(upstream: str, rate: int, latency: float, directory: Path) -> None:
    host, _, port = upstream.rpartition(":")
    tally, sent = os.open(directory / "sent", os.O_CREAT | os.O_RDWR), 0

    async def ask(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await asyncio.sleep(latency)
                target.write(data)
                await target.drain()
        target.close()

    async def answer(source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int) -> None:
        nonlocal sent
        clock = asyncio.get_running_loop()
        free = clock.time()
        with contextlib.suppress(OSError):
            while data := await source.read(max(4096, round(limit * TICK)) if limit else 1 << 18):
                target.write(data)
                await target.drain()
                sent += len(data)
                os.pwrite(tally, sent.to_bytes(8, "little"), 0)
                if limit:
                    free = max(free, clock.time() - TICK) + len(data) / limit
                    await asyncio.sleep(max(0.0, free - clock.time()))
        target.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(latency)  # the handshake of TCP
        try:
            there, back = await asyncio.open_connection(host, int(port), limit=1 << 18)
        except OSError:
            writer.close()
            return
        await asyncio.gather(ask(reader, back), answer(there, writer, rate))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 18)
    _tell(directory / "port", server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def _tell(file: Path, port: int) -> None:
    file.write_text(f"{port}\n")


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
