"""One attempt at one image: the engine pulls, what it has then is compared with what was asked for, the tag is set."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from puller.errors import CancelledError, EngineError, FailureKind
from puller.events import Phase, Progress, Started
from puller.failure import Failure, engine_failure, failure
from puller.model import Attempt, EngineResult, PullRequest, Span
from puller.pull.context import RunContext
from puller.pull.mirrors import MirrorSource, adopt

_RESOLVING, _TRANSFER = "resolving", "transfer"
"""Before and after the engine has the manifest: the same words may mean another thing then."""
_MOST = 100
"""Phases of an attempt that are told apart; whoever goes back and forth more often tells nothing more by it."""


class Timeline:
    """The phases of one attempt and the bytes that came; thousands of events an image cost it a comparison each."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.began = now()
        self._phase: str = Phase.RESOLVING
        self._since = self.began
        self._spans: list[Span] = []
        self.bytes = 0
        """Compressed bytes fetched: the most that the engine has told."""

    def saw(self, phase: Phase, fetched: int) -> None:
        """Take note of what the engine is doing, and of the bytes fetched so far."""
        self.bytes = max(self.bytes, fetched)
        if phase != self._phase and len(self._spans) < _MOST:
            now = self._now()
            self._spans.append(Span(self._phase, self._since - self.began, now - self._since))
            self._phase, self._since = phase, now

    def phases(self) -> tuple[Span, ...]:
        """Give the phases up to now, one after the other without a gap."""
        return (*self._spans, Span(self._phase, self._since - self.began, self._now() - self._since))


def attempt(
    request: PullRequest,
    context: RunContext,
    attempts: list[Attempt],
    began: float,
    source: MirrorSource | None = None,
) -> EngineResult | Failure:
    """Pull once, from the registry itself or from a mirror, and add the attempt to `attempts`.

    `began` is when puller began with the image, on the monotonic clock. Raises CancelledError when the run is told to
    stop.
    """
    timeline, why, words_phase = Timeline(), None, _RESOLVING

    def progress(seen: Progress) -> None:
        nonlocal words_phase
        if seen.layers:
            words_phase = _TRANSFER
        timeline.saw(seen.phase, seen.current)
        context.emit(seen if seen.request is request else replace(seen, request=request))

    context.emit(Started(request, len(attempts) + 1))
    try:
        if source is not None:
            return _pull_from(source, request, context, progress)
        return _pull(request, context, progress)
    except EngineError as error:
        why = engine_failure(error, phase=words_phase)
    except CancelledError:
        why = failure(FailureKind.CANCELLED, context.cancel.reason)
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours costs this image, not the run
        why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
    finally:
        seconds, mirror = monotonic() - timeline.began, source.mirror if source else None
        attempts.append(Attempt(timeline.began - began, seconds, why, timeline.phases(), timeline.bytes, mirror))
    return why


def _pull(request: PullRequest, context: RunContext, progress: Callable[[Progress], None]) -> EngineResult:
    """Pull under the name that the request has, and verify what the engine has then."""
    engine, cancel, reference = context.engine, context.cancel, request.reference
    pulled = engine.pull(request, cancel=cancel, clocks=context.settings.clocks, progress=progress)
    _verify(request, pulled, context)
    if reference.tag and reference.digest:  # engines leave the tag beside a digest where it was
        engine.store.tag(f"{reference.name}@{reference.digest}", reference)
    return pulled


def _pull_from(
    source: MirrorSource, request: PullRequest, context: RunContext, progress: Callable[[Progress], None]
) -> EngineResult:
    """Pull from a mirror, and give the image the name that was asked for."""
    engine = context.engine
    there = engine.inspect(source.reference, cancel=context.cancel)
    _pull(replace(request, reference=source.reference), context, progress)
    is_ours = there is None or there.identity is None
    adopt(engine, request, source, lambda wanted: _pull(wanted, context, progress), untag=is_ours)
    return EngineResult(source.said.digest, up_to_date=False)


def _verify(request: PullRequest, pulled: EngineResult, context: RunContext) -> None:
    """Compare what the engine has now with the digest that was asked for, or else announced.

    Raises EngineError where they differ, CancelledError when the run is told to stop.
    """
    reference = request.reference
    wanted = reference.digest or pulled.digest
    kept = context.engine.inspect(reference, cancel=context.cancel)
    if wanted is None or kept is None:
        return
    if kept.identity is None and request.platform:
        return  # some engines see the images of their own platform only
    if reference.digest and pulled.digest not in (None, reference.digest):
        message = f"asked for {reference.digest}, the engine announced {pulled.digest}"
    elif kept.identity is None:
        message = f"the engine announced {wanted} and has no such image"
    elif kept.digests and wanted not in kept.digests:
        message = f"expected {wanted}, the engine has {', '.join(kept.digests)}"
    else:
        return
    raise EngineError(message, kind=FailureKind.DIGEST_MISMATCH)
