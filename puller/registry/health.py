"""A circuit breaker: after too many connections to a registry failed in a row, each further try costs a look first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic

from puller.errors import FailureKind
from puller.failure import Failure

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
"""Failures of the connection, not of what came over it. That some are doubtful does no harm: the probe decides."""
_FRESH = 5.0
"""Seconds for which a probe that found nobody speaks for all: hundreds of images are not to ask one by one."""


class Breaker:
    """Counts one registry's connection failures; open after `limit` of them in a row, closed by the first success."""

    def __init__(self, limit: int, probe: Callable[[], bool]) -> None:
        """Let `probe` tell whether anybody answers at the registry; it is called by one thread at a time."""
        self._limit = limit
        self._probe = probe
        self._lock = Lock()
        self._probing = Lock()
        self._failures = 0
        self._found_nobody = float("-inf")
        self.last: Failure | None = None
        """The connection failure that came last."""

    @property
    def open(self) -> bool:
        """Whether the registry counts as down."""
        return self._failures >= self._limit

    def record(self, failure: Failure | None) -> None:
        """Take in how an attempt ended; every answer, a refusal too, shows that the registry is there."""
        with self._lock:
            if failure is None or failure.kind not in _CONNECTION:
                self._failures = 0
            else:
                self._failures, self.last = self._failures + 1, failure

    def admits(self) -> bool:
        """Whether a try is worth making: always while closed; while open only if a probe finds the registry."""
        if not self.open:
            return True
        with self._probing:
            if monotonic() - self._found_nobody < _FRESH:
                return False
            if self._probe():
                return True
            self._found_nobody = monotonic()
            return False


class Cooldown:
    """How long nothing may be asked of one registry, and why; it only grows."""

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
        """Wait at least so long from now; tell whether that is longer than was known."""
        with self._lock:
            ends = monotonic() + seconds
            if ends <= self._ends:
                return False
            self._ends, self.why = ends, why
            self.until = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
            return True
