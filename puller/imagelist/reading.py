"""One list from where it is: a file, a directory, standard input or a URL."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from puller.errors import ListError
from puller.imagelist import text
from puller.imagelist.origin import LARGEST, ComposeWay, Origin, bounded, of_path, why
from puller.imagelist.sniff import Replay, Shape, sniff
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from puller.imagelist.entry import Item


STDIN = "-"
_URL = ("http://", "https://")
KINDS = ("text", "compose", "kubernetes", "dockerfile", "github", "gitlab", "skopeo", "json")
"""The kinds of lists, by the names that `--from` takes."""


def read_list(
    path: str, *, kind: str | None = None, compose: ComposeWay, stdin: BinaryIO | None = None
) -> "Iterator[Item]":
    """Yield what one list holds; raise ListError when it cannot be read."""
    if path == STDIN:
        yield from _read_stdin(kind, compose, stdin)
    elif path.lower().startswith(_URL):
        yield from _read_url(path, kind, compose)
    elif Path(path).is_dir():
        yield from _read_directory(path, kind, compose)
    else:
        yield from _read_file(path, kind, compose)


def _read_url(url: str, kind: str | None, compose: ComposeWay) -> "Iterator[Item]":
    from puller.imagelist.url import describe, fetch  # noqa: PLC0415 - heavy, and rarely needed

    yield from _parse(io.BytesIO(fetch(url)), describe(url, compose.profiles), kind)


def _read_file(path: str, kind: str | None, compose: ComposeWay) -> "Iterator[Item]":
    try:
        stream = open(path, "rb")  # noqa: PTH123, SIM115 - Path would rewrite what the user typed; closed below
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ListError([f"{clean(path)}: {why(error)}"]) from None
    with stream:
        yield from _parse(stream, of_path(path, compose), kind)


def _read_stdin(kind: str | None, compose: ComposeWay, stdin: BinaryIO | None) -> "Iterator[Item]":
    # A process may be started without a standard input; sys.stdin is None then.
    stream = stdin or getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ListError(["stdin: is closed"])
    yield from _parse(stream, Origin("stdin", Path(), os.environ, compose.alone), kind)


def _read_directory(path: str, kind: str | None, compose: ComposeWay) -> "Iterator[Item]":
    from puller.imagelist import directory  # noqa: PLC0415 - needs what a text list does not

    for file, instead in directory.files(path, kind):
        if instead:
            yield instead
        elif kind in ("text", "dockerfile"):
            yield from _read_file(file, kind, compose)
        else:
            yield from directory.parse(file, kind, compose)


def _parse(stream: BinaryIO, origin: Origin, kind: str | None) -> "Iterator[Item]":
    """Read a stream as the `kind` that is given, or else as what it looks like."""
    try:
        shape, source = _SHAPES.get(kind, Shape.DATA), Replay((), stream)
        if kind is None:
            shape, source = sniff(stream, origin.file)
        if shape is Shape.TEXT:
            yield from text.parse(source, origin.name)
            return
        data = bounded(source.read(LARGEST + 1), origin.name)
    except OSError as error:
        raise ListError([f"{clean(origin.name)}: {why(error)}"]) from None
    if shape is Shape.DOCKERFILE:
        from puller.imagelist import dockerfile  # noqa: PLC0415 - likewise

        yield from dockerfile.parse(data, origin.name)
    else:
        from puller.imagelist import kinds  # noqa: PLC0415

        yield from kinds.parse(kinds.load(data, origin), origin, kind)


_SHAPES: dict[str | None, Shape] = {"text": Shape.TEXT, "dockerfile": Shape.DOCKERFILE}
