"""Whether an engine can be fed, and the beginning and end of that."""

import re
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from puller.cancellation import Cancellation
from puller.config import Clocks, registry_settings
from puller.costing.stock import Shelf
from puller.errors import EngineError
from puller.model import PullRequest
from puller.places import cache_home
from puller.prefetch.backend import PrefetchingBackend
from puller.prefetch.feed import Feed
from puller.prefetch.serve import HOST
from puller.prefetch.store import Store
from puller.reference import ImageReference
from puller.registry.client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from puller.backends.base import Backend
    from puller.config import Settings

_FOLDER = "blobs"
_PROBE = Clocks(attempt=10.0, stall=10.0)
_LEFT_BEHIND = re.compile(rf"{re.escape(HOST)}:(?P<port>\d+)/[0-9a-f]{{32}}/\w+@sha256:[0-9a-f]{{64}}")


class CannotFeedError(Exception):
    """Why this engine cannot be fed."""


def open_feed(
    stack: ExitStack,
    backend: "Backend",
    requests: "Iterable[PullRequest]",
    settings: "Settings",
    note: "Callable[[str], None]",
) -> PrefetchingBackend:
    """Open a feed for an engine, which the stack closes; raises CannotFeedError, EngineError, OSError, UsageError."""
    shelf = Shelf(backend.store)
    if not shelf.facts.local:
        raise CannotFeedError("the engine is not on this machine, and loopback is another one there")
    store = Store(cache_home() / _FOLDER, settings.prefetch.cache)
    stack.callback(store.close)
    client = RegistryClient(
        insecure=shelf.facts.insecure,
        registries=settings.registries,
        connections=settings.prefetch.connections,
        receive_buffer=settings.prefetch.receive_buffer,
    )
    feed = Feed(client, store, shelf, settings)
    stack.callback(feed.close)
    _probe(backend, feed)
    stack.callback(_clean, backend)
    feed.begin(_without_mirrors(requests, settings, note))
    return PrefetchingBackend(backend, feed, note)


def _without_mirrors(
    requests: "Iterable[PullRequest]", settings: "Settings", note: "Callable[[str], None]"
) -> "Iterator[PullRequest]":
    """Leave out images of registries that have mirrors: it is not known yet where these come from."""
    noted = set[str]()
    for request in requests:
        registry = request.reference.registry
        if not registry_settings(settings.registries, registry).mirrors:
            yield request
        elif registry not in noted:
            noted.add(registry)
            note(f"images of {registry} are not prefetched: they may come from its mirrors")


def _probe(backend: "Backend", feed: Feed) -> None:
    """Let the engine ask our registry for what it does not have: a remote or secluded one does not get through."""
    nothing = PullRequest(ImageReference.parse(f"{feed.server.name('probe')}:none"))
    with suppress(EngineError):
        backend.pull(nothing, cancel=Cancellation(), clocks=_PROBE, progress=lambda _: None)
    if not feed.server.asked.is_set():
        raise CannotFeedError(f"the engine does not reach a registry of ours on {HOST}")


def _clean(backend: "Backend") -> None:
    """Remove the names that a killed run has left in the engine."""
    with suppress(EngineError):
        for image in backend.store.holdings().images:
            for name in image.digests:
                match = _LEFT_BEHIND.fullmatch(name)
                if match and not _listens(int(match["port"])):
                    with suppress(EngineError):
                        backend.store.untag(name)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), 1.0):
        return True
    return False
