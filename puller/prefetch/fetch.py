"""The threads that fetch blobs, each blob once, whoever wants it."""

import logging
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from puller.prefetch.agenda import Agenda
from puller.prefetch.carry import Carrier
from puller.prefetch.part import SEGMENT
from puller.prefetch.throttle import Throttle
from puller.prefetch.wanted import Task, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from puller.config import PrefetchSettings
    from puller.prefetch.store import Store
    from puller.reference import ImageReference
    from puller.registry.client import RegistryClient
    from puller.registry.contents import Part as Described

_log = logging.getLogger(__name__)


class Fetcher:
    """Brings blobs into a store, over as many connections as are allowed."""

    def __init__(self, client: "RegistryClient", store: "Store", settings: "PrefetchSettings") -> None:
        self._client = client
        self._width = settings.connections
        self._agenda = Agenda(settings.per_registry or settings.connections, store.limit)
        self._closing = Event()
        throttle = Throttle(settings.bandwidth, self._closing.wait)
        self._carrier = Carrier(client, store, self._agenda, throttle, self._closing)
        self._lock = Lock()
        self._blobs: dict[str, Wanted] = {}
        self._threads: list[Thread] = []

    @property
    def broken(self) -> str:
        """Why nothing more can be stored; empty while it can."""
        return self._carrier.broken

    def want(self, parts: "Iterable[Described]", source: "ImageReference", place: int) -> "list[Wanted]":
        """Have blobs fetched in their order, for the image at this place of the list."""
        found = []
        for number, part in enumerate(parts):
            with self._lock:
                blob = self._blobs.get(part.digest)
                new = blob is None or bool(blob.failure) or (blob.path is not None and not blob.path.exists())
                if blob is None or new:
                    blob = self._blobs[part.digest] = Wanted(part.digest, part.size, source, (place, number, 0))
                    self._employ(1 + part.size // SEGMENT)
            if new:
                self._agenda.add(Task(blob.rank, blob))
            found.append(blob)
        return found

    def hasten(self, blob: Wanted) -> None:
        """Let a blob have its turn however far ahead the others are: somebody waits for it."""
        if not blob.urgent and not blob.done:
            self._agenda.hasten(blob)

    def forget(self, digests: set[str]) -> None:
        """Take note that nobody needs these blobs any more."""
        self._agenda.forget(digests)

    def close(self) -> None:
        """Break off what is under way, and leave it to another time."""
        self._closing.set()
        self._agenda.close()
        self._client.close()
        for blob in list(self._blobs.values()):
            if not blob.done:
                self._carrier.give_up(blob, "the run has ended")
        for thread in self._threads:
            thread.join(1.0)

    def _employ(self, count: int) -> None:
        """Start so many threads more, as far as they are allowed."""
        for _ in range(min(count, self._width - len(self._threads))):
            if not self._closing.is_set():
                self._threads.append(Thread(target=self._work, name="fetch", daemon=True))
                self._threads[-1].start()

    def _work(self) -> None:
        while task := self._agenda.take():
            try:
                if not task.blob.done:
                    self._carrier.do(task)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs the blob its head start, and no more
                _log.debug("a blob cannot be fetched", exc_info=True)
                self._carrier.give_up(task.blob, f"{type(error).__name__}: {error}")
            finally:
                self._agenda.done(task)
