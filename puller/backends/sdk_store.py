"""An engine's images through its API."""

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from puller.backends.store import read_images, read_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from puller.backends.connection import StoppableClient
    from puller.errors import EngineError
    from puller.holdings import EngineFacts, Holdings
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
        self._lock = Lock()
        self._facts: EngineFacts | None = None

    def holdings(self) -> "Holdings":
        """Ask `GET /images/json` once; the containerd store tells the platforms of each image since API 1.47."""
        client = self._client
        with self._translated():
            answer = client._get(client._url("/images/json"), params={"manifests": "1"})  # noqa: SLF001 - images() cannot
            return read_images(client._result(answer, json=True))  # noqa: SLF001

    def facts(self) -> "EngineFacts":
        """Ask `GET /info` once: some engines start other programs to answer it."""
        with self._translated(), self._lock:
            self._facts = self._facts or read_info(self._client.info(), local=self._local)
            return self._facts

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
