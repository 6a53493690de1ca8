"""Notes when an engine is first asked for a pull: a forward of its Unix socket that looks at what clients send."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_PULL = b"/images/create"
_CHUNK = 64 << 10


class PullWatch:
    """Forwards a Unix socket until its block ends; `at` is when the first pull was asked for (monotonic seconds)."""

    def __init__(self, engine: str, path: Path) -> None:
        """`engine` is the engine's own address (`unix://…`), `path` where this one listens."""
        self._engine = engine.removeprefix("unix://")
        self._path = path
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open: list[socket.socket] = []
        self.host = f"unix://{path}"
        self.seen = threading.Event()
        self.at = float("nan")

    def __enter__(self) -> Self:
        """Listen."""
        self._server.bind(str(self._path))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._path.unlink()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                engine.connect(self._engine)
                self._open += [client, engine]
                for ends in ((client, engine), (engine, client)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if _PULL in chunk and not self.seen.is_set():
                    self.at = monotonic()
                    self.seen.set()
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
