"""One image, from its turn to its end: pull, check, retry. A failed image is a value; nothing here raises for it."""

from dataclasses import replace
from time import monotonic

from puller.errors import CancelledError, EngineError, FailureClass, FailureKind
from puller.events import Progress, RetryScheduled, Started
from puller.failure import Failure, classify, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.model import Attempt, EngineResult, PullOutcome, PullRequest, Status
from puller.pull import arrival
from puller.pull.context import RunContext
from puller.pull.failures import Judge
from puller.pull.mirrors import MirrorSource
from puller.pull.timeline import Timeline
from puller.settings import MirrorUse, RetryPolicy

_THE_ENGINE = {FailureKind.DAEMON_UNREACHABLE, FailureKind.ENGINE_DISCONNECTED}
_RESOLVING, _TRANSFER = "resolving", "transfer"
"""Before and after the engine has the manifest: the same words may mean another thing then."""


def cancelled(request: PullRequest, reason: str) -> PullOutcome:
    """Build the outcome of an image that was never tried."""
    return PullOutcome.of(request, Status.CANCELLED, failure=failure(FailureKind.CANCELLED, reason))


class ImagePull:
    """The story of one image while it is being told."""

    def __init__(self, request: PullRequest, context: RunContext) -> None:
        """Begin the story: the image's turn has come."""
        self.request = request
        self._context = context
        self._lane = context.lanes.of(request.reference.registry)
        self._judge = Judge(request.reference, context, self._lane)
        self._began = monotonic()
        self._attempts: list[Attempt] = []
        self._phase = ""
        self._useless: set[str] = set()
        """Mirrors that do not have this image, or have another."""
        self._source: MirrorSource | None = None
        """The mirror from which it came."""
        self._timeline = Timeline()

    def run(self, policy: RetryPolicy) -> PullOutcome:
        """Pull, trying again as the policy says; a second call goes on where the first one ended."""
        context = self._context
        try:
            pulled = with_retries(self._attempt, policy, sleep=context.cancel.sleep, on_retry=self._announce)
        except AttemptFailedError as error:
            return self._ended(Status.FAILED, failure=error.failure)
        except CancelledError:
            return self._ended(Status.CANCELLED, failure=failure(FailureKind.CANCELLED, context.cancel.reason))
        return self._ended(Status.UP_TO_DATE if pulled.up_to_date else Status.PULLED, digest=pulled.digest)

    def _attempt(self) -> EngineResult:
        """Ask the mirrors, the registry, or both: in the order that the settings say, the healthy first."""
        context, registry = self._context, self.request.reference.registry
        use = context.mirrors.use(registry)
        mirrors_first = use is MirrorUse.FIRST or (use is not None and self._lane.unwell)
        if mirrors_first and (pulled := self._from_mirrors()):
            return pulled
        try:
            return self._from_registry()
        except AttemptFailedError as error:
            fall_back = use is not None and not mirrors_first and error.failure.retryable
            if fall_back and (pulled := self._from_mirrors()):
                return pulled
            raise

    def _from_registry(self) -> EngineResult:
        self._lane.await_turn(self._context.cancel, self._judge.too_long)
        with self._context.lanes.slots:
            self._context.cancel.check()
            result = self._pull_once()
        self._lane.breaker.record(result if isinstance(result, Failure) else None)
        if isinstance(result, Failure):
            raise self._judge.judged(result, len(self._attempts))
        return result

    def _from_mirrors(self) -> EngineResult | None:
        """Pull from the first mirror that can serve; None when none can. What it cannot do once, it need not again."""
        for source in self._context.mirrors.sources(self.request.reference):
            if source.mirror in self._useless:
                continue
            with self._context.lanes.slots:
                self._context.cancel.check()
                result = self._pull_once(source)
            source.lane.breaker.record(result if isinstance(result, Failure) else None)
            if isinstance(result, EngineResult):
                self._source = source
                return result
            result = self._judge.engine_or(result)
            if result.kind in _THE_ENGINE or result.failure_class is FailureClass.HOST_FATAL:
                raise AttemptFailedError(result)
            if result.failure_class is FailureClass.RATE_LIMITED:
                source.lane.cooldown.extend(result.wait or self._judge.throttle(len(self._attempts)), result)
            elif not result.retryable or result.kind is FailureKind.DIGEST_MISMATCH:
                self._useless.add(source.mirror)
        return None

    def _pull_once(self, source: MirrorSource | None = None) -> EngineResult | Failure:
        context, number = self._context, len(self._attempts) + 1
        context.emit(Started(self.request, number))
        self._phase = _RESOLVING
        started, why = monotonic(), None
        timeline = self._timeline = Timeline()
        try:
            pulled = self._mirrored(source) if source else self._pulled(self.request)
        except EngineError as error:
            why = self._read(error)
        except CancelledError:
            why = failure(FailureKind.CANCELLED, context.cancel.reason)
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this image, not the run
            why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            mirror = source.mirror if source else None
            ran = (started - self._began, monotonic() - started)
            self._attempts.append(Attempt(*ran, why, timeline.phases(), timeline.bytes, mirror))
        return why or pulled

    def _pulled(self, request: PullRequest) -> EngineResult:
        """Pull under the name that the request has, and see that it arrived."""
        backend, cancel = self._context.backend, self._context.cancel
        pulled = backend.pull(request, cancel=cancel, clocks=self._context.settings.clocks, progress=self._progress)
        arrival.check(backend, request, pulled, cancel)
        arrival.name(backend, request.reference)
        return pulled

    def _mirrored(self, source: MirrorSource) -> EngineResult:
        backend, cancel = self._context.backend, self._context.cancel
        there = backend.inspect(source.reference, cancel=cancel)
        self._pulled(replace(self.request, reference=source.reference))
        arrival.adopt(backend, self.request, source, self._pulled, mine=there is None or there.identity is None)
        return EngineResult(source.said.digest, up_to_date=False)

    def _read(self, error: EngineError) -> Failure:
        if error.kind:
            return failure(error.kind, error.message)
        return classify(error.message, error.status, phase=self._phase)

    def _progress(self, progress: Progress) -> None:
        if progress.layers:
            self._phase = _TRANSFER
        self._timeline.saw(progress.phase, progress.current)
        self._context.emit(progress if progress.request is self.request else replace(progress, request=self.request))

    def _announce(self, why: Failure, delay: float) -> None:
        self._context.emit(RetryScheduled(self.request, len(self._attempts), why, delay))

    def _ended(self, status: Status, *, digest: str | None = None, failure: Failure | None = None) -> PullOutcome:
        outcome = PullOutcome.of(
            self.request,
            status,
            digest=digest,
            attempts=tuple(self._attempts),
            seconds=monotonic() - self._began,
            failure=failure,
            began=self._began - self._context.began,
        )
        return outcome.by(self._source.mirror, confirmed=self._source.confirmed) if self._source else outcome
