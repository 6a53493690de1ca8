"""The head of an answer in HTTP/1 (RFC 9112): a status and headers, read from a socket, and what came behind them.

Python's http.client reads it with the parser for e-mail, which takes longer to load and to run than all the rest.
"""

import errno
import re
import socket
from time import monotonic
from typing import NamedTuple

_LARGEST = 64 << 10
"""Bytes of a head."""
_CHUNK = 64 << 10
_STATUS = re.compile(r"HTTP/1\.(?P<minor>[01]) (?P<status>[1-9]\d\d)(?: (?P<reason>.*))?")
_END = re.compile(rb"\r?\n\r?\n")
_INFORMATION = range(100, 200)


class Head(NamedTuple):
    """A status with its headers."""

    status: int
    reason: str
    headers: dict[str, str]
    """By names in small letters; what comes several times is one list (RFC 9110 "Field Order")."""
    stays: bool
    """Whether the connection may be used again, as far as this tells."""
    rest: bytes
    """What came behind it: the beginning of a body."""


def read_head(sock: socket.socket, patience: float) -> Head:
    """Read a head, past those that only inform, in so many seconds; raises OSError (TimeoutError, ConnectionError)."""
    data, ends = b"", monotonic() + patience
    while True:
        while (end := _END.search(data)) is None:
            if len(data) > _LARGEST:
                raise _no_answer("its headers have no end")
            chunk = sock.recv(_CHUNK)
            if not chunk:
                raise _no_answer("it hangs up")
            if monotonic() > ends:
                raise TimeoutError
            data += chunk
        head = _read(data[: end.start()].decode("latin-1"), data[end.end() :])
        if head.status not in _INFORMATION:
            return head
        data = head.rest


def _read(text: str, rest: bytes) -> Head:
    first, *lines = text.replace("\r\n", "\n").split("\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise _no_answer("it does not speak HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    wish = headers.get("connection", "").lower()
    stays = "close" not in wish if match["minor"] == "1" else "keep-alive" in wish
    return Head(int(match["status"]), match["reason"] or "", headers, stays, rest)


def _no_answer(words: str) -> ConnectionError:
    return ConnectionError(errno.EPROTO, words)
