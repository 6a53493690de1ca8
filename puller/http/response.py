"""An HTTP response: status, headers, and the body as a stream."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus

from puller.http.errors import HttpError, HttpErrorKind
from puller.http.handle import Handle
from puller.http.head import ResponseHead
from puller.system.clock import monotonic

_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_DISCARDED_BYTES = 64 << 10
_DISCARDED_SECONDS = 2.0


class HttpResponse(AbstractContextManager["HttpResponse"]):
    """A response; the caller reads the body to its end or closes the response."""

    def __init__(self, handle: Handle, url: str, release: Callable[[Handle], None]) -> None:
        head = handle.head or ResponseHead()
        self.status, self.reason = head.status, head.reason
        self.headers: Mapping[str, str] = head.headers
        """With lower-case names."""
        self.url = url
        self._handle: Handle | None = handle
        self._release = release

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def target(self) -> str | None:
        """The target of a redirect."""
        return self.headers.get("location") if self.status in _REDIRECTS else None

    def next(self) -> bytes:
        """Return the next bytes of the body; empty at its end. Raises HttpError if it is incomplete or stalls."""
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
                    raise HttpError(HttpErrorKind.TOO_LARGE, f"a response of more than {limit} bytes")
                if deadline is not None and monotonic() > deadline:
                    raise HttpError(HttpErrorKind.TOO_SLOW, "the response is too slow")
        return bytes(body)

    def discard(self) -> bytes:
        """Return a small body, so that the connection is reusable; a large or slow one is cut off."""
        length = self.headers.get("content-length", "0")
        deadline = monotonic() + _DISCARDED_SECONDS
        body = b""
        try:
            if length.isdecimal() and int(length) <= _DISCARDED_BYTES:
                while len(body) < _DISCARDED_BYTES and monotonic() < deadline and (chunk := self.next()):
                    body += chunk
        except HttpError:
            pass  # the status is enough
        finally:
            self.close()
        return body

    def end(self) -> None:
        """Finish a response without a body, so that the connection is reusable."""
        if self._handle and not self._handle.done:
            with suppress(HttpError):
                self.next()
        self.close()

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle:
            self._release(handle)
