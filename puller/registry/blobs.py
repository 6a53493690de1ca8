"""The bytes of a blob as they come (OCI distribution spec "Pulling blobs" and its range requests)."""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from puller.registry.answers import RegistryTroubleError, hasher, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

    from puller.registry.session import Site
    from puller.registry.transport import Transport

_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-\d{1,18}/(?:(?P<total>\d{1,18})|\*)")


class Blob:
    """A blob, from `start` to its end, to be read once; a whole one is checked against its digest at the end."""

    def __init__(
        self,
        transport: "Transport",
        site: "Site",
        response: "Response",
        digest: str,
        start: int,
        *,
        check: bool = True,
    ) -> None:
        """Raise RegistryTroubleError when the registry begins elsewhere than it was asked to."""
        self.start = start
        self.size = size_of(response.headers)
        """Bytes of the whole blob, where the registry says so."""
        self._transport = transport
        self._site = site
        self._response = response
        self._digest = digest
        self._check = check
        self._skip = 0
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(response.headers.get("content-range", ""))
            if found is None or int(found["first"]) != start:
                raise self._trouble("sends another range than was asked for")
            self.size = int(found["total"]) if found["total"] else None
        else:
            self._skip = start  # it takes no ranges, and sends everything

    @property
    def partial(self) -> bool:
        """Whether the registry sends only what was asked for."""
        return self._response.status_code == HTTPStatus.PARTIAL_CONTENT

    def __iter__(self) -> "Iterator[bytes]":
        """Yield the bytes; raises RegistryTroubleError for a cut connection and for wrong content."""
        check = hasher(self._digest)
        skip = self._skip
        while chunk := self._transport.chunk(self._site, self._response):
            if self._check:
                check.update(chunk)
            if rest := chunk[skip:]:
                yield rest
            skip = max(0, skip - len(chunk))
        from_the_first = self.start == self._skip
        if self._check and from_the_first and check.hexdigest() != self._digest.partition(":")[2]:
            raise self._trouble(f"sends something else for {self._digest}")

    def _trouble(self, words: str) -> RegistryTroubleError:
        return RegistryTroubleError(f"{self._site.host.name}: {words}")
