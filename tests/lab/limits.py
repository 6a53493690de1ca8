"""A registry that sets limits: so many requests refused for so long, with or without saying how long."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.exchange import Exchange

BODY = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"Too many requests, please slow down"}]}'
"""What a registry says that throttles."""
QUOTA = (
    b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit. '
    b'https://www.docker.com/increase-rate-limit"}]}'
)
"""What Docker Hub says when the pulls of some hours are used up."""


class RateLimit:
    """An action: 429 until so many seconds after the first request of a window, and the truth in Retry-After.

    A request that comes after a window opens the next one, as long as there is one. A look at Retry-After by puller
    itself opens none: how late it comes is a matter of the machine's load.
    """

    def __init__(self, seconds: float, windows: int | None = 1) -> None:
        """Refuse for so many windows, or for ever when that is None."""
        self._seconds = seconds
        self._windows = windows
        self._end = -math.inf
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        """Refuse the request, or pass it on when no window is open."""
        with self._lock:
            now = time.monotonic()
            looks = exchange.headers.get("User-Agent", "").startswith("puller")
            if now >= self._end and self._windows != 0 and not looks:
                self._end = now + self._seconds
                self._windows = None if self._windows is None else self._windows - 1
            left = self._end - now
        if left > 0:
            headers = {"Content-Type": "application/json", "Retry-After": str(math.ceil(left))}
            exchange.reply(429, headers, BODY)
        else:
            exchange.forward()
