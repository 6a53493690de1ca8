"""One image: from its registry or its mirrors, with retries. A failed image is a value; nothing here raises for it."""

from dataclasses import dataclass, field
from time import monotonic

from puller.errors import CancelledError, FailureClass, FailureKind
from puller.events import RetryScheduled
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.model import Attempt, EngineResult, PullOutcome, PullRequest, Status
from puller.pull.attempt import attempt
from puller.pull.context import RunContext
from puller.pull.failures import registry_failure, wait_for_engine
from puller.pull.mirrors import MirrorSource
from puller.registry.pools import Lane
from puller.settings import MirrorUse, RetryPolicy

_THE_ENGINE = {FailureKind.DAEMON_UNREACHABLE, FailureKind.ENGINE_DISCONNECTED}


def cancelled(request: PullRequest, reason: str) -> PullOutcome:
    """Build the outcome of an image that was never tried."""
    return PullOutcome.of(request, Status.CANCELLED, failure=failure(FailureKind.CANCELLED, reason))


@dataclass(eq=False, slots=True)
class ImagePull:
    """The pull of one image, with all its attempts."""

    request: PullRequest
    lane: Lane
    """Its registry's."""
    context: RunContext
    began: float = field(default_factory=monotonic)
    attempts: list[Attempt] = field(default_factory=list)
    useless: set[str] = field(default_factory=set)
    """Mirrors that do not have this image, or have another."""
    source: MirrorSource | None = None
    """The mirror from which it came."""

    def run(self, policy: RetryPolicy) -> PullOutcome:
        """Pull, trying again as the policy says; a second call goes on where the first one ended."""
        digest, why = None, None
        try:
            pulled = with_retries(self._try, policy, sleep=self.context.cancel.sleep, on_retry=self._announce_retry)
        except AttemptFailedError as error:
            status, why = Status.FAILED, error.failure
        except CancelledError:
            status, why = Status.CANCELLED, failure(FailureKind.CANCELLED, self.context.cancel.reason)
        else:
            status, digest = Status.UP_TO_DATE if pulled.up_to_date else Status.PULLED, pulled.digest
        outcome = PullOutcome.of(
            self.request,
            status,
            digest=digest,
            attempts=tuple(self.attempts),
            seconds=monotonic() - self.began,
            failure=why,
            began=self.began - self.context.began,
        )
        return outcome.by(self.source.mirror, confirmed=self.source.confirmed) if self.source else outcome

    def _try(self) -> EngineResult:
        """Ask the mirrors, the registry, or both: in the order that the settings say, the healthy first."""
        context = self.context
        use = context.mirrors.use(self.request.reference.registry)
        mirrors_first = use is MirrorUse.FIRST or (use is not None and self.lane.health.impaired)
        if mirrors_first and (pulled := self._from_mirrors()):
            return pulled
        try:
            self.lane.health.wait(context.cancel, context.too_long)
            with context.lanes.slots:
                context.cancel.check()
                result = attempt(self.request, context, self.attempts, self.began)
            self.lane.health.breaker.record(result if isinstance(result, Failure) else None)
            if isinstance(result, Failure):
                raise registry_failure(result, self.request.reference, len(self.attempts), self.lane, context)
        except AttemptFailedError as error:
            fall_back = use is not None and not mirrors_first and error.failure.retryable
            if fall_back and (pulled := self._from_mirrors()):
                return pulled
            raise
        return result

    def _from_mirrors(self) -> EngineResult | None:
        """Pull from the first mirror that can serve; None when none can. What it cannot do once, it need not again."""
        context = self.context
        for source in context.mirrors.sources(self.request.reference):
            if source.mirror in self.useless:
                continue
            with context.lanes.slots:
                context.cancel.check()
                result = attempt(self.request, context, self.attempts, self.began, source)
            source.lane.health.breaker.record(result if isinstance(result, Failure) else None)
            if isinstance(result, EngineResult):
                self.source = source
                return result
            result = wait_for_engine(result, context)
            if result.kind in _THE_ENGINE or result.failure_class is FailureClass.HOST_FATAL:
                raise AttemptFailedError(result)
            if result.failure_class is FailureClass.RATE_LIMITED:
                wait = result.wait or context.throttle_wait(len(self.attempts))
                source.lane.health.rate_limit.extend(wait, result)
            elif not result.retryable or result.kind is FailureKind.DIGEST_MISMATCH:
                self.useless.add(source.mirror)
        return None

    def _announce_retry(self, why: Failure, delay: float) -> None:
        self.context.emit(RetryScheduled(self.request, len(self.attempts), why, delay))
