"""The start and end of prefetching for a run, if the engine allows it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress

from puller.blobs.loopback_names import on_record
from puller.blobs.loopback_registry import HOST
from puller.blobs.prefetch import Prefetch
from puller.blobs.prefetch_engine import PrefetchEngine
from puller.blobs.prefetch_progress import Downloads
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.disk import ELSEWHERE
from puller.engine.interface import Engine
from puller.errors import CancelledError, EngineError, UsageError
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, Settings, Timeouts, registry_settings
from puller.system import directories
from puller.system.paths import cache_home
from puller.text import plain_error

_PROBE = Timeouts(attempt=10.0, stall=10.0)


def begin(
    stack: ExitStack,
    engine: Engine,
    requests: Sequence[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
    cancel: Cancellation,
    downloaded: Callable[[Downloads], object],
) -> PrefetchEngine | None:
    """Prefetch images until the stack is closed, and return the engine for them.

    If that is not possible, `note` is called with the reason, and the result is None. `downloaded` is called
    several times a second with what puller has downloaded.
    """
    images = _suitable(requests, settings, note)
    if not images:
        return None
    try:
        prefetch = _open(stack, engine, images, settings, registries, note, cancel, downloaded)
        prefetch.begin(images)
    except (EngineError, OSError, UsageError) as reason:
        note(f"nothing is prefetched: {plain_error(reason)}")
        return None
    return PrefetchEngine(engine, prefetch, note)


def _open(
    stack: ExitStack,
    engine: Engine,
    images: Iterable[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
    cancel: Cancellation,
    downloaded: Callable[[Downloads], object],
) -> Prefetch:
    """Prepare prefetching until the stack is closed; raises EngineError, OSError and UsageError if it is impossible."""
    inventory = EngineInventory(engine.store)
    if not inventory.facts.local:
        raise UsageError(ELSEWHERE)
    names, limits = (each.reference.canonical for each in images), settings.prefetch
    stack.callback(directories.remove_if_empty, cache_home())
    store = BlobStore(cache_home() / "blobs", limits.cache_size, keep=limits.keeps, images=names)
    stack.callback(lambda: store.close(resumable=cancel.requested))
    prefetch = Prefetch(registries, store, inventory, settings, note, downloaded)
    stack.callback(prefetch.close)
    # The engine requests a missing image from our registry, which shows whether it can reach loopback.
    missing = PullRequest(ImageReference.parse(f"{prefetch.server.name('probe')}:none"))
    with suppress(EngineError, CancelledError):
        engine.pull(missing, cancel=Cancellation(cancel), clocks=_PROBE, progress=lambda _: None)
    if not prefetch.server.contacted.is_set():
        raise UsageError(f"the engine cannot reach puller's registry on {HOST}")
    stack.enter_context(on_record(engine.store, prefetch.server.place))
    return prefetch


def _suitable(requests: Iterable[PullRequest], settings: Settings, note: Callable[[str], None]) -> list[PullRequest]:
    """Leave out images of registries with mirrors, whose source is not known yet.

    By itself, puller does not open many connections to a registry either whose pulls the user has limited.
    """
    images, reasons = list(requests), dict[str, str]()
    automatic = settings.prefetch.mode is PrefetchMode.AUTO
    for name in dict.fromkeys(each.reference.registry for each in images):
        own = registry_settings(settings.registries, name)
        if own.mirrors:
            reasons[name] = "they may come from its mirrors"
        elif automatic and (own.concurrency or settings.per_registry):
            reasons[name] = "its concurrent pulls are limited"
    for name, why in reasons.items():
        note(f"images of {name} are not prefetched: {why}")
    return [each for each in images if each.reference.registry not in reasons]
