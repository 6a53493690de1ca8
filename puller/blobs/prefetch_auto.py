"""Automatic prefetching: the engine pulls by itself until its first moments show that the network is slow.

A thread looks at the progress that the engine reports anyway, ten times a second; nothing else is imported, opened or
asked before. docs/prefetch.md says how the decision is made. Then a few downloads show for each registry whether puller
is faster there (`prefetch_trial`); meanwhile all pulls go on. Where it is, pulls that have most of their bytes are left
alone, and others are cancelled and prefetched.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Protocol

from puller.blobs.leftovers import only_old, wanted_by_killed_runs
from puller.blobs.network_monitor import BEFORE_TRIAL, TICK, NetworkMonitor, processor_times
from puller.blobs.prefetch_trial import RegistryTrial, Traffic
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError, UsageError
from puller.events import Progress
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, Settings, Timeouts
from puller.system.paths import cache_home
from puller.system.threads import start


class PrefetchedImages(Protocol):
    """What is prefetched; see `prefetch.Prefetch`."""

    def ready(self, request: PullRequest) -> bool | None:
        """Whether an image is prefetched; None if that is not known yet."""

    def stored(self, request: PullRequest) -> bool:
        """Whether all missing blobs of an image are in the store."""

    def traffic(self, registry: str) -> Traffic:
        """Return what has been fetched from a registry."""

    def leave(self, registry: str, why: str) -> None:
        """Leave a registry to the engine."""

    def finished(self, request: PullRequest) -> None:
        """Release what was fetched for an image that the engine has, or pulls by itself."""

    @property
    def has_room(self) -> bool:
        """Whether what is left can be stored."""


class PrefetchingEngine(Engine, Protocol):
    """An engine that pulls prefetched images."""

    @property
    def prefetch(self) -> PrefetchedImages:
        """What it prefetches."""

    def beside_loopback(self, pull: Callable[[], EngineResult], cancel: Cancellation) -> EngineResult:
        """Pull from an image's own registry, while others are pulled from loopback."""


Begin = Callable[[Sequence[PullRequest], Cancellation], PrefetchingEngine | None]
"""Starts to prefetch images and returns the engine for them, or None if that is not possible."""


class AutoPrefetchEngine(EngineWrapper):
    """Pulls with an engine as it is, until the network turns out to be slow and puller to be faster."""

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[PullRequest],
        begin: Begin,
        settings: Settings,
        note: Callable[[str], None],
        cancel: Cancellation,
    ) -> None:
        super().__init__(engine)
        self._begin = begin
        self._note = note
        self._left = dict.fromkeys(requests)
        self._prefetching: PrefetchingEngine | None = None
        self._trials: dict[str, RegistryTrial] = {}
        """By registry, from the moment when the network turned out to be slow."""
        self._resumed: frozenset[PullRequest] = frozenset()
        """Images of which a killed run left blobs: they are prefetched before anything is known of their registry."""
        self._lock = Lock()
        self._monitor = NetworkMonitor(settings.prefetch)
        self._in_flight: dict[PullRequest, Cancellation] = {}
        """Pulls by the engine itself, that may be cancelled."""
        self._thread: Thread | None = None
        self._over = Event()
        self._cancel = Cancellation(cancel)

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull plainly or with prefetching; a plain pull cancelled for prefetching starts again. See `Engine.pull`."""

        def watched(event: Progress) -> None:
            with self._lock:
                self._monitor.update(event)
            progress(event)

        began, own = monotonic(), Cancellation(cancel)
        with self._lock:
            prefetching = self._engine_for(request)
            if prefetching is None:
                self._in_flight[request] = own
            if self._thread is None:
                self._thread = start(self._watch, "monitor")
        if prefetching is None:
            try:
                plain = partial(self._engine.pull, request, cancel=own, clocks=clocks, progress=watched)
                pulled = self._prefetching.beside_loopback(plain, own) if self._prefetching else plain()
            except CancelledError:
                cancel.check()
                prefetching = self._prefetching
                if prefetching is None:
                    raise
                clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            else:
                if self._prefetching:
                    self._prefetching.prefetch.finished(request)
                return pulled
            finally:
                with self._lock:
                    self._monitor.ended(request)
                    self._in_flight.pop(request, None)
                    self._left.pop(request, None)
        return prefetching.pull(request, cancel=cancel, clocks=clocks, progress=progress)

    def resume(self, images: Sequence[PullRequest]) -> None:
        """Prefetch from the start, as a killed run has begun with these images."""
        self._resumed = frozenset(images)
        self._start()

    def finish(self) -> None:
        """Stop measuring, and starting to prefetch, if that is under way."""
        self._over.set()
        if self._prefetching is None:
            self._cancel.cancel("the run has ended")
        if self._thread:
            self._thread.join()

    def _engine_for(self, request: PullRequest) -> PrefetchingEngine | None:
        """Return what prefetches an image; None as long as the engine pulls it by itself."""
        trial, prefetching = self._trials.get(request.reference.registry), self._prefetching
        if trial is None or prefetching is None:
            return None
        wanted = not trial.failure and (trial.passed or request in self._resumed)
        return prefetching if wanted or prefetching.prefetch.stored(request) else None

    def _watch(self) -> None:
        while not self._over.wait(TICK):
            with self._lock:
                waiting = len(self._left) - len(self._in_flight)
                slow = self._monitor.sample(monotonic(), processor_times(), waiting)
            if self._prefetching:
                self._judge(self._prefetching.prefetch)
            elif slow:
                self._start()
                if self._prefetching is None:
                    return

    def _start(self) -> None:
        with self._lock:
            left = [each for each in self._left if self._monitor.worth_cancelling(each, BEFORE_TRIAL)]
            names, connections = {each.reference.registry for each in left}, self._monitor.connections
            trials = {name: RegistryTrial(self._monitor.rate(name), connections) for name in names}
        prefetching = self._begin(left, self._cancel)
        with self._lock:
            self._prefetching = prefetching
            self._trials = trials if prefetching else {}

    def _judge(self, prefetch: PrefetchedImages) -> None:
        """Decide for each registry who downloads from there from now on; what is in the store needs no decision."""
        now, room = monotonic(), prefetch.has_room
        for registry, trial in self._trials.items():
            if not trial.passed:
                self._take_stored(registry, prefetch)
            if trial.failure:
                continue
            passed = trial.passed
            with self._lock:
                engine = self._monitor.received(registry)
            if room:
                trial.update(now, prefetch.traffic(registry), engine)
            else:
                trial.failure = "the disk has too little room"
            if trial.failure:
                prefetch.leave(registry, trial.failure)
                self._note(f"the engine downloads layers of {registry}: {trial.failure}")
            elif trial.passed:
                if not passed:
                    self._note(f"{self._monitor.finding or 'an earlier run left layers'}: puller downloads the layers")
                self._take_over(registry, prefetch)

    def _take_stored(self, registry: str, prefetch: PrefetchedImages) -> None:
        """Cancel the pulls in flight from a registry whose layers are all in the store."""
        pulls, worth = self._pulls_from(registry)
        for request in worth:
            if prefetch.stored(request):
                pulls[request].cancel("it is in the store")

    def _pulls_from(self, registry: str) -> tuple[dict[PullRequest, Cancellation], set[PullRequest]]:
        """Return the pulls in flight from a registry, and those of them that are worth cancelling."""
        with self._lock:
            pulls = {each: own for each, own in self._in_flight.items() if each.reference.registry == registry}
            return pulls, {each for each in pulls if self._monitor.worth_cancelling(each)}

    def _take_over(self, registry: str, prefetch: PrefetchedImages) -> None:
        """Cancel the pulls in flight from a registry whose images are prefetched, and release those that go on."""
        pulls, worth = self._pulls_from(registry)
        for request, own in pulls.items():
            ready = prefetch.ready(request)
            if ready and request in worth:
                own.cancel("it is prefetched")
            elif ready is False or request not in worth:
                prefetch.finished(request)


@contextmanager
def prefetching(
    engine: Engine,
    requests: Sequence[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
    cancel: Cancellation,
    downloaded: Callable[[Mapping[str, tuple[int, int | None]]], object] = bool,
) -> Iterator[Engine]:
    """Return an engine that prefetches these images; `note` is called with the reason if it cannot.

    `downloaded` is called with the bytes that puller has downloaded of each blob, and all that it will.
    By itself (`PrefetchMode.AUTO`) it does so when the network is slow, or at once if a run that was killed had begun
    with some of these images.
    """
    with ExitStack() as stack:

        def begin(images: Sequence[PullRequest], end: Cancellation) -> PrefetchingEngine | None:
            from puller.blobs import prefetch_session  # noqa: PLC0415 - its web server is slow to import

            return prefetch_session.begin(stack, engine, images, settings, registries, note, end, downloaded)

        if settings.prefetch.mode is PrefetchMode.ALWAYS:
            yield begin(requests, cancel) or engine
            return
        automatically = AutoPrefetchEngine(engine, requests, begin, settings, note, cancel)
        root = _store()
        if root and (begun := wanted_by_killed_runs(root, {each.reference.canonical for each in requests})):
            automatically.resume([each for each in requests if each.reference.canonical in begun])
        try:
            yield automatically
        finally:
            automatically.finish()
            if root and only_old(root):
                stack.close()
                _remove_old(root)


def _store() -> Path | None:
    """Return the folder of blobs; None if there is none, and where it cannot be: then the engine pulls by itself."""
    with suppress(UsageError, OSError):
        root = cache_home() / "blobs"
        return root if root.exists() else None
    return None


def _remove_old(root: Path) -> None:
    """Remove what killed runs left too long ago."""
    from puller.blobs.store import BlobStore  # noqa: PLC0415 - most runs need no store

    with suppress(OSError, UsageError):
        BlobStore(root, 0, keep=False).close()
