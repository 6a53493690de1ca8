"""Image lists: every kind of source becomes one stream of entries and bad lines. One file for each kind."""

import sys
from typing import TYPE_CHECKING, BinaryIO

from puller.errors import ListError
from puller.imagelist import text
from puller.imagelist.entry import BadLine, Entry, Source
from puller.reference import ImageReference
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Parser = Callable[[BinaryIO, str], Iterator[Entry | BadLine]]

__all__ = ["PARSERS", "BadLine", "Entry", "Source", "read"]

STDIN = "-"
PARSERS: "dict[str, Parser]" = {"text": text.parse}
"""The parser of each kind of source: bytes and a name for complaints in, entries and bad lines out."""


def read(
    lists: "Sequence[str]", images: "Sequence[str]" = (), *, stdin: BinaryIO | None = None
) -> "Iterator[Entry | BadLine]":
    """Yield what `lists` (paths, `-` for stdin) hold, then the references `images`, as they are read.

    Raises ListError, on the way, for a list that cannot be read, and at the end when there was nothing in any.
    """
    if lists.count(STDIN) > 1:
        raise ListError(["-: stdin can be read only once"])
    empty = True
    for path in lists:
        for item in _read_stdin(stdin) if path == STDIN else _read_file(path):
            empty = False
            yield item
    for image in images:
        empty = False
        yield _from_option(image)
    if empty:
        names = ["stdin" if path == STDIN else clean(path) for path in lists]
        raise ListError([f"{name}: no image reference in it" for name in names] or ["no image list was named"])


def _read_file(path: str) -> "Iterator[Entry | BadLine]":
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - Path would rewrite what the user typed
            yield from PARSERS["text"](stream, path)
    except IsADirectoryError:
        raise ListError([f"{clean(path)}: is a directory: name a file"]) from None
    except OSError as error:
        raise ListError([f"{clean(path)}: cannot be read: {error.strerror or error}"]) from None


def _read_stdin(stdin: BinaryIO | None) -> "Iterator[Entry | BadLine]":
    # A process may be started without a standard input; sys.stdin is None then.
    stream = stdin or getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ListError(["stdin: is closed"])
    try:
        yield from PARSERS["text"](stream, "stdin")
    except OSError as error:
        raise ListError([f"stdin: cannot be read: {error.strerror or error}"]) from None


def _from_option(image: str) -> Entry | BadLine:
    source = Source("--image")
    try:
        return Entry(ImageReference.parse(image), None, source)
    except ValueError as error:
        return BadLine(source, image, str(error))
