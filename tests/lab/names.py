"""A name server which knows no name: every question is answered with NXDOMAIN, and no packet leaves the machine."""

from __future__ import annotations

import socketserver
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_HEAD = 12


class _Answer(socketserver.BaseRequestHandler):
    """One question, and "there is no such name" for an answer."""

    def handle(self) -> None:
        """Send the question back with the status 3."""
        packet, socket = self.request
        end = packet.index(0, _HEAD) + 5  # the name's last byte, its type and its class
        counts = b"\0\1" + bytes(6)
        socket.sendto(packet[:2] + b"\x81\x83" + counts + packet[_HEAD:end], self.client_address)


class NameServer:
    """A name server on the port 53 of an address; use it as a context manager."""

    def __init__(self, address: str) -> None:
        """Listen at once; raises OSError where the port is taken."""
        self._server = socketserver.UDPServer((address, 53), _Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="names", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the server, which listens already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
