"""A reverse proxy in front of a registry: it counts what the registry is asked, and does harm by rule."""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.lab.exchange import Exchange, ProxyClosedError
from tests.lab.faults import Action, Rule, forward
from tests.lab.process import WorldError, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from tests.lab.registry import Registry

CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Request:
    """A request as the proxy saw it; times are time.monotonic() seconds.

    There is no status while none was sent, and no end while it is under way.
    """

    method: str
    path: str
    status: int | None
    started: float
    ended: float | None
    headers: tuple[tuple[str, str], ...]
    sent: int = 0
    """Bytes of the answer's body that went out."""

    def header(self, name: str) -> str | None:
        """Return the first header of that name, if there is one."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether the whole method matches a regular expression and the path contains a match of another."""
        return bool(re.fullmatch(method, self.method) and re.search(path, self.path))


class _Server(http.server.ThreadingHTTPServer):
    """A server with a thread for each connection, which prints no tracebacks."""

    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing: a broken connection is what a fault looks like from here."""


class Proxy:
    """A proxy that belongs to the test; use it as a context manager, or close it."""

    def __init__(self, registry: Registry, rules: Iterable[Rule] = ()) -> None:
        """Listen on a free loopback port for requests to the registry."""
        self.upstream = registry.address
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._log: list[Request] = []
        self._live: dict[socket.socket, threading.Thread] = {}
        self.use(*rules)
        handler = type("BoundExchange", (Exchange,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._listener = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="proxy", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        """Return the proxy, which listens already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the proxy."""
        self.close()

    @property
    def url(self) -> str:
        """Where the registry's API begins through the proxy, without a slash at the end."""
        return f"http://{self.address}"

    @property
    def log(self) -> list[Request]:
        """What was asked since the last `forget`, in the order of arrival."""
        with self._lock:
            return list(self._log)

    def use(self, *rules: Rule) -> None:
        """Replace all rules; the first one that matches a request and is not used up is applied to it."""
        with self._lock:
            self._rules = list(rules)
            self._uses = [0] * len(rules)

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log = []

    def count(self, method: str = ".*", path: str = "") -> int:
        """Count the requests whose whole method and part of whose path match the regular expressions."""
        return sum(request.matches(method, path) for request in self.log)

    def sent(self, method: str = ".*", path: str = "") -> int:
        """Sum up the bytes of the bodies that went out in answer to matching requests."""
        return sum(request.sent for request in self.log if request.matches(method, path))

    def in_flight(self, method: str = ".*", path: str = "") -> int:
        """Count the matching requests that are under way at this moment."""
        return sum(request.ended is None and request.matches(method, path) for request in self.log)

    def wait_for(self, method: str = ".*", path: str = "", *, count: int = 1, seconds: float = 30) -> None:
        """Wait until so many matching requests have come; raises WorldError when they do not come in time."""
        if not wait_until(lambda: self.count(method, path) >= count, seconds):
            raise WorldError(
                f"{self.count(method, path)} instead of {count} requests like {method} {path} in {seconds:g} s"
            )

    def max_in_flight(self, path: str = "") -> int:
        """Return how many requests with a matching path were under way at once, at most.

        If the expression has a group, its distinct values are counted instead: r"/v2/(.+)/blobs/" gives the
        greatest number of repositories from which blobs were fetched at the same time.
        """
        spans: list[tuple[str, float, float]] = []
        for request in self.log:
            if found := re.search(path, request.path):
                key = found.group(1) if found.re.groups else str(len(spans))
                spans.append((key, request.started, float("inf") if request.ended is None else request.ended))
        # The number can only rise when something starts.
        return max((len({key for key, begin, end in spans if begin <= now < end}) for _, now, _ in spans), default=0)

    def close(self) -> None:
        """End what is under way and stop listening; no thread is left on return. Harmless when done twice."""
        if self.closing.is_set():
            return
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._listener.join(CLOSE_SECONDS)
        with self._lock:
            live = dict(self._live)
        for connection, thread in live.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(CLOSE_SECONDS)

    def enter(self, connection: socket.socket) -> None:
        """Remember a connection of the current thread, to end it on close; raises ProxyClosedError after that."""
        with self._lock:
            if self.closing.is_set():
                raise ProxyClosedError
            self._live[connection] = threading.current_thread()

    def leave(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._live.pop(connection, None)

    def serve(self, exchange: Exchange) -> None:
        """Log a request and carry out the action that the rules have for it."""
        started = time.monotonic()
        request = Request(exchange.command, exchange.path, None, started, None, tuple(exchange.headers.items()))
        with self._lock:
            log, place = self._log, len(self._log)
            log.append(request)
            act = self._action(request)

        def note() -> None:
            with self._lock:
                log[place] = replace(request, status=exchange.status, ended=exchange.ended, sent=exchange.sent)

        exchange.note = note
        try:
            act(exchange)
        finally:
            exchange.finish_record()

    def _action(self, request: Request) -> Action:
        for place, rule in enumerate(self._rules):
            left = rule.times is None or self._uses[place] < rule.times
            if left and rule.matches(request.method, request.path, request.header("User-Agent") or ""):
                self._uses[place] += 1
                return rule.act
        return forward
