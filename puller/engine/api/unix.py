"""The API of an engine on a socket of this machine, as far as it is questions with short answers in JSON."""

import errno
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from puller.engine.errors import of_the_socket
from puller.errors import EngineError
from puller.httphead import read_head
from puller.text import clean

_SECONDS = 20.0
"""The engine is near, or it is not there."""
_CHUNK = 256 << 10


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an engine says of itself to whoever comes (Engine API "Ping")."""

    version: str | None
    """Of its API."""
    server: str
    """What it calls itself, such as `Docker/28.5.2 (linux)` or `Libpod/4.3.1 (linux)`."""

    @property
    def silent(self) -> bool:
        """Whether it does not tell what came of a pull: podman."""
        return self.server.startswith("Libpod/")

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        version = clean(self.server.partition("/")[2].partition(" ")[0]) or "of unknown version"
        return f"engine {version} through the SDK (API {self.version})"


class Question:
    """One question under way, which any thread may break off."""

    def __init__(self, path: str, seconds: float = _SECONDS) -> None:
        """Ask at a socket with this path."""
        self._path = path
        self._seconds = seconds
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(seconds)
        self._aborted = False

    def ask(self, target: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the answer; raises EngineError with the engine's words.

        To a question in HTTP/1.0 the answer ends with its connection, and comes in one piece.
        """
        try:
            with self._sock:
                self._sock.connect(self._path)
                if self._aborted:
                    self.abort()
                self._sock.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                head = read_head(self._sock, self._seconds)
                body = bytearray(head.rest)
                while chunk := self._sock.recv(_CHUNK):
                    body += chunk
                if len(body) < int(head.headers.get("content-length", 0)):
                    raise ConnectionError(errno.EPROTO, "it hangs up")
        except (OSError, ValueError) as error:
            raise of_the_socket(error) from error
        if head.status != HTTPStatus.OK:
            raise EngineError(_words(body) or head.reason, status=head.status)
        return head.headers, bytes(body)

    def abort(self) -> None:
        """Break it off; one that has not begun ends as soon as it does."""
        self._aborted = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def ping(path: str, seconds: float = _SECONDS) -> Welcome:
    """Ask `GET /_ping`; raises EngineError."""
    headers, _ = Question(path, seconds).ask("/_ping")
    return Welcome(headers.get("api-version"), headers.get("server", ""))


def target(version: str, *words: str, **parameters: str) -> str:
    """Write what is asked for: `/v1.41/images/json?all=1`."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return "/".join((f"/v{version}", *(quote(word, safe="/:") for word in words))) + query


def read(body: bytes) -> Any:
    """Read an answer; raises EngineError for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the engine's answer makes no sense: {error}") from None


def _words(body: bytearray) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
