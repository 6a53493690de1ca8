"""The head of an HTTP response: its status line and headers."""

import re
from typing import NamedTuple

LARGEST = 64 << 10
"""Bytes of all headers together."""
_HEAD = re.compile(
    r"HTTP/[0-9.]+ +(?P<status>[1-9][0-9]{2})(?: +(?P<reason>[^\r\n]*))?\r?\n(?P<fields>(?:[^\r\n][^\n]*\n)*)\r?\n"
)
"""A status line with all its headers (RFC 9112 "Message")."""


class ResponseHead(NamedTuple):
    """A status and headers; the names are in lower case."""

    status: int = 0
    reason: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - read only
    multiplexed: bool = False
    """Whether the response came by HTTP/2."""


def parse_head(text: str) -> ResponseHead | None:
    """Parse a complete head, and skip informational responses before it (RFC 9110 "1xx"); None if it is incomplete."""
    for head in _HEAD.finditer(text):
        if head["status"] >= "200":
            reason, multiplexed = (head["reason"] or "").strip(), text.startswith("HTTP/2", head.start())
            return ResponseHead(int(head["status"]), reason, _headers(head["fields"]), multiplexed)
    return None


def _headers(fields: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in fields.split("\n"):
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        # Repeated fields form one list (RFC 9110 "Field Order").
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
