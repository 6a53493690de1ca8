"""Connections to registries: how they are opened, within one time limit, and how any thread ends all of them."""

import re
import socket
import threading
import weakref
from contextlib import suppress
from time import monotonic
from typing import Protocol

PLAIN = re.compile(r"(?P<scheme>https?)://(?P<address>[a-z0-9.-]+(?::[0-9]+)?)(?P<path>/[\w.~/:-]*)", re.ASCII)
"""A URL in which nothing needs to be quoted, folded or refused."""
_FAIR = 1.0
"""Seconds that each of several addresses is worth, at least."""
_LEAST = 0.001
"""Seconds: a socket takes no time limit of nought."""


class Open(Protocol):
    """Whatever speaks on a socket, when it has one."""

    @property
    def sock(self) -> socket.socket | None:
        """The socket."""


class SlowToConnectError(TimeoutError):
    """Nobody took the connection in time."""


class Connections:
    """Every connection that is open, so that one call ends them all; and how they are opened."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        """Let the kernel take in no more than about so many bytes ahead on each; None leaves it to the kernel."""
        self._receive_buffer = receive_buffer
        self._open: weakref.WeakSet[Open] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def dial(self, host: str, port: int, limit: float) -> socket.socket:
        """Connect to the first address that answers; all of them together have `limit` seconds.

        Raises OSError, and SlowToConnectError when the time is over.
        """
        deadline = monotonic() + limit
        name = host.strip("[]")
        # For a name that is no bytes, Python would load its tables of international letters.
        addresses = socket.getaddrinfo(name.encode() if name.isascii() else name, port, type=socket.SOCK_STREAM)
        failure: OSError = SlowToConnectError()
        for place, (family, kind, protocol, _, address) in enumerate(addresses):
            left = deadline - monotonic()
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._receive_buffer is not None:  # the window of a connection is agreed upon when it begins
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
                sock.settimeout(min(left, max(_FAIR, left / (len(addresses) - place))))
                sock.connect(address)
                sock.settimeout(max(_LEAST, limit))
            except OSError as error:
                failure = SlowToConnectError(str(error)) if isinstance(error, TimeoutError) else error
                sock.close()
            else:
                return sock
        raise failure

    def opened(self, connection: Open) -> None:
        """Remember a connection; one that comes too late is broken off at once."""
        with self._lock:
            self._open.add(connection)
            late = self._closed
        if late:
            _break(connection)

    def close(self) -> None:
        """Break all of them off: whoever reads from one gets an error."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
        for connection in connections:
            _break(connection)


def _break(connection: Open) -> None:
    if connection.sock:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
