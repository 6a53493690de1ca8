"""An engine's images through its API."""

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from puller.backends.store import read_content, read_images, read_info
from puller.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from puller.backends.connection import StoppableClient
    from puller.holdings import Content, EngineFacts, Holdings
    from puller.reference import ImageReference


class SdkImageStore:
    """Fulfils `ImageStore` by docker-py's low-level client."""

    def __init__(
        self,
        client: "StoppableClient",
        *,
        local: bool,
        trouble: tuple[type[Exception], ...],
        translate: "Callable[[Exception], EngineError]",
    ) -> None:
        """Use a client that is shared; `translate` turns what it raises (`trouble`) into the engine's words."""
        self._client: Any = client
        self._local = local
        self._trouble: tuple[type[Exception], ...] = (*trouble, AttributeError, LookupError, TypeError)
        self._translate = translate

    def holdings(self) -> "Holdings":
        """Ask `GET /images/json` once."""
        with self._translated():
            return read_images(self._client.images())

    def facts(self) -> "EngineFacts":
        """Ask `GET /info` once."""
        with self._translated():
            return read_info(self._client.info(), local=self._local)

    def contents(self, identities: "Sequence[str]") -> "tuple[Content, ...]":
        """Ask `GET /images/ID/json` for each."""
        found = []
        for identity in identities:
            try:
                with self._translated():
                    found.append(read_content(self._client.inspect_image(identity)))
            except EngineError as error:
                if error.status != HTTPStatus.NOT_FOUND:  # it may have gone meanwhile
                    raise
        return tuple(found)

    def tag(self, source: str, target: "ImageReference") -> None:
        """`POST /images/SOURCE/tag`."""
        with self._translated():
            self._client.tag(source, target.name, target.tag or "latest")

    def untag(self, name: str) -> None:
        """`DELETE /images/NAME`."""
        with self._translated():
            self._client.remove_image(name)

    @contextmanager
    def _translated(self) -> "Iterator[None]":
        try:
            yield
        except self._trouble as error:
            raise self._translate(error) from None
