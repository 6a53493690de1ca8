"""The API of an engine on a socket of this machine, as far as it is questions with short answers in JSON."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from puller.backends.troubles import of_the_socket
from puller.errors import EngineError
from puller.text import clean

_SECONDS = 20.0
"""The engine is near, or it is not there."""
_TROUBLE = (OSError, HTTPException, ValueError)


class _Connection(HTTPConnection):
    """Connects to a path."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect, or leave nothing open."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


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
        self._connection = _Connection(path, seconds)

    def ask(self, target: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the answer; raises EngineError with the engine's words."""
        try:
            self._connection.request("GET", target)
            response = self._connection.getresponse()
            headers, body = {name.lower(): value for name, value in response.getheaders()}, response.read()
        except _TROUBLE as error:
            raise of_the_socket(error) from error
        finally:
            self._connection.close()
        if response.status != HTTPStatus.OK:
            raise EngineError(_words(body) or str(response.reason), status=response.status)
        return headers, body

    def abort(self) -> None:
        """Break it off."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


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


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
