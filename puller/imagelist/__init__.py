"""Image lists: files, directories, URLs and stdin in any format become a stream of items. One module per format."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from puller.errors import ListError
from puller.imagelist import text
from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.detect import DOCKERFILE_NAME, Shape, detect
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.source import (
    LARGEST,
    AskCompose,
    ComposeOptions,
    ListSource,
    bounded,
    file_source,
    is_url,
    read_file,
    unreadable,
)
from puller.text import clean

__all__ = ["FORMATS", "BadLine", "Entry", "Item", "Note", "Source", "read"]

FORMATS = ("text", "compose", "kubernetes", "dockerfile", "github", "gitlab", "skopeo", "json")
"""The formats of lists, by the names that `--from` takes."""
_STDIN = "-"
_DATA_FILES = (".yaml", ".yml", ".json")
_TEXT_FILES = (".txt", ".list", ".lock")
_CHART = "Chart.yaml"


def read(
    lists: Sequence[str],
    images: Sequence[str] = (),
    *,
    list_format: str | None = None,
    profiles: Sequence[str] = (),
    ask_compose: AskCompose | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Item]:
    """Yield the items of `lists` (paths, URLs, `-` for stdin), then those of the references `images`.

    The format of a list is detected from its content and name unless `list_format` (one of FORMATS) is given.
    `profiles` are Compose profiles; where `ask_compose` returns an answer for a Compose file, that answer decides.
    Raises ListError, while iterating, for a list that cannot be read, and at the end if all lists were empty.
    """
    if lists.count(_STDIN) > 1:
        raise ListError(["-: stdin can be read only once"])
    reader = _Reader(list_format, ComposeOptions(tuple(profiles), ask_compose), stdin)
    empty = True
    for path in lists:
        for item in reader.items(path):
            empty = empty and isinstance(item, Note) and item.is_whole_file
            yield item
    for image in images:
        empty = False
        yield entry_of(image, Source("--image"))
    if empty:
        names = ["stdin" if path == _STDIN else clean(path) for path in lists]
        raise ListError([f"{name}: contains no image reference" for name in names] or ["no image list given"])


class _Reader(NamedTuple):
    """Reads lists, each from a file, a directory, a URL or stdin."""

    list_format: str | None
    compose: ComposeOptions
    stdin: BinaryIO | None

    def items(self, path: str) -> Iterator[Item]:
        """Yield the items of one list; raise ListError when it cannot be read."""
        if path == _STDIN:
            # A process may be started without a standard input; sys.stdin is None then.
            stream = self.stdin or getattr(sys.stdin, "buffer", None)
            if stream is None:
                raise ListError(["stdin: is closed"])
            yield from self._stream(stream, ListSource("stdin", Path(), os.environ, replace(self.compose, ask=None)))
        elif is_url(path):
            yield from self._url(path)
        elif Path(path).is_dir():
            for found in _files(path, self.list_format):
                if isinstance(found, BadLine):
                    yield found
                elif self.list_format in ("text", "dockerfile"):
                    yield from self._file(found)
                else:
                    yield from self._member(found)
        else:
            yield from self._file(path)

    def _file(self, path: str) -> Iterator[Item]:
        try:
            stream = open(path, "rb")  # noqa: PTH123, SIM115 - Path would change the text the user typed; closed below
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise ListError([f"{clean(path)}: {unreadable(error)}"]) from None
        with stream:
            yield from self._stream(stream, file_source(path, self.compose))

    def _url(self, address: str) -> Iterator[Item]:
        url = _module("url")
        yield from self._stream(io.BytesIO(url.fetch(address)), url.describe(address, self.compose.profiles))

    def _stream(self, stream: BinaryIO, source: ListSource) -> Iterator[Item]:
        try:
            shape, seen = _SHAPES.get(self.list_format, Shape.DATA), b""
            if self.list_format is None:
                shape, seen = detect(stream, source.file)
            if shape is Shape.TEXT:
                yield from text.parse(stream, source.name, seen)
                return
            data = bounded(seen + stream.read(LARGEST + 1), source.name)
        except OSError as error:
            raise ListError([f"{clean(source.name)}: {unreadable(error)}"]) from None
        if shape is Shape.DOCKERFILE:
            yield from _module("dockerfile").parse(data, source.name)
        else:
            yield from _structured(data, source, self.list_format)

    def _member(self, path: str) -> Iterator[Item]:
        """Read a structured file of a directory; a file in no known format is left out with a note."""
        whole = os.path.basename(path) in DEFAULT_NAMES  # noqa: PTH119 - as typed
        source = file_source(path, replace(self.compose, only_if_needed=not whole))
        try:
            data = read_file(Path(path), path)
        except ListError as error:
            yield BadLine(Source(path), "", str(error).removeprefix(f"{path}: "))
            return
        yield from _structured(data, source, self.list_format, is_member=True)


def _structured(data: bytes, source: ListSource, list_format: str | None, *, is_member: bool = False) -> Iterator[Item]:
    formats = _module("formats")
    parsed = _module("nodes").load(data, source.name)
    known = list_format or parsed.problem or formats.recognise(parsed, source)
    if is_member and not known:
        yield Note(Source(source.name), "left out: unknown list format")
    else:
        yield from formats.parse(parsed, source, list_format)


def _module(name: str) -> Any:
    """Import what text lists do not need: PyYAML (`nodes`, `formats`), the HTTP client (`url`), `dockerfile`."""
    return import_module(f"puller.imagelist.{name}")


_SHAPES: dict[str | None, Shape] = {"text": Shape.TEXT, "dockerfile": Shape.DOCKERFILE}


def _files(path: str, list_format: str | None) -> Iterator[str | BadLine]:
    """Yield the files below a directory that may be lists, in order, without hidden ones.

    A Helm chart is a bad line, as it has to be rendered first.
    """
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if _CHART in names and list_format in (None, "kubernetes"):
            chart = os.path.join(folder, _CHART)  # noqa: PTH118 - Path would change the text the user typed
            yield BadLine(Source(chart), "", f"a Helm chart: render it first: helm template {folder} | puller list -")
            folders[:] = []
            continue
        for name in sorted(names):
            if _may_be_a_list(name, list_format) and not name.startswith(".") and name not in OVERRIDES:
                yield os.path.join(folder, name)  # noqa: PTH118


def _may_be_a_list(name: str, list_format: str | None) -> bool:
    if list_format == "dockerfile":
        return bool(DOCKERFILE_NAME.fullmatch(name))
    return name.lower().endswith(_TEXT_FILES if list_format == "text" else _DATA_FILES)
