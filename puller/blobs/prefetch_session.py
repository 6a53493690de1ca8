"""The start and end of prefetching for a run, if the engine allows it."""

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
_STALE_NAME = re.compile(rf"{re.escape(HOST)}:(?P<port>\d+)/[0-9a-f]{{32}}/\w+@sha256:[0-9a-f]{{64}}")


class PrefetchUnavailableError(Exception):
    """Prefetching is not possible for this engine."""


def open_prefetch(
    stack: ExitStack,
    engine: Engine,
    requests: Iterable[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
) -> PrefetchEngine:
    """Start prefetching for an engine, until the stack is closed.

    Raises PrefetchUnavailableError, EngineError, OSError, UsageError.
    """
    inventory = EngineInventory(engine.store)
    if not inventory.facts.local:
        raise PrefetchUnavailableError("the engine is not on this machine, and has another loopback")
    store = BlobStore(cache_home() / _FOLDER, settings.prefetch.cache)
    stack.callback(store.close)
    prefetch = Prefetch(registries, store, inventory, settings)
    stack.callback(prefetch.close)
    _probe(engine, prefetch)
    stack.callback(_clean, engine)
    prefetch.begin(_without_mirrors(requests, settings, note))
    return PrefetchEngine(engine, prefetch, note)


def _without_mirrors(
    requests: Iterable[PullRequest], settings: Settings, note: Callable[[str], None]
) -> Iterator[PullRequest]:
    """Leave out images of registries with mirrors: their source is not known yet."""
    noted = set[str]()
    for request in requests:
        registry = request.reference.registry
        if not registry_settings(settings.registries, registry).mirrors:
            yield request
        elif registry not in noted:
            noted.add(registry)
            note(f"images of {registry} are not prefetched: they may come from its mirrors")


def _probe(engine: Engine, prefetch: Prefetch) -> None:
    """Let the engine request a missing image from our registry, to find out whether it can reach loopback."""
    missing = PullRequest(ImageReference.parse(f"{prefetch.server.name('probe')}:none"))
    with suppress(EngineError):
        engine.pull(missing, cancel=Cancellation(), clocks=_PROBE, progress=lambda _: None)
    if not prefetch.server.contacted.is_set():
        raise PrefetchUnavailableError(f"the engine cannot reach puller's registry on {HOST}")


def _clean(engine: Engine) -> None:
    """Remove names on loopback that a killed run left in the engine."""
    with suppress(EngineError):
        for image in engine.store.holdings().images:
            for name in image.digests:
                match = _STALE_NAME.fullmatch(name)
                if match and not _listens(int(match["port"])):
                    with suppress(EngineError):
                        engine.store.untag(name)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), 1.0):
        return True
    return False


@contextmanager
def prefetching(
    engine: Engine,
    requests: Sequence[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
) -> Iterator[Engine]:
    """Return an engine that prefetches these images; if that is not possible, `note` is called with the reason."""
    with ExitStack() as stack:

        def begin(images: Iterable[PullRequest]) -> Engine | None:
            try:
                return open_prefetch(stack, engine, images, settings, registries, note)
            except (PrefetchUnavailableError, EngineError, OSError, UsageError) as reason:
                note(f"nothing is prefetched: {reason}")
                return None

        if settings.prefetch.mode is PrefetchMode.AUTO:
            automatic = AutoPrefetchEngine(engine, requests, begin)
            try:
                yield automatic
            finally:
                automatic.finish()
        else:
            yield begin(requests) or engine
