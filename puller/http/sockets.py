"""The sockets of one libcurl handle: any thread can shut them down, and their news can be waited for."""

import os
import select
import socket
from contextlib import suppress
from threading import Lock
from typing import Any

import pycurl


class Sockets:
    """Opens the sockets that libcurl asks for, and keeps a descriptor of each; `abort` may be called by any thread."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        """`receive_buffer` is the size of the kernel's buffer in bytes; None means the kernel's default."""
        self._receive_buffer = receive_buffer
        self._sockets: dict[int, socket.socket] = {}
        """By inode. libcurl duplicates their descriptors: a connection ends when both sides have closed theirs."""
        self._lock = Lock()
        self._news = select.poll()
        self._kept = -1
        self.opened = False
        """Whether a socket was opened since this was last set to False."""
        self.aborted = False

    @property
    def connected(self) -> bool:
        """Whether a connection was left from an earlier request."""
        return self._kept >= 0

    def open(self, _purpose: int, address: Any) -> Any:
        """Open a socket (CURLOPT_OPENSOCKETFUNCTION)."""
        try:
            sock = socket.socket(address.family, address.socktype, address.protocol)
        except OSError:  # no more descriptors; libcurl prints what a callback raises
            return pycurl.SOCKET_BAD
        if self._receive_buffer is not None:  # must be set before the connection negotiates its window
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self.opened = True
        with self._lock:
            if self.aborted:
                sock.close()
                return pycurl.SOCKET_BAD
            self._sockets[os.fstat(sock.fileno()).st_ino] = sock
        return sock

    def watch(self) -> bool:
        """Prepare `wait`; False if there is not exactly one socket to wait for."""
        with self._lock:
            if len(self._sockets) != 1:
                return False
            if self.opened:
                self._register()
            return True

    def wait(self, seconds: float) -> bool:
        """Wait for news with poll(2), which accepts any descriptor; return whether there are some."""
        return bool(self._news.poll(seconds * 1000))

    def keep(self, active: int) -> None:
        """Close our descriptors of the connections that libcurl has closed, all but that of the `active` one."""
        if active == self._kept and not self.opened:
            return
        self._kept = active
        inode = os.fstat(active).st_ino if active >= 0 else None
        with self._lock:
            for closed in self._sockets.keys() - {inode}:
                self._sockets.pop(closed).close()
            self._register()

    def abort(self) -> None:
        """Shut all connections down, and refuse new ones."""
        with self._lock:
            self.aborted = True
            for sock in self._sockets.values():
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for sock in self._sockets.values():
                sock.close()
            self._sockets.clear()

    def _register(self) -> None:
        self._news = select.poll()
        for sock in self._sockets.values():
            self._news.register(sock, select.POLLIN)
