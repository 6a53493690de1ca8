"""What kind of thing a list is, told from its name and its first line that says something."""

import re
from collections import deque
from enum import Enum
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO

from puller.imagelist.entry import BadLine, Source
from puller.imagelist.text import item

if TYPE_CHECKING:
    from collections.abc import Sequence


_LOOKED_AT = 256 * 1024
"""Bytes of comments before the first line that says something."""
_LINE = 64 * 1024
DOCKERFILE_NAME = re.compile(r"(?i)(?:.*[./])?(?:dockerfile|containerfile)(?:[.-][^/]*)?")
_DOCKERFILE = re.compile(r"(?i)(?:FROM|ARG)\s+\S")
_DATA_NAME = re.compile(r"(?i).*\.(?:ya?ml|json)")
# A key, the start of a document or of a collection; `[::1]:5000/x` is a reference.
_DATA = re.compile(
    r"---(?:\s|$)|%YAML\s|-\s|-$|[{]|\[(?![0-9A-Fa-f:.]+\])|\"[^\"]*\"\s*:|'[^']*'\s*:|[^\s#\"'][^#]*?:(?:\s|$)"
)


class Shape(Enum):
    """How a list is to be read."""

    TEXT = "text"
    DOCKERFILE = "dockerfile"
    DATA = "data"
    """YAML or JSON; which kind, its values tell."""


class Replay:
    """A stream from its beginning, although its first lines were looked at."""

    def __init__(self, seen: "Sequence[bytes]", stream: BinaryIO) -> None:
        self._seen = deque(seen)
        self._stream = stream

    def readline(self, size: int = -1) -> bytes:
        """Give back what was looked at, line by line, and then the rest."""
        if not self._seen:
            return self._stream.readline(size)
        line = self._seen.popleft()
        if 0 <= size < len(line):
            self._seen.appendleft(line[size:])
            return line[:size]
        return line

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        seen = b"".join(self._seen)
        self._seen.clear()
        return seen + self._stream.read(max(size - len(seen), 0))

    def peek(self) -> bytes:
        """Look at what comes, where the stream can."""
        return b"".join(self._seen) + (self._stream.peek() if isinstance(self._stream, BufferedReader) else b"")


def sniff(stream: BinaryIO, name: str) -> tuple[Shape, Replay]:
    """Say how to read `stream`, and give it back whole."""
    seen: list[bytes] = []
    size, first = 0, ""
    while not first and size < _LOOKED_AT and (line := stream.readline(_LINE)):
        seen.append(line)
        size += len(line)
        first = _says(line)
    return _shape(first, name), Replay(seen, stream)


def _says(line: bytes) -> str:
    """Take a line without its white space; empty when it is blank or a comment."""
    text = line.decode(errors="replace").removeprefix("\ufeff").strip()
    return "" if text.startswith("#") else text


def _shape(first: str, name: str) -> Shape:
    if "\0" in first:
        return Shape.TEXT  # which says that it is binary
    if DOCKERFILE_NAME.fullmatch(name) and not _DATA_NAME.fullmatch(name):
        return Shape.DOCKERFILE
    if _DATA.match(first):
        return Shape.DATA
    if _DATA_NAME.fullmatch(name):
        # A name is a hint only: a list of references in `images.yaml` is a list of references.
        return Shape.DATA if isinstance(item(first.encode(), Source(name)), BadLine) else Shape.TEXT
    return Shape.DOCKERFILE if _DOCKERFILE.match(first) else Shape.TEXT
