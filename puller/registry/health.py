"""The health of a registry: its rate limit, and a circuit breaker for connection failures."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.errors import FailureKind
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError

_K = FailureKind
CONNECTION_FAILURES = {
    _K.CONNECTION_REFUSED,
    _K.CONNECTION_RESET,
    _K.DNS_FAILURE,
    _K.NETWORK_UNREACHABLE,
    _K.REGISTRY_PING_FAILED,
    _K.STALLED,
    _K.TIMEOUT,
    _K.TLS_HANDSHAKE_TIMEOUT,
    _K.UNEXPECTED_EOF,
}
"""Failures of the connection. Some of these kinds have other causes too; the breaker's probe finds out."""
BREAKER_LIMIT = 5
"""Connection failures in a row after which a registry counts as down."""
_PROBE_VALID = 5.0
"""Seconds for which a failed probe counts for all images, so that hundreds of them do not each probe."""
LONGEST_WAIT = 24 * 3600.0
"""Longest rate limit in seconds; a longer one is a mistake of the registry, or too long for any run."""


class CircuitBreaker:
    """Counts one registry's connection failures: open after `limit` in a row, closed by the first success."""

    def __init__(self, limit: int, probe: Callable[[], bool]) -> None:
        """`probe` tells whether the registry answers; one thread at a time calls it."""
        self._limit = limit
        self.probe = probe
        self._lock = Lock()
        self._probing = Lock()
        self._failures = 0
        self._no_answer_at = float("-inf")
        self.last: Failure | None = None

    @property
    def open(self) -> bool:
        """Whether the registry counts as down."""
        return self._failures >= self._limit

    def record(self, failure: Failure | None) -> None:
        """Record the result of an attempt; any answer, even a refusal, closes the breaker."""
        with self._lock:
            if failure is None or failure.kind not in CONNECTION_FAILURES:
                self._failures = 0
            else:
                self._failures, self.last = self._failures + 1, failure

    def admits(self) -> bool:
        """Whether to try: always while the breaker is closed, and while it is open if a probe succeeds."""
        if not self.open:
            return True
        with self._probing:
            if monotonic() - self._no_answer_at < _PROBE_VALID:
                return False
            if self.probe():
                return True
            self._no_answer_at = monotonic()
            return False


class RateLimit:
    """The rate limit of one registry: its end, which only moves later, and its reason."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends = 0.0
        self.until: datetime | None = None
        """When the limit ends, rounded up to a second; None before the first limit."""
        self.why: Failure | None = None

    @property
    def left(self) -> float:
        """Seconds until the limit ends."""
        return max(0.0, self._ends - monotonic())

    def extend(self, seconds: float, why: Failure) -> bool:
        """Extend the limit to at least `seconds` from now, at most `LONGEST_WAIT`; return whether it was extended."""
        seconds = min(max(0.0, seconds), LONGEST_WAIT)
        with self._lock:
            ends = monotonic() + seconds
            if ends <= self._ends:
                return False
            self._ends, self.why = ends, why
            self.until = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
            return True


class RegistryHealth:
    """The rate limit and the breaker of one registry."""

    def __init__(
        self, registry: str, breaker_limit: int = BREAKER_LIMIT, probe: Callable[[], bool] = lambda: True
    ) -> None:
        """See `CircuitBreaker` for the limit and the probe."""
        self.registry = registry
        self.rate_limit = RateLimit()
        self.breaker = CircuitBreaker(breaker_limit, probe)

    @property
    def impaired(self) -> bool:
        """Whether a rate limit is in force, or the registry counts as down."""
        return bool(self.rate_limit.left) or self.breaker.open

    def wait(self, cancel: Cancellation, too_long: Callable[[float], bool]) -> None:
        """Wait until the rate limit ends.

        Raises AttemptFailedError at once if the wait is `too_long` or the registry is down, and CancelledError.
        """
        cancel.check()
        while left := self.wait_left(too_long):
            cancel.sleep(left)
        if not self.breaker.admits():
            last = self.breaker.last
            message = f"{self.registry} does not answer" + (f"; the last failure: {last.message}" if last else "")
            raise AttemptFailedError(failure(FailureKind.REGISTRY_UNAVAILABLE, message), final=True)

    def wait_left(self, too_long: Callable[[float], bool]) -> float:
        """Return the seconds until the rate limit ends; raise AttemptFailedError if that is `too_long`."""
        limit = self.rate_limit
        left, why = limit.left, limit.why
        if why and too_long(left):
            raise AttemptFailedError(why._replace(wait=left, until=limit.until), final=True)
        return left
