"""The engine of a host that is fed: it pulls each image from loopback first, and then under its own name.

The second pull finds all layers in the engine, and gives the image the names and digests of its registry. Where the
host does not reach that, the tag is set instead. If the first pull fails, the second is a plain pull.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from threading import Lock
from typing import NamedTuple, Protocol

from puller.blobs.loopback_names import on_record
from puller.blobs.loopback_registry import HOST, LoopbackRegistry
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError, EngineError, EngineUnreachableError, FailureClass, FailureKind, RegistryError
from puller.events import Progress
from puller.failure import Failure, failure, failure_of
from puller.fleet.forward import LOGIN_SECONDS, OpenPort, ReverseForward
from puller.image.reference import ImageReference, Platform
from puller.model import ENGINE_GONE, EngineResult, PullRequest
from puller.registry.health import CONNECTION_FAILURES
from puller.settings import Timeouts
from puller.system.clock import monotonic
from puller.text import clean

_REOPENING = 15.0
"""Seconds to wait for a forward that is opened again."""
_TICK = 0.1
_OWN = 30.0
"""Time limit of a pull of which the engine has all layers, in seconds: firewalls let hosts wait for an answer."""
_LOST = ENGINE_GONE | {FailureKind.ENGINE_DISCONNECTED}
"""What no registry is to blame for."""


class FedImage(NamedTuple):
    """An image as the registry on loopback has it."""

    label: str
    """The name of its repository there."""
    digest: str
    """That of the reference: of the index, if there is one."""
    config: str
    """The digest of its config, which is the image's ID in a graph-driver store."""
    blobs: frozenset[str]
    """The digests of its config and layers."""


class FedImages(Protocol):
    """What hosts are fed with; see `feed.Feed`."""

    server: LoopbackRegistry

    def image(self, request: PullRequest, platform: Platform) -> FedImage:
        """Look up an image; raises RegistryError."""

    def pulling(self, image: FedImage, cancel: Cancellation) -> AbstractContextManager[None]:
        """Cancel a pull if a blob of its image cannot be fetched."""

    def failure(self, image: FedImage) -> RegistryError | None:
        """Return why a blob of an image could not be fetched."""


class FedEngine(EngineWrapper):
    """Pulls with the engine of a host from this machine; thread-safe."""

    def __init__(
        self, engine: Engine, feed: FedImages, forward: ReverseForward, stack: ExitStack, note: Callable[[str], None]
    ) -> None:
        """Open the forward at the first pull; the caller closes it after the stack, which removes names on loopback.

        `note` is called with the reason when an image is pulled without the feed.
        """
        super().__init__(engine)
        self._feed, self._forward, self._stack, self._note = feed, forward, stack, note
        self._lock = Lock()
        self._is_open = False
        self._places: set[str] = set()
        """What names on loopback begin with, on record; it changes when the forward is opened again."""
        self._cut: dict[str, EngineError] = {}
        """Registries that the host does not reach."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull from loopback, then from the image's own registry; see `Engine.pull`."""
        began, image, way, name = monotonic(), None, None, None
        try:
            try:
                image = self._feed.image(request, self._platform(request))
                if self._has(request.reference, image, cancel):
                    return self._pull_named(request, image, None, cancel, clocks, progress)
                way = self._way(cancel)
                name = ImageReference.parse(f"{self._place(way)}/{image.label}@{image.digest}")
                own, fed = Cancellation(cancel), request._replace(reference=name)
                stop = partial(own.cancel, "the forward of ssh has ended")
                # Without the hooks, the engine would try for more than a minute to go on with a layer.
                with way.ended.hook(stop), self._feed.pulling(image, own):
                    # The engine may wait long for a blob that is queued behind others; downloads have their own limits.
                    self._engine.pull(fed, cancel=own, clocks=clocks._replace(stall=None), progress=progress)
            except (RegistryError, EngineError, CancelledError) as error:
                cancel.check()
                why = self._reason(error, image, way)
                return self._pull_plainly(request, why, cancel, _spent(clocks, began), progress)
            return self._pull_named(request, image, name, cancel, clocks, progress)
        finally:
            if name:
                with suppress(EngineError, CancelledError):  # it does not exist if the pull failed
                    self._engine.store.untag(name.canonical)

    def _pull_named(
        self,
        request: PullRequest,
        image: FedImage,
        name: ImageReference | None,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Give an image that the engine has from loopback its own name: by a pull of its digest, or else by its tag.

        Without a name on loopback the engine has the tag already.
        """
        reference, registry = request.reference, request.reference.registry
        pinned = request if reference.digest else request._replace(reference=reference.with_digest(image.digest))

        def without_whole(event: Progress) -> None:  # they came from loopback
            progress(event._replace(whole=frozenset()))

        error = self._cut.get(registry)
        if error is None:
            limits = clocks._replace(attempt=min(clocks.attempt or _OWN, _OWN), stall=None, spent=0.0)
            try:
                pulled = self._engine.pull(pinned, cancel=cancel, clocks=limits, progress=without_whole)
                if pinned is not request:
                    self._engine.store.tag(f"{reference.name}@{image.digest}", reference)
                return pulled._replace(up_to_date=name is None)
            except EngineError as caught:
                error, why = caught, failure_of(caught)
                if why.kind in ENGINE_GONE or why.failure_class is FailureClass.HOST_FATAL:
                    raise
                if why.kind in CONNECTION_FAILURES:
                    self._cut[registry] = caught
        return self._set_tag(request, image, name, error, cancel)

    def _set_tag(
        self, request: PullRequest, image: FedImage, name: ImageReference | None, why: EngineError, cancel: Cancellation
    ) -> EngineResult:
        reference = request.reference
        if not reference.tag:
            words = f"{why.message}; its layers are on the host, but only a tag can be set there: add one to the list"
            raise EngineError(words, kind=failure_of(why).kind)
        if name:
            self._engine.store.tag(name.canonical, reference)
        seen, warning = self._engine.inspect(reference.with_tag(reference.tag), cancel=cancel), ""
        if seen and image.digest not in seen.digests:
            warning = (
                f"the host itself gets nothing from {reference.registry} ({failure_of(why).title}): the image is the "
                "right one, but the engine records no digest of the registry for it"
            )
        return EngineResult(image.digest, up_to_date=name is None, warning=warning, by_tag=True)

    def _has(self, reference: ImageReference, image: FedImage, cancel: Cancellation) -> bool:
        """Tell whether the tag is on this very image, whatever digest the store records, as after an earlier run."""
        if not reference.tag:
            return False
        seen = self._engine.inspect(reference.with_tag(reference.tag), cancel=cancel)
        return seen is not None and seen.identity == image.config

    def _pull_plainly(
        self, request: PullRequest, why: Failure, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Let the host pull by itself, because the image cannot be fed; if that fails, both reasons are told."""
        is_fatal = why.kind in ENGINE_GONE or why.failure_class is FailureClass.HOST_FATAL
        if is_fatal or request.reference.registry in self._cut:
            raise EngineError(why.message, kind=why.kind)
        try:
            pulled = self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
        except EngineError as error:
            own = failure_of(error)
            if own.kind in _LOST or own.failure_class is FailureClass.HOST_FATAL:
                raise
            raise EngineError(f"{why.message}; the host itself: {error.message}", kind=why.kind) from None
        self._note(f"images were pulled without --feed: {clean(why.message).removeprefix('--feed: ')}")
        return pulled

    def _reason(self, error: Exception, image: FedImage | None, way: OpenPort | None) -> Failure:
        """Say why an image was not pulled from loopback; what the forward is to blame for is no registry's fault."""
        lost = self._feed.failure(image) if image else None
        why = failure_of(lost or error)
        problem = self._forward.problem
        is_ended = problem or isinstance(error, CancelledError) or why.kind in CONNECTION_FAILURES
        if lost or isinstance(error, RegistryError) or not is_ended:
            return why
        words = problem.words if problem else str(error)
        if why.kind is FailureKind.CONNECTION_REFUSED and way and not way.ended.requested:
            words = (
                "the engine does not reach 127.0.0.1 of its host: it has a network of its own, as rootless engines have"
            )
        return failure(FailureKind.ENGINE_DISCONNECTED, f"--feed: {words}")

    def _platform(self, request: PullRequest) -> Platform:
        platform = request.platform or self._engine.store.facts().platform
        if platform is None:
            raise EngineError("the engine does not tell its platform", kind=FailureKind.DAEMON_BAD_RESPONSE)
        return platform

    def _way(self, cancel: Cancellation) -> OpenPort:
        """Return the port on the host that leads here; raises EngineError if there is none."""
        with self._lock:
            if not self._is_open:
                self._is_open = True
                with suppress(EngineUnreachableError):
                    self._forward.open(LOGIN_SECONDS, cancel)
        ends = monotonic() + _REOPENING
        while (now := self._forward.now) is None and not self._forward.over and monotonic() < ends:
            cancel.sleep(_TICK)
        if now is None:
            raise EngineError("the forward of ssh is down", kind=FailureKind.ENGINE_DISCONNECTED)
        return now

    def _place(self, way: OpenPort) -> str:
        """Return what names on loopback begin with on the host, and keep them on record."""
        place = f"{HOST}:{way.port}/{self._feed.server.secret}"
        with self._lock:
            if place not in self._places:
                self._stack.enter_context(on_record(self._engine.store, place))
                self._places.add(place)
        return place


def _spent(clocks: Timeouts, began: float) -> Timeouts:
    return clocks._replace(spent=clocks.spent + monotonic() - began)
