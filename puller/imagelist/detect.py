"""How to read a list, decided from its name and its first line that is neither blank nor a comment."""

import re
from enum import Enum
from typing import BinaryIO

from puller.imagelist.entry import BadLine, Source
from puller.imagelist.text import LONGEST_LINE, item

_LOOKED_AT = 256 * 1024
"""Bytes of comments before the first line of content."""
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
    """YAML or JSON; its values tell which format."""


def detect(stream: BinaryIO, name: str) -> tuple[Shape, bytes]:
    """Return how to read `stream`, and what was read of it to find that out."""
    seen, first = b"", ""
    while not first and len(seen) < _LOOKED_AT and (line := stream.readline(LONGEST_LINE + 1)):
        seen += line
        first = _content(line)
    return _shape(first, name), seen


def _content(line: bytes) -> str:
    """Return a line without its white space; empty when it is blank or a comment."""
    text = line.decode(errors="replace").removeprefix("\ufeff").strip()
    return "" if text.startswith("#") else text


def _shape(first: str, name: str) -> Shape:
    if "\0" in first:
        return Shape.TEXT  # whose parser reports binary data
    if DOCKERFILE_NAME.fullmatch(name) and not _DATA_NAME.fullmatch(name):
        return Shape.DOCKERFILE
    if _DATA.match(first):
        return Shape.DATA
    if _DATA_NAME.fullmatch(name):
        # A name is a hint only: a list of references in `images.yaml` is a list of references.
        return Shape.DATA if isinstance(item(first.encode(), Source(name)), BadLine) else Shape.TEXT
    return Shape.DOCKERFILE if _DOCKERFILE.match(first) else Shape.TEXT
