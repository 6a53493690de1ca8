"""What comes back from a server, whichever way it was asked."""

from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic
from typing import Protocol

from puller.errors import RegistryError
from puller.registry.responses import size_of

_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_ERROR_BYTES = 64 << 10
_ERROR_SECONDS = 2.0


class Body(Protocol):
    """A body on its way."""

    def next(self) -> bytes:
        """Read what has come; empty at the end. Raises RegistryError."""

    def close(self) -> None:
        """Read no further."""


class Reply:
    """A status with its headers, of whose body nothing has been read."""

    def __init__(self, status: int, headers: Mapping[str, str], url: str, body: Body | None = None) -> None:
        """`headers` are found by names in small letters; without a `body` there is nothing to read."""
        self.status = status
        self.headers = headers
        self.url = url
        self._body = body

    @property
    def target(self) -> str | None:
        """Where it redirects to."""
        return self.headers.get("location") if self.status in _REDIRECTS else None

    def next(self) -> bytes:
        """Read what has come of the body; empty at its end. Raises RegistryError for a cut or silent one."""
        return self._body.next() if self._body else b""

    def discard(self) -> bytes:
        """Read a small body, so that the connection can be kept, and return it; a large or slow one is cut off."""
        if self._body is None:
            return b""
        announced, deadline = size_of(self.headers) or 0, monotonic() + _ERROR_SECONDS
        left = _ERROR_BYTES if announced <= _ERROR_BYTES else 0
        read = b""
        try:
            while len(read) < left and monotonic() < deadline and (chunk := self.next()):
                read += chunk
        except RegistryError:
            pass  # the status was what mattered
        finally:
            self.close()
        return read

    def close(self) -> None:
        """Read no further."""
        if self._body:
            self._body.close()
