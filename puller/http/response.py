"""An answer: its status and headers, and its body as it comes."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import Self

from puller.http.errors import HttpError, HttpErrorKind
from puller.http.handle import Handle

_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_DISCARDED_BYTES = 64 << 10
_DISCARDED_SECONDS = 2.0


class HttpResponse:
    """A status with its headers; whoever gets one reads the body to its end or closes it."""

    def __init__(self, handle: Handle, url: str, release: Callable[[Handle], None]) -> None:
        self.status = handle.status
        self.reason = handle.reason
        self.headers: Mapping[str, str] = handle.headers
        """By names in small letters."""
        self.url = url
        self._handle: Handle | None = handle
        self._release = release

    def __enter__(self) -> Self:
        """Return the response."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the response."""
        self.close()

    @property
    def target(self) -> str | None:
        """Where it redirects to."""
        return self.headers.get("location") if self.status in _REDIRECTS else None

    def next(self) -> bytes:
        """Return what has come of the body; empty at its end. Raises HttpError for a cut or silent one."""
        if self._handle is None:
            return b""
        try:
            data = self._handle.next()
        except BaseException:
            self.close()
            raise
        if not data:
            self.close()
        return data

    def read(self, limit: int, seconds: float | None = None) -> bytes:
        """Read a body of at most `limit` bytes within `seconds`; raises HttpError."""
        deadline = None if seconds is None else monotonic() + seconds
        body = bytearray()
        with self:
            while chunk := self.next():
                body += chunk
                if len(body) > limit:
                    raise HttpError(HttpErrorKind.TOO_LARGE, f"an answer of more than {limit} bytes")
                if deadline is not None and monotonic() > deadline:
                    raise HttpError(HttpErrorKind.TOO_SLOW, "the answer comes too slowly")
        return bytes(body)

    def discard(self) -> bytes:
        """Read a small body, so that the connection can be kept, and return it; a large or slow one is cut off."""
        length = self.headers.get("content-length", "0")
        deadline = monotonic() + _DISCARDED_SECONDS
        body = b""
        try:
            if length.isdecimal() and int(length) <= _DISCARDED_BYTES:
                while len(body) < _DISCARDED_BYTES and monotonic() < deadline and (chunk := self.next()):
                    body += chunk
        except HttpError:
            pass  # the status was what mattered
        finally:
            self.close()
        return body

    def end(self) -> None:
        """Read to the end of an answer that has no body, so that the connection can be kept."""
        if self._handle and not self._handle.done:
            with suppress(HttpError):
                self.next()
        self.close()

    def close(self) -> None:
        """Read no further."""
        handle, self._handle = self._handle, None
        if handle:
            self._release(handle)
