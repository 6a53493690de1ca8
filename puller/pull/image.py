"""The pull of one image, from its registry or a mirror, with retries. A failed image is a value, not an exception."""

from puller.errors import CancelledError, FailureClass, FailureKind
from puller.events import Paused, RetryScheduled
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.model import Attempt, EngineResult, PullOutcome, PullRequest, Status
from puller.pull.attempt import attempt
from puller.pull.context import RunContext
from puller.pull.mirrors import MirrorSource
from puller.registry.health import RegistryHealth
from puller.registry.resolver import explained
from puller.settings import MirrorUse, RetryPolicy
from puller.system.clock import monotonic

_ENGINE_FAILURES = {FailureKind.DAEMON_UNREACHABLE, FailureKind.ENGINE_DISCONNECTED}


class ImagePull:
    """The pull of one image, with all its attempts."""

    def __init__(self, request: PullRequest, context: RunContext) -> None:
        self.request, self.context = request, context
        self.began = monotonic()
        self.attempts: list[Attempt] = []
        self.excluded_mirrors: set[str] = set()  # those without this image, or with another of its name
        self.source: MirrorSource | None = None  # the mirror that served the image; None for its registry

    @property
    def health(self) -> RegistryHealth:
        return self.context.pools.health(self.request.reference.registry)

    def run(self, policy: RetryPolicy) -> PullOutcome:
        """Pull with the retries of the policy. A second call adds to the attempts of the first."""
        digest, why, warning = None, None, ""
        try:
            pulled = with_retries(self._try, policy, sleep=self.context.cancel.sleep, on_retry=self._announce_retry)
        except AttemptFailedError as error:
            why = explained(error.failure, self.request.reference, self.context.registries)
            status = Status.FAILED
        except CancelledError:
            status, why = Status.CANCELLED, failure(FailureKind.CANCELLED, self.context.cancel.reason)
        else:
            status, digest = Status.UP_TO_DATE if pulled.up_to_date else Status.PULLED, pulled.digest
            warning = pulled.warning
        seconds, waited = monotonic() - self.began, self.began - self.context.began
        outcome = PullOutcome.of(self.request, status, digest, why, seconds, waited, tuple(self.attempts))
        mirror, confirmed = (self.source.mirror, self.source.confirmed) if self.source else (None, True)
        return outcome._replace(mirror=mirror, confirmed=confirmed, warning=warning)

    def _try(self) -> EngineResult:
        """Try the registry and its mirrors in the configured order; an impaired registry comes after its mirrors."""
        context, health = self.context, self.health
        use = context.mirrors.use(self.request.reference.registry)
        mirrors_first = use is MirrorUse.FIRST or (use is not None and health.impaired)
        if mirrors_first and (pulled := self._from_mirrors()):
            return pulled
        try:
            health.wait(context.cancel, context.too_long)
            with context.pools.slot(self.request.reference.registry):
                context.cancel.check()
                result = attempt(self.request, context, self.attempts, self.began)
            self._record(self.request.reference.registry, health, result)
            if isinstance(result, Failure):
                raise self._registry_failure(result)
        except AttemptFailedError as error:
            fall_back = use is not None and not mirrors_first and error.failure.retryable
            if fall_back and (pulled := self._from_mirrors()):
                return pulled
            raise
        return result

    def _from_mirrors(self) -> EngineResult | None:
        """Pull from the first mirror that has the image; None when no mirror has it."""
        context = self.context
        for source in context.mirrors.sources(self.request.reference):
            if source.mirror in self.excluded_mirrors:
                continue
            with context.pools.slot(source.reference.registry):
                context.cancel.check()
                result = attempt(self.request, context, self.attempts, self.began, source)
            self._record(source.reference.registry, source.health, result)
            if isinstance(result, EngineResult):
                self.source = source
                return result
            result = self._wait_for_engine(result)
            if result.kind in _ENGINE_FAILURES or result.failure_class is FailureClass.HOST_FATAL:
                raise AttemptFailedError(result)
            if result.failure_class is FailureClass.RATE_LIMITED:
                source.health.rate_limit.extend(result.wait or context.throttle_wait(len(self.attempts)), result)
            elif not result.retryable or result.kind is FailureKind.DIGEST_MISMATCH:
                self.excluded_mirrors.add(source.mirror)
        return None

    def _record(self, registry: str, health: RegistryHealth, result: EngineResult | Failure) -> None:
        """Record an attempt. If this host's network was down, wait for it; the registry is not to blame then."""
        why = result if isinstance(result, Failure) else None
        if not self.context.network_came_back(registry, why):
            health.breaker.record(why)

    def _registry_failure(self, why: Failure) -> AttemptFailedError:
        """Return the error that tells `with_retries` how long to wait, and set the registry's rate limit.

        Raises CancelledError when the run is cancelled while it waits for the engine.
        """
        context, limit = self.context, self.health.rate_limit
        why = self._wait_for_engine(why)
        wait = why.wait
        if wait is None and why.failure_class is not FailureClass.RATE_LIMITED:
            return AttemptFailedError(why)
        if wait is None or context.too_long(wait):  # engines report long waits vaguely; registries' headers are exact
            wait = limit.left or context.registries.wait_of(self.request.reference) or wait
        if wait is None:
            wait = context.throttle_wait(len(self.attempts))
        extended = limit.extend(wait, why)
        if context.too_long(wait):
            return AttemptFailedError(why._replace(wait=wait, until=limit.until), final=True)
        if extended:
            context.emit(Paused(self.request.reference.registry, why, wait))
        return AttemptFailedError(why._replace(wait=wait))

    def _wait_for_engine(self, why: Failure) -> Failure:
        """Wait for the engine if the failure shows that it is unreachable; any other failure is returned unchanged.

        Raises CancelledError when the run is cancelled meanwhile.
        """
        context, unreachable = self.context, FailureKind.DAEMON_UNREACHABLE
        # The docker command reports an unexpected EOF both when the engine exits and when a registry hangs up.
        ambiguous = why.kind in (FailureKind.UNEXPECTED_EOF, FailureKind.UNVERIFIED)
        if not ambiguous and why.kind not in _ENGINE_FAILURES:
            return why
        if ambiguous and not context.recovery.missing():
            return why
        if context.recovery.comes_back(context.cancel):
            return failure(FailureKind.ENGINE_DISCONNECTED, why.message)
        return why if why.kind is unreachable else failure(unreachable, f"the engine does not answer: {why.message}")

    def _announce_retry(self, why: Failure, delay: float) -> None:
        self.context.emit(RetryScheduled(self.request, len(self.attempts), why, delay))
