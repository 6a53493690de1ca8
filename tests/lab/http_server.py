"""A server that answers byte for byte as it is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket, int], bool]
"""Answers the question of this number on a connection, and says whether it takes another."""


class Server:
    """Answers as it is told, and counts connections and questions."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self.questions: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def close(self) -> None:
        """End, and wait for the threads."""
        for sock in (self._listening, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            for number in range(100):
                data = b""
                while not data.endswith(b"\r\n\r\n"):
                    chunk = connection.recv(4096)
                    if not chunk:
                        return
                    data += chunk
                self.questions.append(data)
                if not self._script(connection, number):
                    return


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """Run a server."""
    server = Server(script)
    try:
        yield server
    finally:
        server.close()


def saying(words: bytes, *, stays: bool = True) -> Script:
    """Say the same each time."""

    def script(connection: socket.socket, _: int) -> bool:
        connection.sendall(words)
        return stays

    return script
