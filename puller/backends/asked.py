"""What an engine's API tells of itself and of all its images, each in one answer, whoever carries the question."""

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from puller.backends.store import read_images, read_info
from puller.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from puller.holdings import EngineFacts, Holdings

NONSENSE = (AttributeError, LookupError, TypeError, ValueError)
"""What is raised on the way through JSON that is not what it should be."""


class Ask(Protocol):
    """Ask `GET /WORD/…`, and return what the answer's JSON says; raises EngineError."""

    def __call__(self, *words: str, **parameters: str) -> Any:
        """Ask."""


class Asked:
    """The part of `ImageStore` that most runs need."""

    def __init__(self, ask: Ask, *, local: bool) -> None:
        """`local` is whether the engine runs on this machine."""
        self._ask = ask
        self._local = local
        self._lock = Lock()
        self._facts: EngineFacts | None = None

    def holdings(self) -> "Holdings":
        """Ask `GET /images/json` once; the containerd store tells the platforms of each image since API 1.47."""
        with _sense():
            return read_images(self._ask("images", "json", manifests="1"))

    def facts(self) -> "EngineFacts":
        """Ask `GET /info` once: some engines start other programs to answer it."""
        with self._lock, _sense():
            self._facts = self._facts or read_info(self._ask("info"), local=self._local)
            return self._facts


@contextmanager
def _sense() -> "Iterator[None]":
    try:
        yield
    except NONSENSE as error:
        raise EngineError(f"the engine's answer makes no sense: {error}") from None
