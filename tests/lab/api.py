"""The little of the Engine API that tests need, over a unix socket and without a client library in between."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.lab.process import WorldError

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_SECONDS = 60.0


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket; raises OSError when nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Api:
    """What an engine says over its socket."""

    def __init__(self, socket: Path) -> None:
        """Remember the socket; nothing is sent yet."""
        self.socket = socket

    def request(self, method: str, path: str, seconds: float = ANSWER_SECONDS) -> tuple[int, bytes]:
        """Ask the engine's API and return the status and body; raises OSError when it does not answer in time."""
        connection = _UnixConnection(self.socket, seconds)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return what the API has at a path, decoded; raises WorldError for any status but 200."""
        status, body = self.request("GET", path)
        if status != http.client.OK:
            raise WorldError(f"GET {path}: {status} {body.decode(errors='replace').strip()}")
        return json.loads(body)

    def version(self) -> str:
        """Return the engine's version, such as "20.10.24"."""
        return str(self.get("/version")["Version"])

    def images(self) -> list[dict[str, Any]]:
        """Return all images the engine has, as its API lists them."""
        return list(self.get("/images/json"))

    def inspect(self, reference: str) -> dict[str, Any]:
        """Return one image as the API describes it; raises WorldError when it is not there."""
        return dict(self.get(f"/images/{quote(reference, safe='/:@')}/json"))

    def remove_image(self, reference: str, *, force: bool = True) -> None:
        """Remove an image by tag, digest or id; one that is not there is no error, a refusal raises WorldError."""
        path = f"/images/{quote(reference, safe='/:@')}?force={int(force)}"
        status, body = self.request("DELETE", path)
        if status not in {http.client.OK, http.client.NOT_FOUND}:
            raise WorldError(f"DELETE {path}: {status} {body.decode(errors='replace').strip()}")

    def wipe(self) -> None:
        """Remove every image, so that one engine serves many tests."""
        for image in self.images():
            self.remove_image(image["Id"])
