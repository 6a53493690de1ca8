"""JSON as nodes (RFC 8259): the standard library's reader of strings, and lines, which it does not keep."""

import re
from bisect import bisect_right
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined] # typeshed leaves it out
from typing import TYPE_CHECKING

from puller.imagelist.entry import BadLine, Source
from puller.imagelist.nodes import DEEPEST, LITERAL, MOST, TOO_DEEP, Node, Parsed, Repeated

if TYPE_CHECKING:
    from typing import NoReturn


_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def parse(text: str, name: str) -> Parsed:
    """Read one JSON document; `name` is what complaints call it."""
    reader = _Reader(text, name)
    try:
        node = reader.value(reader.space(0), 0)
        reader.end()
    except JSONDecodeError as error:
        return Parsed(problem=BadLine(Source(name, error.lineno), "", f"not valid JSON: {error.msg}"))
    return Parsed((node,), tuple(reader.repeated))


class _Reader:
    """Reads values one after the other; `position` is behind what was read."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._count = 0
        self.position = 0
        self.repeated: list[Repeated] = []

    def space(self, position: int) -> int:
        """Say where the next thing begins."""
        match = _SPACE.match(self._text, position)
        return match.end() if match else position

    def end(self) -> None:
        """Refuse anything behind the document."""
        if self.space(self.position) != len(self._text):
            self._fail("something stands behind the end", self.space(self.position))

    def value(self, position: int, depth: int) -> Node:
        """Read the value that begins here."""
        self._count += 1
        if depth > DEEPEST or self._count > MOST:
            self._fail(f"{TOO_DEEP}, or more than {MOST} values", position)
        found: str | list[Node] | dict[str, Node] | None
        match self._text[position : position + 1]:
            case '"':
                found, self.position = scanstring(self._text, position + 1, True)  # noqa: FBT003 - its signature
            case "[":
                found = self._array(position, depth)
            case "{":
                found = self._object(position, depth)
            case _:
                word = _WORD.match(self._text, position) or self._fail("expected a value", position)
                found, self.position = (None if word.group() == "null" else word.group()), word.end()
        quoted = self._text[position] == '"'
        return Node(found, self._name, self._line(position), LITERAL if isinstance(found, str) and not quoted else "")

    def _array(self, position: int, depth: int) -> list[Node]:
        members: list[Node] = []
        while not self._closed("]", position, first=not members):
            members.append(self.value(self.position, depth + 1))
            position = self.position
        return members

    def _object(self, position: int, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        while not self._closed("}", position, first=not fields):
            start = self.position
            if self._text[start : start + 1] != '"':
                self._fail("expected a key in double quotes", start)
            key, after = scanstring(self._text, start + 1, True)  # noqa: FBT003
            colon = self.space(after)
            if self._text[colon : colon + 1] != ":":
                self._fail("expected a colon", colon)
            if key in fields:
                self.repeated.append(Repeated(key, Source(self._name, self._line(start)), fields[key].line))
            fields[key] = self.value(self.space(colon + 1), depth + 1).at(self._line(start))
            position = self.position
        return fields

    def _closed(self, bracket: str, position: int, *, first: bool) -> bool:
        """Go on to the next member, or behind the closing bracket."""
        # Before the first member `position` is that of the opening bracket.
        self.position = self.space(position + 1 if first else position)
        found = self._text[self.position : self.position + 1]
        if found == bracket:
            self.position += 1
            return True
        if not first:
            if found != ",":
                self._fail(f"expected a comma or {bracket}", self.position)
            self.position = self.space(self.position + 1)
        return False

    def _line(self, position: int) -> int:
        return bisect_right(self._ends, position - 1) + 1 if position else 1

    def _fail(self, reason: str, position: int) -> "NoReturn":
        raise JSONDecodeError(reason, self._text, position)
