"""What the proxy can do to a request, and the rules which say to which."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.exchange import Exchange

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

Action = Callable[[Exchange], None]


@dataclass(frozen=True)
class Rule:
    """Apply an action to requests whose path contains a match of `path`, and whose whole method matches `method`.

    It holds `times` times, or for ever when that is None.
    """

    path: str
    act: Action
    method: str | None = None
    times: int | None = None
    agent: str = ""
    """A regular expression that the User-Agent begins with."""

    def matches(self, method: str, path: str, agent: str = "") -> bool:
        """Tell whether the rule is about such a request."""
        found = re.search(self.path, path) and re.match(self.agent, agent)
        return bool(found and (self.method is None or re.fullmatch(self.method, method)))


def forward(exchange: Exchange) -> None:
    """Pass the request on and the answer back: an action by itself, for an exception ahead of a wider rule."""
    exchange.forward()


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Action:
    """Answer at once; the registry is not asked."""
    return lambda exchange: exchange.reply(status, headers or {}, body)


def delay(seconds: float) -> Action:
    """Wait before the request is passed on."""

    def act(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.forward()

    return act


def hold(release: threading.Event, seconds: float = 30) -> Action:
    """Keep the request until the test sets the event (at most so many seconds), then pass it on."""

    def act(exchange: Exchange) -> None:
        exchange.pause(seconds, release)
        exchange.forward()

    return act


def hang(seconds: float) -> Action:
    """Say nothing at all for some time, then reset the connection."""

    def act(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.reset()

    return act


def reset(after: int = 0) -> Action:
    """Send so many bytes of the body, then break the connection with an RST."""

    def act(exchange: Exchange) -> None:
        _begin(exchange, after)
        exchange.reset()

    return act


def close(after: int = 0) -> Action:
    """Send so many bytes of the body, then close the connection in an orderly way."""

    def act(exchange: Exchange) -> None:
        _begin(exchange, after)
        exchange.hang_up()

    return act


def stall(after: int, seconds: float) -> Action:
    """Send so many bytes of the body, say nothing for some time, then send the rest."""

    def act(exchange: Exchange) -> None:
        with closing(exchange.ask()) as connection:
            response = exchange.answer_of(connection)
            exchange.head(response)
            exchange.copy(response, after)
            exchange.pause(seconds)
            exchange.copy(response)

    return act


def short(after: int) -> Action:
    """Send so many bytes as if that were the whole body."""

    def act(exchange: Exchange) -> None:
        with closing(exchange.ask()) as connection:
            response = exchange.answer_of(connection)
            exchange.head(response, size=min(after, response.size))
            exchange.copy(response, after)

    return act


def drip(bytes_per_second: float, chunk: int = 1024) -> Action:
    """Send the body slowly, a chunk of bytes at a time."""

    def act(exchange: Exchange) -> None:
        with closing(exchange.ask()) as connection:
            response = exchange.answer_of(connection)
            exchange.head(response)
            while sent := exchange.copy(response, chunk):
                exchange.pause(sent / bytes_per_second)

    return act


def corrupt(exchange: Exchange) -> None:
    """Turn over every bit of the body's first byte: an action by itself."""
    with closing(exchange.ask()) as connection:
        response = exchange.answer_of(connection)
        exchange.head(response)
        exchange.send(bytes(byte ^ 0xFF for byte in response.source.read(1)))
        exchange.copy(response)


def _begin(exchange: Exchange, count: int) -> None:
    with closing(exchange.ask()) as connection:
        response = exchange.answer_of(connection)
        exchange.head(response)
        exchange.copy(response, count)
