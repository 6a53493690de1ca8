"""Whether downloads by puller from a registry are worth more than those by the engine.

An engine may reach what puller cannot: through its own proxy, credentials or certificates. So no pull of the engine is
cancelled for downloads of puller before these have shown that they bring more bytes a second. Where they do not, or
fail, the registry is left to the engine for the rest of the run.
"""

from collections import deque
from typing import NamedTuple

_FIRST_BYTE = 2.0
"""Seconds from the first request until the first byte must have come."""
_LEAST = 300_000
"""Bytes that a decision is made from."""
_SHORTEST, _LONGEST = 0.3, 1.2
"""Seconds from the first byte: the decision is made not before the first, and by the second."""
_CLEARLY = 1.5
"""Times the engine's bytes a second, measured from the request on, that decide earlier: what the engine receives
meanwhile is lost. On a wire that all connections share, 8 more cannot get more than the engine had."""
_IDLE = 0.5
"""Seconds without a request after which a trial begins anew: there was too little to download."""
_UNDECIDED = 10.0
"""Seconds without a request after which a registry is left undecided no longer: nothing can be downloaded there now."""
_ERRORS = 24
"""Failed tries without a byte between them after which a registry is left later."""
_SILENCE = 5.0
"""Seconds without a byte after which it is left later."""
_WINDOW = 2.5
"""Seconds from which puller's bytes a second are measured later."""
_SHARE = 0.5
"""The share of the engine's bytes a second below which a registry is left later; a wire may become slow for both."""
_WRONG = 2
"""Blobs with a wrong digest after which a registry is left."""


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
    wrong: int = 0
    """Blobs that came with a wrong digest."""


class RegistryTrial:
    """The trial of one registry; not thread-safe. Times are in seconds of any one clock."""

    def __init__(self, engine_rate: float, engine_connections: int = 1) -> None:
        """`engine_rate` is how many bytes a second the engine received before, over `engine_connections`."""
        self._rate, self._connections = engine_rate, max(1, engine_connections)
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
        self._window: deque[tuple[float, int, int]] = deque()
        """Later: moments of the last seconds, all with a connection of puller, with the bytes and connections."""

    @property
    def over(self) -> bool:
        return self.passed or bool(self.failure)

    def update(self, now: float, traffic: Traffic, engine: int) -> None:
        """Take in what puller has fetched, and the bytes that the engine has received."""
        if self.failure:
            return
        if not self._last:  # how many bytes the engine received during these is not known
            self._before = traffic.received
        if traffic.wrong >= _WRONG:
            self.failure = "it sends wrong content"
        elif self.passed:
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
        least = max(self._rate, (engine - before) / seconds)
        clear = received >= _CLEARLY * least * (now - self._requested) > 0
        if received >= _LEAST and (clear or (seconds >= _SHORTEST and received > least * seconds)):
            self.passed = True
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
        elif not self.failure:
            self.failure = self._slow(now, traffic)

    def _slow(self, now: float, traffic: Traffic) -> str:
        """Return why puller is far slower than the engine was, by the last seconds; empty if it is not.

        With fewer connections than the engine had, such as at the end of a run, it may be slower by as much.
        """
        window = self._window
        if not traffic.connections:
            window.clear()
            return ""
        window.append((now, traffic.received, traffic.connections))
        while len(window) > 1 and now - window[1][0] >= _WINDOW:
            window.popleft()
        began, before, _ = window[0]
        if now - began < _WINDOW:
            return ""
        share = min(1.0, min(each for _, _, each in window) / self._connections)
        received = traffic.received - before
        slow = received / (now - began) < self._rate * share * _SHARE
        return ("it sends less than the engine received" if received else "it sends nothing any more") if slow else ""
