"""How to read a list: detected from its name and the first line that is neither blank nor a comment."""

import re
from enum import Enum
from typing import BinaryIO

from puller.imagelist.entry import BadLine, Source
from puller.imagelist.text import LONGEST_LINE, item

_LOOKED_AT = 256 * 1024
"""Bytes of comments that are skipped before the first line of content."""
DOCKERFILE_NAME = re.compile(r"(?i)(?:.*[./])?(?:dockerfile|containerfile)(?:[.-][^/]*)?")
_DOCKERFILE = re.compile(r"(?i)(?:FROM|ARG)\s+\S")
_DATA_NAME = re.compile(r"(?i).*\.(?:ya?ml|json)")
# A key, or the start of a document or a collection; `[::1]:5000/x` is a reference.
_DATA = re.compile(
    r"---(?:\s|$)|%YAML\s|-\s|-$|[{]|\[(?![0-9A-Fa-f:.]+\])|\"[^\"]*\"\s*:|'[^']*'\s*:|[^\s#\"'][^#]*?:(?:\s|$)"
)


class Shape(Enum):
    """How to read a list."""

    TEXT = "text"
    DOCKERFILE = "dockerfile"
    DATA = "data"
    """YAML or JSON, in a format that its values tell."""


def detect(stream: BinaryIO, name: str) -> tuple[Shape, bytes]:
    """Return how to read `stream`, and the bytes that were read from it for that."""
    seen, first = b"", ""
    while not first and len(seen) < _LOOKED_AT and (line := stream.readline(LONGEST_LINE + 1)):
        seen += line
        first = _content(line)
    return _shape(first, name), seen


def _content(line: bytes) -> str:
    """Return the text of a line; empty when it is blank or a comment."""
    text = line.decode(errors="replace").removeprefix("\ufeff").strip()
    return "" if text.startswith("#") else text


def _shape(first: str, name: str) -> Shape:
    if "\0" in first:
        return Shape.TEXT  # the parser of text lists reports binary data
    if DOCKERFILE_NAME.fullmatch(name) and not _DATA_NAME.fullmatch(name):
        return Shape.DOCKERFILE
    if _DATA.match(first):
        return Shape.DATA
    if _DATA_NAME.fullmatch(name):
        # A name is a hint only: a list of references in `images.yaml` is a list of references.
        return Shape.DATA if isinstance(item(first.encode(), Source(name)), BadLine) else Shape.TEXT
    return Shape.DOCKERFILE if _DOCKERFILE.match(first) else Shape.TEXT
