"""A blob as a stream (OCI distribution spec "Pulling blobs", with range requests)."""

import re
from collections.abc import Iterator
from http import HTTPStatus

from puller.errors import FailureKind, RegistryError
from puller.image.digest import hasher, matches
from puller.registry.http import RegistryResponse
from puller.registry.responses import size_of

_RANGE = r"bytes (?P<first>\d{1,18})-\d{1,18}/(?:(?P<total>\d{1,18})|\*)"


class Blob:
    """A blob from `start` to its end, iterable once; the digest of a whole blob is checked at the end."""

    def __init__(self, registry: str, reply: RegistryResponse, digest: str, start: int, *, check: bool = True) -> None:
        """Raise RegistryError if the registry sends a range that does not begin at `start`."""
        self.start = start
        self.size = size_of(reply.headers)
        """Bytes of the whole blob, if the registry sends the size."""
        self._registry = registry
        self._reply = reply
        self._digest = digest
        self._check = check
        self._skip = 0
        if reply.status == HTTPStatus.PARTIAL_CONTENT:
            found = re.fullmatch(_RANGE, reply.headers.get("content-range", ""))
            if found is None or int(found["first"]) != start:
                raise RegistryError(f"{registry}: sends another range than requested", kind=FailureKind.BAD_MIRROR)
            self.size = int(found["total"]) if found["total"] else None
        else:
            self._skip = start  # the registry ignores ranges, and sends the whole blob

    @property
    def partial(self) -> bool:
        """Whether the registry sends only the requested range."""
        return self._reply.status == HTTPStatus.PARTIAL_CONTENT

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes; raises RegistryError for an incomplete response and for wrong content."""
        check = hasher(self._digest)
        skip = self._skip
        while chunk := self._reply.next():
            if self._check:
                check.update(chunk)
            if rest := chunk[skip:]:
                yield rest
            skip = max(0, skip - len(chunk))
        whole = self.start == self._skip
        if self._check and whole and check.hexdigest() != self._digest.partition(":")[2]:
            raise self._error(f"sends wrong content for {self._digest}")

    def read(self, limit: int) -> bytes:
        """Read a whole blob of at most `limit` bytes; raises RegistryError, also if it is wrong or too slow."""
        data = self._reply.read(limit)
        if not matches(self._digest, data):
            raise self._error(f"sends wrong content for {self._digest}")
        return data

    def _error(self, words: str) -> RegistryError:
        return RegistryError(f"{self._registry}: {words}", kind=FailureKind.DIGEST_MISMATCH)
