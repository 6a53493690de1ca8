"""Servers that speak HTTP byte for byte as they are told, in a process of their own: one event loop, many listeners."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.process import WorldError, clean_environment

LONGEST_HEAD = 1 << 20
FLOOD_CHUNK = 64 << 10
FLOOD_BYTES = 96 << 20
ENGINE_FLOOD_BYTES = 4 << 20
"""What an engine gets instead: Docker Engine 20.10 has no limit, reads on when its client has left, and keeps all."""
FLOOD_PAUSE = 0.01
"""Seconds between two chunks of a flood: some 6 MB/s, fast enough to fill a memory, and slow enough for two cores."""
_TLS = b"\x16"


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    server: "RawServer"
    method: str
    target: str
    headers: Mapping[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep: bool = True
    """Whether the connection is used for another request."""

    @property
    def address(self) -> str:
        """The TCP address at which the request came in."""
        host, port = self.writer.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: int | str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a complete response; one to HEAD without its body."""
        fields = {"Content-Length": str(len(body))} | dict(headers or {})
        await self.send(head(status, fields) + (b"" if self.method == "HEAD" else body))

    async def json(self, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send a JSON document."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        await self.reply(status, {"Content-Type": "application/json"} | dict(headers or {}), body)

    async def drip(self, data: bytes, seconds: float = 1.0) -> None:
        """Send one byte, wait, send the next."""
        for number in range(len(data)):
            await self.send(data[number : number + 1])
            await asyncio.sleep(seconds)

    async def flood(self, data: bytes = b"A" * FLOOD_CHUNK) -> None:
        """Send the same again and again, until the client leaves or has got more than any limit of puller's."""
        await self.again(self.send, data)

    async def again(self, send: Callable[[bytes], Awaitable[None]], data: bytes) -> None:
        """Do so by another way of sending; an engine waits for the rest."""
        for _ in range(0, ENGINE_FLOOD_BYTES if self.of_engine else FLOOD_BYTES, len(data)):
            await send(data)
            await asyncio.sleep(FLOOD_PAUSE)
        if self.of_engine:
            await self.hang()

    @property
    def of_engine(self) -> bool:
        """Whether an engine asks, and not puller itself."""
        return self.headers.get("user-agent", "").startswith(("docker/", "containerd/", "Go-http-client/"))

    async def chunk(self, data: bytes) -> None:
        """Send one chunk (RFC 9112 "Chunked Transfer Coding"); an empty one ends the body."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def hang(self) -> None:
        """Wait until the client leaves."""
        while await self.reader.read(FLOOD_CHUNK):
            pass
        raise ConnectionAbortedError

    def close(self) -> None:
        """End the connection after this response."""
        self.keep = False


def head(status: int | str, fields: Mapping[str, str]) -> bytes:
    """Return a status line with headers; text is sent as UTF-8."""
    line = f"HTTP/1.1 {status} OK" if isinstance(status, int) else f"HTTP/1.1 {status}"
    return "\r\n".join((line, *(f"{name}: {value}" for name, value in fields.items()), "", "")).encode()


Act = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True)
class Behaviour:
    """One way to misbehave."""

    name: str
    words: str
    act: Act
    harmless: bool = False
    """Whether an image may arrive all the same."""
    unknown: bool = False
    """Whether its words are such that nobody knows what kind of failure they mean."""
    tls: Act | None = None
    """What is done with a TLS handshake, instead of refusing it."""


@dataclass
class RawServer:
    """A listener with one behaviour."""

    behaviour: Behaviour
    notes: Path
    """A file for what the server wants to tell the tests, a line each."""
    listening: list[asyncio.Server] = field(default_factory=list)
    state: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def note(self, line: str) -> None:
        """Tell the tests something."""
        with self.notes.open("a") as notes:
            notes.write(f"{self.behaviour.name}: {line}\n")

    async def listen(self, socket_path: Path | None = None, act: Act | None = None) -> str:
        """Listen on a Unix socket, or on a free port of loopback; return the address."""
        act = act or self.behaviour.act

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                await self._serve(reader, writer, act)
            with suppress(OSError):
                writer.close()

        if socket_path:
            server: asyncio.Server = await asyncio.start_unix_server(serve, socket_path, limit=LONGEST_HEAD)
            address = f"unix://{socket_path}"
        else:
            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.listening.append(server)
        return address

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act) -> None:
        first = await reader.read(1)
        if first == _TLS:
            exchange = Exchange(self, "", "", {}, reader, writer)
            if self.behaviour.tls:
                await self.behaviour.tls(exchange)
            else:
                await exchange.send(b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        while first:
            exchange = await _request(self, first, reader, writer)
            await act(exchange)
            first = await reader.read(1) if exchange.keep else b""


async def _request(
    server: RawServer, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Exchange:
    lines = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if headers.get("transfer-encoding") == "chunked":
        await reader.readuntil(b"0\r\n\r\n")
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(server, method, target, headers, reader, writer)


class Table(dict[str, Behaviour]):
    """Behaviours by name, which a module fills by decorating functions."""

    def add(
        self, words: str, *, harmless: bool = False, unknown: bool = False, tls: Act | None = None
    ) -> Callable[[Act], Act]:
        """Add a function under its own name."""

        def register(act: Act) -> Act:
            name = re.sub("_", "-", str(act.__name__)).strip("-")
            self[name] = Behaviour(name, words, act, harmless, unknown, tls)
            return act

        return register


def main(table: Table, arguments: list[str]) -> None:
    """Serve every behaviour until standard input ends; the first line of output says where each listens.

    The arguments are the file for notes, and a directory for Unix sockets (without one: ports of loopback).
    """
    notes, *folder = map(Path, arguments)

    async def run() -> None:
        servers = {name: RawServer(each, notes) for name, each in table.items()}
        addresses = {
            name: await server.listen(folder[0] / f"{number}.sock" if folder else None)
            for number, (name, server) in enumerate(servers.items())
        }
        print(json.dumps(addresses), flush=True)  # noqa: T201 - a program that speaks to its parent
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)  # what is under way need not end in good order

    asyncio.run(run())


@dataclass(frozen=True)
class Served:
    """A running program of this kind."""

    addresses: Mapping[str, str]
    notes_file: Path

    def notes(self) -> list[str]:
        """Return what the servers told."""
        return self.notes_file.read_text().splitlines()


@contextmanager
def served(module: str, folder: Path, *, sockets: bool = False) -> Iterator[Served]:
    """Run a module that calls `main`; with `sockets` it listens on Unix sockets in the folder."""
    notes = folder / "notes"
    notes.touch()
    argv = [sys.executable, "-m", module, str(notes), *([str(folder)] if sockets else [])]
    environment = clean_environment("PYTHON")
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                raise WorldError(f"{module} did not start")
            yield Served(json.loads(line), notes)
        finally:
            assert process.stdin
            process.stdin.close()
