"""Whether downloads by puller from a registry are worth more than those by the engine.

An engine may reach what puller cannot: through its own proxy, credentials or certificates. So no pull of the engine is
cancelled for downloads of puller before these have shown that they bring more bytes a second. Where they do not, or
fail, the registry is left to the engine for the rest of the run.
"""

from typing import NamedTuple

_FIRST_BYTE = 2.0
"""Seconds from the first request until the first byte must have come."""
_LEAST = 300_000
"""Bytes that a decision is made from."""
_SHORTEST, _LONGEST = 0.3, 1.2
"""Seconds from the first byte: the decision is made not before the first, and by the second."""
_IDLE = 0.5
"""Seconds without a request after which a trial begins anew: there was too little to download."""
_UNDECIDED = 10.0
"""Seconds without a request after which a registry is left undecided no longer: nothing can be downloaded there now."""
_ERRORS = 24
"""Failed tries without a byte between them after which a registry is left later."""
_SILENCE = 5.0
"""Seconds without a byte after which it is left later."""


class Traffic(NamedTuple):
    """What puller has fetched from a registry."""

    received: int = 0
    """Bytes."""
    connections: int = 0
    """Connections in use."""
    errors: int = 0
    """Tries that failed."""
    limited: bool = False
    """Whether the registry has set a rate limit."""


class RegistryTrial:
    """The trial of one registry; not thread-safe. Times are in seconds of any one clock."""

    def __init__(self, engine_rate: float) -> None:
        """`engine_rate` is how many bytes a second the engine received before."""
        self._rate = engine_rate
        self.passed = False
        self.failure = ""
        """Why the registry is left to the engine; empty as long as it is not."""
        self._requested: float | None = None
        self._begun: tuple[float, int] | None = None
        """When the first byte had not come yet, and the bytes that the engine had."""
        self._before, self._busy = 0, 0.0
        """Bytes that puller had before the trial, and when it last had a connection, or the trial began."""
        self._last, self._engine = 0.0, 0
        self._heard, self._received, self._errors = 0.0, 0, 0
        """Later: when the last byte came, the bytes and the failures until then."""

    @property
    def over(self) -> bool:
        return self.passed or bool(self.failure)

    def update(self, now: float, traffic: Traffic, engine: int) -> None:
        """Take in what puller has fetched, and the bytes that the engine has received."""
        if self.failure:
            return
        if self.passed:
            self._watch(now, traffic)
        elif traffic.errors or traffic.limited:
            self.failure = "a request failed"
        else:
            self._decide(now, traffic, engine)
        self._last, self._engine = now, engine

    def _wait_for_work(self, now: float, traffic: Traffic) -> None:
        """Begin anew after a time without a request, and end the trial after a longer one."""
        if traffic.connections or not self._busy:
            self._busy = now
        elif now - self._busy >= _UNDECIDED:
            self.failure = "puller has nothing to download there"
        elif now - self._busy >= _IDLE:
            self._requested = self._begun = None
            self._before = traffic.received
        if self._requested is None and traffic.connections:
            self._requested = self._last or now

    def _decide(self, now: float, traffic: Traffic, engine: int) -> None:
        self._wait_for_work(now, traffic)
        if self._requested is None:
            return
        received = traffic.received - self._before
        if not received:
            if now - self._requested >= _FIRST_BYTE:
                self.failure = "it sends nothing"
            return
        if self._begun is None:
            self._begun = max(self._last, self._requested), self._engine
        began, before = self._begun
        seconds = now - began
        if seconds >= _SHORTEST and received >= _LEAST:
            rate = received / seconds
            self.passed = rate > max(self._rate, (engine - before) / seconds)
            self._heard, self._received, self._errors = now, traffic.received, traffic.errors
        if seconds >= _LONGEST and not self.passed:
            self.failure = "the engine downloads as fast"

    def _watch(self, now: float, traffic: Traffic) -> None:
        """Notice that a registry serves puller no longer."""
        if traffic.received > self._received:
            self._heard, self._received, self._errors = now, traffic.received, traffic.errors
        elif not (traffic.connections or traffic.limited):
            self._heard = now
        elif now - self._heard >= _SILENCE:
            self.failure = "it sends nothing any more"
        if traffic.errors - self._errors >= _ERRORS:
            self.failure = "its requests fail"
