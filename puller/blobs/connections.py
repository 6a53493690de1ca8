"""How many connections to one registry downloads use: as many as increase the bytes a second, and no more.

The number doubles, later increases by a quarter, while the bytes a second grow with it; otherwise the increase is taken
back, and the next one waits, each time longer. Much faster or slower bytes are another wire: then half of the
connections are tried, or twice as many. A registry that refuses requests gets half of them; see docs/prefetch.md.
"""

from typing import NamedTuple

FIRST = 8
"""Connections at the beginning."""
_WINDOW, _LONGEST_WINDOW = 0.3, 3.0
"""Seconds of a measurement; it lasts longer, up to the second number, until one of what follows has come."""
_LEAST_BYTES, _LEAST_RESPONSES = 256 << 10, 4
"""Bytes a connection, and responses a connection, which are enough where blobs are small and round trips long."""
_SETTLE, _LONGEST_SETTLE = 0.1, 1.5
"""Seconds between a change and the next measurement: at least, and at most if first bytes are late."""
_IN_USE = 0.8
"""Share of the connections that must be in use on average; otherwise there was too little to download."""
_GROWS, _GROWS_A_LITTLE = 0.5, 0.2
"""Growth of the bytes a second, as a share of the growth of the connections: it goes on, or this step was the last."""
_FULLY = 0.8
"""Growth from which on the number is doubled again, after smaller steps."""
_ENOUGH = 200_000_000
"""Bytes a second from which on no more connections are tried: they would only take processor time."""
_ALONE = 0.65
"""Share of the most bytes a second of one connection; with less, connections compete, and fewer are tried."""
_NO_LESS = 0.9
"""Share of the bytes a second that fewer connections must reach."""
_FASTER, _SLOWER = 1.6, 0.6
"""Bytes a second of another wire, compared with those before."""
_HOLD, _LONGEST_HOLD = 3.0, 60.0
"""Seconds until more connections are tried again; they double with each failure."""
_REFUSED_HOLD = 10.0
"""The same after a refusal, at least."""
_EPISODE = 1.0
"""Seconds in which all refusals are answers to the same number of connections."""
_REFUSED = 60.0
"""Seconds for which a number that was refused is not tried again."""


class _Measured(NamedTuple):
    connections: int
    rate: float


class ConnectionControl:
    """Decides the number of connections to one registry; not thread-safe. Times are in seconds of any one clock."""

    def __init__(self, ceiling: int) -> None:
        self.wanted = min(FIRST, ceiling)
        self._ceiling = ceiling
        self._most = 0.0
        """Bytes a second of one connection on this wire, at most."""
        self._base: _Measured | None = None
        """The last number that was accepted; with another `wanted`, that number is on trial."""
        self._doubles, self._doubts = True, 0
        self._hold, self._held_until = _HOLD, 0.0
        self._ready, self._began, self._last = 0.0, 0.0, 0.0
        """When measuring may begin, when it began (0 before), and the last update."""
        self._bytes, self._responses, self._in_use = 0, 0, 0.0
        self._episode, self._resets = float("-inf"), 0
        self._refused_at = ceiling

    def update(self, now: float, received: int, active: int, delay: float = 0.0, responses: int = 0) -> int:
        """Return the wanted number, given all bytes received so far and the number of connections in use.

        `delay` is how many seconds pass from the start of a request to its first byte; `responses` counts first bytes.
        """
        if not self._began:
            self._ready = self._ready or now + self._settling(delay)
            if now >= self._ready and active == self.wanted:
                self._began = self._last = now
                self._bytes, self._responses, self._in_use = received, responses, 0.0
            return self.wanted
        self._in_use += active * (now - self._last)
        self._last = now
        seconds, count = now - self._began, received - self._bytes
        enough = count >= _LEAST_BYTES * self.wanted or responses - self._responses >= _LEAST_RESPONSES * self.wanted
        if seconds < (_WINDOW if enough else _LONGEST_WINDOW):
            return self.wanted
        self._began, before = 0.0, self.wanted
        if _IN_USE <= self._in_use / seconds / before <= 1 / _IN_USE and count:
            self._decide(now, count / seconds)
        if self.wanted != before:
            self._ready = now + self._settling(delay)
        return self.wanted

    def refused(self, now: float, active: int, *, reset: bool) -> int:
        """Return the wanted number after a refusal (429, 503) or a `reset`; a single reset is an accident."""
        if now - self._episode < _EPISODE:
            return self.wanted
        if reset:
            self._resets += 1
            if self._resets < max(2, self.wanted // 8):
                return self.wanted
        self._episode, self._resets = now, 0
        self._refused_at = max(1, min(self.wanted, active))
        self.wanted = max(1, self._refused_at // 2)
        self._base, self._doubles, self._doubts = None, False, 0
        self._began, self._ready = 0.0, now + _LONGEST_SETTLE
        self._hold = max(self._hold, _REFUSED_HOLD)
        self._postpone(now)
        return self.wanted

    @staticmethod
    def _settling(delay: float) -> float:
        return min(max(_SETTLE, 2 * delay), _LONGEST_SETTLE)

    def _decide(self, now: float, rate: float) -> None:
        base, self._most = self._base, max(self._most, rate / self.wanted)
        if base is None:
            self._accept(now, rate)
        elif self.wanted > base.connections:
            growth = (rate / base.rate - 1) / (self.wanted / base.connections - 1)
            if growth >= _GROWS_A_LITTLE:
                self._doubles = growth >= (_GROWS if self._doubles else _FULLY)
                self._hold, self._held_until = _HOLD, now if growth >= _GROWS else now + _HOLD
                self._accept(now, rate)
            elif self._doubted():
                self._take_back(now, base)
        elif self.wanted < base.connections:
            if rate >= _NO_LESS * base.rate:
                self._try_fewer(now, max(rate, base.rate))
            elif self._doubted():
                self._take_back(now, base)
        else:
            self._watch(now, rate, base)

    def _watch(self, now: float, rate: float, base: _Measured) -> None:
        """Notice another wire, or a number that is too large."""
        if _SLOWER <= rate / base.rate <= _FASTER:
            if now >= self._held_until and self.wanted > FIRST and rate < _ALONE * self._most * self.wanted:
                self._try_fewer(now, rate)
            else:
                self._accept(now, rate)
        elif self._doubted():
            if rate > base.rate:
                self._try_fewer(now, rate)
            else:
                self._doubles, self._hold, self._held_until = True, _HOLD, now
                self._most = rate / self.wanted
                self._accept(now, rate)

    def _accept(self, now: float, rate: float) -> None:
        """Take this number as the base, and try more of them if that is due."""
        self._base, self._doubts = _Measured(self.wanted, rate), 0
        if now >= self._held_until and rate < _ENOUGH:
            more = 2 * self.wanted if self._doubles else self.wanted + max(1, self.wanted // 4)
            refused = now - self._episode < _REFUSED
            self.wanted = min(more, max(self.wanted, self._refused_at - 1) if refused else self._ceiling)

    def _try_fewer(self, now: float, rate: float) -> None:
        self._base, self._doubts, self._held_until = _Measured(self.wanted, rate), 0, now + self._hold
        self.wanted = max(self.wanted // 2, min(FIRST, self.wanted))

    def _take_back(self, now: float, base: _Measured) -> None:
        self.wanted = base.connections
        self._doubles, self._doubts = False, 0
        self._postpone(now)

    def _postpone(self, now: float) -> None:
        self._held_until = now + self._hold
        self._hold = min(2 * self._hold, _LONGEST_HOLD)

    def _doubted(self) -> bool:
        """Whether this is the second measurement in a row that speaks against the number."""
        self._doubts += 1
        return self._doubts > 1
