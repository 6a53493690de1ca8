"""The pace at which the bytes of a response pass: within a bandwidth, and in pieces of a useful size."""

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from time import monotonic, sleep

from puller.errors import RegistryError

_PIECE = 256 << 10
"""Bytes to write at a time, if they come fast; each write takes locks, and writes to the journal."""
_SLOW, _PAUSE = 0.01, 0.05
"""Seconds after which a read counts as slow, and seconds to pause after a slow read, at most."""
_BURST = 0.1
"""Seconds' worth of bytes that may pass at once after an idle time."""


class BandwidthLimit:
    """A bandwidth that many connections share: each waits until its bytes are within the limit, first come first."""

    def __init__(
        self, rate: float | None, sleep: Callable[[float], object], now: Callable[[], float] = monotonic
    ) -> None:
        """`rate` is in bytes a second; None means no limit."""
        self._rate = rate
        self._sleep = sleep
        self._now = now
        self._free = 0.0
        self._lock = Lock()

    def share(self, count: int) -> int:
        """Return how many of `count` bytes to send at once, so that no connection waits long for those of others."""
        return count if self._rate is None else min(count, max(1, int(self._rate * _BURST)), _PIECE)

    def take(self, count: int) -> None:
        """Wait after receiving `count` bytes, or before sending them."""
        if self._rate is None:
            return
        with self._lock:
            now = self._now()
            self._free = max(self._free, now - _BURST) + count / self._rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)


def pieces(body: Iterable[bytes], left: int) -> Iterator[list[bytes]]:
    """Yield up to `left` bytes of a body in pieces, also those that come before an error.

    A slow read ends a piece, and the time until half a piece has come is a pause, so that there are fewer reads.
    """
    chunks, size = list[bytes](), 0
    began = before = monotonic()
    try:
        for chunk in body:
            now = monotonic()
            slow = now - before > _SLOW
            chunks.append(chunk[: left - size])
            size += len(chunks[-1])
            if slow or size >= min(_PIECE, left):
                yield chunks
                left -= size
                if not left:
                    return
                if slow:
                    sleep(min(_PAUSE, (now - began) * _PIECE / 2 / size))
                began, chunks, size = now, [], 0
            before = monotonic()
    except RegistryError:
        if size:
            yield chunks
        raise
    if size:
        yield chunks
