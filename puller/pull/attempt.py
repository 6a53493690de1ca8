"""One attempt to pull one image: the engine pulls, the result is verified, and the tag is set."""

from collections.abc import Callable
from contextlib import suppress

from puller.errors import CancelledError, EngineError, FailureKind
from puller.events import Phase, Progress, Started
from puller.failure import Failure, failure, failure_of
from puller.image.platform import fits, not_for
from puller.image.reference import ImageReference
from puller.model import Attempt, EngineResult, PullRequest, Span
from puller.plan.inventory import other_platform
from puller.pull.context import RunContext
from puller.pull.mirrors import MirrorSource
from puller.pull.sizes import ImageSizes
from puller.system.clock import monotonic

_MAX_SPANS = 100  # phases recorded for one attempt; an engine can switch between two phases without end


class Timeline:
    """The phases of one attempt, and the bytes it fetched. `record` is cheap: an image causes thousands of events."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.began = now()
        self._phase: str = Phase.RESOLVING
        self._since = self.began
        self._spans: list[Span] = []
        self.bytes = 0  # compressed bytes fetched, without those that another pull counts

    def record(self, phase: Phase, new: int) -> None:
        """Record the current phase, and the bytes fetched since the last call."""
        self.bytes += max(0, new)
        if phase != self._phase and len(self._spans) < _MAX_SPANS:
            now = self._now()
            self._spans.append(Span(self._phase, self._since - self.began, now - self._since))
            self._phase, self._since = phase, now

    def phases(self) -> tuple[Span, ...]:
        """Return the phases until now, in order and without gaps."""
        return (*self._spans, Span(self._phase, self._since - self.began, self._now() - self._since))


def attempt(
    request: PullRequest, context: RunContext, attempts: list[Attempt], began: float, source: MirrorSource | None = None
) -> EngineResult | Failure:
    """Pull once, from the registry or from a mirror, and append the attempt to `attempts`.

    `began` is the time when puller started on the image, on the monotonic clock. Raises CancelledError.
    """
    before = sum(each.bytes for each in attempts)
    timeline, transfers, sizes, why = Timeline(), context.transfers, context.sizes, None
    latest, lacked = Progress(request, Phase.RESOLVING), False
    shown = latest
    stage = "resolving"  # once it has the manifest, the engine's same message can mean another failure

    def progress(seen: Progress) -> None:
        nonlocal stage, latest, lacked, shown
        latest, lacked = seen, transfers.lacks(seen.whole)
        if seen.layers:
            stage = "transfer"
            sizes.begin()
        by_layer = seen.of_layers or seen.whole or not seen.current
        new = transfers.new(timeline, seen.of_layers, seen.whole) if by_layer else seen.current - timeline.bytes
        timeline.record(seen.phase, new)
        transfers.has(seen.present)
        sizes.tell()
        shown = _steady(seen, shown, sizes)._replace(request=request, counted=before + timeline.bytes)
        context.emit(shown)

    context.emit(Started(request, len(attempts) + 1, source.mirror if source else None))
    try:
        if source is not None:
            return _pull_from(source, request, context, progress)
        return _pull(request, context, progress)
    except CancelledError:
        why = failure(FailureKind.CANCELLED, context.cancel.reason)
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours fails this image, not the run
        why = failure_of(error, phase=stage)
    finally:
        if lacked and sizes.arrive(request, latest.whole):
            progress(latest)
        transfers.end(timeline)
        seconds, mirror = monotonic() - timeline.began, source.mirror if source else None
        attempts.append(Attempt(timeline.began - began, seconds, why, timeline.phases(), timeline.bytes, mirror))
    return why


def _steady(seen: Progress, before: Progress, sizes: ImageSizes) -> Progress:
    """Return the progress with no fewer bytes than before.

    The engine or puller may begin anew within an attempt. The total contains the layers that have not begun, if their
    sizes are known, so that it does not grow with each of them.
    """
    total = seen.total or before.total
    if total and seen.layers > len({*seen.of_layers, *seen.whole, *seen.present}):
        total = max(total, sizes.expected(before.request, seen.present))
    current = max(seen.current, before.current)
    return seen._replace(current=current, total=max(total, current) if total else 0)


def _pull(request: PullRequest, context: RunContext, progress: Callable[[Progress], None]) -> EngineResult:
    engine, cancel, reference = context.engine, context.cancel, request.reference
    pulled = engine.pull(request, cancel=cancel, clocks=context.settings.timeouts, progress=progress)
    if pulled.by_tag:
        request = request._replace(reference=reference.with_tag(reference.tag))
        warning = _verify(request, pulled._replace(digest=None), context)
        return pulled._replace(warning=pulled.warning or warning)
    warning = _verify(request, pulled, context)
    if reference.tag and reference.digest:  # engines ignore the tag of NAME:TAG@DIGEST
        engine.store.tag(f"{reference.name}@{reference.digest}", reference)
    return pulled._replace(warning=warning)


def _pull_from(
    source: MirrorSource, request: PullRequest, context: RunContext, progress: Callable[[Progress], None]
) -> EngineResult:
    """Pull from a mirror, give the image its requested name, and remove the mirror's name if it is new.

    In the containerd store a tag is enough: the digest comes with it. A graph-driver store records a digest only when
    it pulls, so the manifest is pulled from the registry itself if that answers and does not count pulls. A request
    without a tag always needs that pull.
    """
    engine, reference, name = context.engine, request.reference, source.reference.canonical
    before = engine.inspect(source.reference, cancel=context.cancel)
    pulled = _pull(request._replace(reference=source.reference), context, progress)
    pinned = request._replace(reference=ImageReference.parse(f"{reference.name}@{source.reference.digest}"))
    if not reference.tag:
        _pull(pinned, context, progress)
    else:
        if source.confirmed and not source.resolved.counted and not engine.store.facts().keeps_platforms:
            with suppress(EngineError):
                _pull(pinned, context, progress)
                name = pinned.reference.canonical
        engine.store.tag(name, reference)
    if before is None or before.identity is None:
        with suppress(EngineError):
            engine.store.untag(source.reference.canonical)
    return pulled._replace(digest=source.resolved.digest, up_to_date=False)


def _verify(request: PullRequest, pulled: EngineResult, context: RunContext) -> str:
    """Check that the engine has the image, with the requested digest and platform, whatever it reported.

    Returns a warning, if the engine cannot run the image. Raises EngineError, and CancelledError.
    """
    reference, store = request.reference, context.engine.store
    expected = reference.digest or pulled.digest
    local = context.engine.inspect(reference, cancel=context.cancel)
    if local is None:
        raise EngineError("the engine does not say whether it has the image", kind=FailureKind.UNVERIFIED)
    if reference.digest and pulled.digest not in (None, reference.digest):
        message = f"requested {reference.digest}, the engine reported {pulled.digest}"
        raise EngineError(message, kind=FailureKind.DIGEST_MISMATCH)
    if local.identity is None:
        image = store.holdings().find(reference) if request.platform else None
        if image and (not image.platforms or any(fits(each, request.platform, None) for each in image.platforms)):
            return ""  # some engines describe only images of their own platform
        raise EngineError("the engine reported success and has no such image", kind=FailureKind.IMAGE_MISSING)
    if expected and local.digests and expected not in local.digests:
        message = f"expected {expected}, the engine has {', '.join(local.digests)}"
        raise EngineError(message, kind=FailureKind.DIGEST_MISMATCH)
    try:
        other, own = other_platform(request, local.identity, local.platform, store), store.facts().platform
    except EngineError:  # the engine does not describe itself
        return ""
    if other and request.platform:
        raise EngineError(not_for(request.platform, other), kind=FailureKind.NO_MATCHING_PLATFORM)
    return not_for(own, other) if other else ""
