"""Whether an engine can be fed, and the beginning and end of that."""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from puller.blobs.loopback_registry import HOST
from puller.blobs.prefetch import Prefetch
from puller.blobs.prefetch_auto import AutoPrefetchEngine
from puller.blobs.prefetch_engine import PrefetchEngine
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import EngineError, UsageError
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, Settings, Timeouts, registry_settings
from puller.system.paths import cache_home

_FOLDER = "blobs"
_PROBE = Timeouts(attempt=10.0, stall=10.0)
_LEFT_BEHIND = re.compile(rf"{re.escape(HOST)}:(?P<port>\d+)/[0-9a-f]{{32}}/\w+@sha256:[0-9a-f]{{64}}")


class CannotFeedError(Exception):
    """Why this engine cannot be fed."""


def open_prefetch(
    stack: ExitStack,
    backend: Engine,
    requests: Iterable[PullRequest],
    settings: Settings,
    note: Callable[[str], None],
) -> PrefetchEngine:
    """Open a feed for an engine, which the stack closes; raises CannotFeedError, EngineError, OSError, UsageError."""
    shelf = EngineInventory(backend.store)
    if not shelf.facts.local:
        raise CannotFeedError("the engine is not on this machine, and loopback is another one there")
    store = BlobStore(cache_home() / _FOLDER, settings.prefetch.cache)
    stack.callback(store.close)
    client = RegistryClient(
        insecure=shelf.facts.insecure,
        registries=settings.registries,
        connections=settings.prefetch.connections,
        receive_buffer=settings.prefetch.receive_buffer,
    )
    feed = Prefetch(client, store, shelf, settings)
    stack.callback(feed.close)
    _probe(backend, feed)
    stack.callback(_clean, backend)
    feed.begin(_without_mirrors(requests, settings, note))
    return PrefetchEngine(backend, feed, note)


def _without_mirrors(
    requests: Iterable[PullRequest], settings: Settings, note: Callable[[str], None]
) -> Iterator[PullRequest]:
    """Leave out images of registries that have mirrors: it is not known yet where these come from."""
    noted = set[str]()
    for request in requests:
        registry = request.reference.registry
        if not registry_settings(settings.registries, registry).mirrors:
            yield request
        elif registry not in noted:
            noted.add(registry)
            note(f"images of {registry} are not prefetched: they may come from its mirrors")


def _probe(backend: Engine, feed: Prefetch) -> None:
    """Let the engine ask our registry for what it does not have: a remote or secluded one does not get through."""
    nothing = PullRequest(ImageReference.parse(f"{feed.server.name('probe')}:none"))
    with suppress(EngineError):
        backend.pull(nothing, cancel=Cancellation(), clocks=_PROBE, progress=lambda _: None)
    if not feed.server.asked.is_set():
        raise CannotFeedError(f"the engine does not reach a registry of ours on {HOST}")


def _clean(backend: Engine) -> None:
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


@contextmanager
def fed(
    backend: Engine, requests: Sequence[PullRequest], settings: Settings, note: Callable[[str], None]
) -> Iterator[Engine]:
    """Give an engine that is fed with the blobs of these images; where it cannot be, say why, and give it as it is."""
    with ExitStack() as stack:

        def begin(wanted: Iterable[PullRequest]) -> Engine | None:

            try:
                return open_prefetch(stack, backend, wanted, settings, note)
            except (CannotFeedError, EngineError, OSError, UsageError) as reason:
                note(f"nothing is prefetched: {reason}")
                return None

        if settings.prefetch.mode is PrefetchMode.AUTO:
            watching = AutoPrefetchEngine(backend, requests, begin)
            try:
                yield watching
            finally:
                watching.finish()
        else:
            yield begin(requests) or backend
