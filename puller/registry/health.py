"""Whether a registry may be asked now: the rate limit that it has set, and a circuit breaker for lost connections."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.errors import FailureKind
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError

_K = FailureKind
_CONNECTION = {
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
"""Failures of the connection, not of what came over it; where the kind is in doubt, the probe decides."""
BREAKER_LIMIT = 5
"""Connection failures in a row after which a registry counts as down."""
_PROBE_VALID = 5.0
"""Seconds for which a probe without an answer holds for all images: hundreds of them must not probe one by one."""
LONGEST_WAIT = 24 * 3600.0
"""Seconds: a registry that asks for more has made a mistake, or has a quota that a run cannot wait for anyway."""


class CircuitBreaker:
    """Counts one registry's connection failures; open after `limit` of them in a row, closed by the first success."""

    def __init__(self, limit: int, probe: Callable[[], bool]) -> None:
        """`probe` tells whether anybody answers at the registry; it is called by one thread at a time."""
        self._limit = limit
        self._probe = probe
        self._lock = Lock()
        self._probing = Lock()
        self._failures = 0
        self._no_answer_at = float("-inf")
        self.last: Failure | None = None
        """The last connection failure."""

    @property
    def open(self) -> bool:
        """Whether the registry counts as down."""
        return self._failures >= self._limit

    def record(self, failure: Failure | None) -> None:
        """Count the end of an attempt; every answer, a refusal too, shows that the registry is there."""
        with self._lock:
            if failure is None or failure.kind not in _CONNECTION:
                self._failures = 0
            else:
                self._failures, self.last = self._failures + 1, failure

    def admits(self) -> bool:
        """Tell whether to try: always while closed; while open only if a probe finds the registry."""
        if not self.open:
            return True
        with self._probing:
            if monotonic() - self._no_answer_at < _PROBE_VALID:
                return False
            if self._probe():
                return True
            self._no_answer_at = monotonic()
            return False


class RateLimit:
    """For how long nothing may be asked of one registry, and why; it only grows."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends = 0.0
        self.until: datetime | None = None
        """When it ends, to the second; None before the first."""
        self.why: Failure | None = None

    @property
    def left(self) -> float:
        """Seconds still to wait."""
        return max(0.0, self._ends - monotonic())

    def extend(self, seconds: float, why: Failure) -> bool:
        """Wait at least so long from now, and no longer than `LONGEST_WAIT`; tell whether that is news."""
        seconds = min(max(0.0, seconds), LONGEST_WAIT)
        with self._lock:
            ends = monotonic() + seconds
            if ends <= self._ends:
                return False
            self._ends, self.why = ends, why
            self.until = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
            return True


class RegistryHealth:
    """What everybody who asks one registry knows of its state."""

    def __init__(
        self, registry: str, breaker_limit: int = BREAKER_LIMIT, probe: Callable[[], bool] = lambda: True
    ) -> None:
        """See `CircuitBreaker` for the limit and the probe."""
        self.registry = registry
        self.rate_limit = RateLimit()
        self.breaker = CircuitBreaker(breaker_limit, probe)

    @property
    def impaired(self) -> bool:
        """Whether the registry has set a rate limit, or counts as down."""
        return bool(self.rate_limit.left) or self.breaker.open

    def wait(self, cancel: Cancellation, too_long: Callable[[float], bool]) -> None:
        """Wait until the rate limit ends; fail at once if that is `too_long`, or if the registry is down.

        Raises AttemptFailedError, and CancelledError when the run is told to stop.
        """
        cancel.check()
        while left := self.wait_left(too_long):
            cancel.sleep(left)
        if not self.breaker.admits():
            last = self.breaker.last
            message = f"{self.registry} does not answer" + (f"; the last failure: {last.message}" if last else "")
            raise AttemptFailedError(failure(FailureKind.REGISTRY_UNAVAILABLE, message), final=True)

    def wait_left(self, too_long: Callable[[float], bool]) -> float:
        """Return the seconds until the rate limit ends; raise AttemptFailedError if they are too many."""
        limit = self.rate_limit
        left, why = limit.left, limit.why
        if why and too_long(left):
            raise AttemptFailedError(replace(why, wait=left, until=limit.until), final=True)
        return left
