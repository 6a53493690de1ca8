"""The bytes of a blob as they come (OCI distribution spec "Pulling blobs" and its range requests)."""

import re
from collections.abc import Iterator
from http import HTTPStatus

from puller.errors import RegistryError
from puller.image.digest import hasher
from puller.registry.http import RegistryResponse
from puller.registry.responses import size_of

_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-\d{1,18}/(?:(?P<total>\d{1,18})|\*)")


class Blob:
    """A blob, from `start` to its end, to be read once; a whole one is checked against its digest at the end."""

    def __init__(
        self,
        registry: str,
        reply: RegistryResponse,
        digest: str,
        start: int,
        *,
        check: bool = True,
    ) -> None:
        """Raise RegistryError when the registry begins elsewhere than it was asked to."""
        self.start = start
        self.size = size_of(reply.headers)
        """Bytes of the whole blob, where the registry says so."""
        self._registry = registry
        self._reply = reply
        self._digest = digest
        self._check = check
        self._skip = 0
        if reply.status == HTTPStatus.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(reply.headers.get("content-range", ""))
            if found is None or int(found["first"]) != start:
                raise self._trouble("sends another range than was asked for")
            self.size = int(found["total"]) if found["total"] else None
        else:
            self._skip = start  # it takes no ranges, and sends everything

    @property
    def partial(self) -> bool:
        """Whether the registry sends only what was asked for."""
        return self._reply.status == HTTPStatus.PARTIAL_CONTENT

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes; raises RegistryError for a cut connection and for wrong content."""
        check = hasher(self._digest)
        skip = self._skip
        while chunk := self._reply.next():
            if self._check:
                check.update(chunk)
            if rest := chunk[skip:]:
                yield rest
            skip = max(0, skip - len(chunk))
        from_the_first = self.start == self._skip
        if self._check and from_the_first and check.hexdigest() != self._digest.partition(":")[2]:
            raise self._trouble(f"sends something else for {self._digest}")

    def _trouble(self, words: str) -> RegistryError:
        return RegistryError(f"{self._registry}: {words}")
