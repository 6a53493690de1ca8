"""Image lists: files, directories, URLs and stdin in any format become a stream of items. One module per format."""

import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from puller.errors import ListError
from puller.imagelist import text
from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES, Compose
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.source import LARGEST, ListSource, bounded, is_url, unreadable
from puller.system.files import open_regular
from puller.text import clean

__all__ = ["FORMATS", "BadLine", "Entry", "Item", "Note", "Source", "read"]

FORMATS = ("text", "compose", "kubernetes", "dockerfile", "github", "gitlab", "skopeo", "json")
"""The formats of lists, by the names that `--from` takes."""
_STDIN = "-"
_DATA_FILES = (".yaml", ".yml", ".json")
_TEXT_FILES = (".txt", ".list", ".lock")
_CHART = "Chart.yaml"
_LOOKED_AT = 256 * 1024
"""Bytes of comments that are skipped before the first line of content."""
_DOCKERFILE_NAME = re.compile(r"(?i)(?:.*[./])?(?:dockerfile|containerfile)(?:[.-][^/]*)?")
_DOCKERFILE = re.compile(r"(?i)(?:FROM|ARG)\s+\S")
# A key, or the start of a document or a collection; `[::1]:5000/x` is a reference.
_DATA = re.compile(
    r"---(?:\s|$)|%YAML\s|-\s|-$|[{]|\[(?![0-9A-Fa-f:.]+\])|\"[^\"]*\"\s*:|'[^']*'\s*:|[^\s#\"'][^#]*?:(?:\s|$)"
)


def read(
    lists: Sequence[str],
    images: Sequence[str] = (),
    *,
    list_format: str | None = None,
    profiles: Sequence[str] = (),
    ask_compose: Compose | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Item]:
    """Yield the items of `lists` (paths, URLs, `-` for stdin), then those of the references `images`.

    The format of a list is detected from its content and name unless `list_format` (one of FORMATS) is given.
    `profiles` are Compose profiles; where `ask_compose` returns an answer for a Compose file, that answer decides.
    Raises ListError, while iterating, for a list that cannot be read, and at the end if all lists were empty.
    """
    if lists.count(_STDIN) > 1:
        raise ListError(["-: stdin can be read only once"])
    reader = _Reader(list_format, tuple(profiles), ask_compose, stdin)
    empty = True
    for path in lists:
        for item in reader.items(path):
            empty = empty and isinstance(item, Note) and item.source.line is None
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
    profiles: tuple[str, ...]
    compose: Compose | None
    stdin: BinaryIO | None

    def items(self, path: str) -> Iterator[Item]:
        """Yield the items of one list; raise ListError when it cannot be read."""
        if path == _STDIN:
            # A process may be started without a standard input; sys.stdin is None then.
            stream = self.stdin or getattr(sys.stdin, "buffer", None)
            if stream is None:
                raise ListError(["stdin: is closed"])
            yield from self._stream(stream, ListSource("stdin", Path(), os.environ, self.profiles))
        elif is_url(path):
            from puller.imagelist import url  # noqa: PLC0415 - imports the HTTP client

            yield from self._stream(io.BytesIO(url.fetch(path)), ListSource(url.name_of(path), profiles=self.profiles))
        elif not Path(path).is_dir():
            yield from self._file(path)
        else:
            for found in _files(path, self.list_format):
                try:
                    yield from [found] if isinstance(found, BadLine) else self._file(found, is_member=True)
                except ListError as error:
                    yield BadLine(Source(str(found)), "", str(error).removeprefix(f"{found}: "))

    def _file(self, path: str, *, is_member: bool = False) -> Iterator[Item]:
        file = Path(path)
        is_part = is_member and file.name not in DEFAULT_NAMES
        source = ListSource(path, file.parent, os.environ, self.profiles, self.compose, only_if_needed=is_part)
        try:
            stream = open_regular(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise unreadable(path, error) from None
        with stream:
            yield from self._stream(stream, source, is_member=is_member)

    def _stream(self, stream: BinaryIO, source: ListSource, *, is_member: bool = False) -> Iterator[Item]:
        try:
            is_known = self.list_format or is_member
            found, seen = (self.list_format, b"") if is_known else detect(stream, source.file)
            if found == "text":
                yield from text.parse(stream, source.name, seen)
                return
            data = bounded(seen + stream.read(LARGEST + 1), source.name)
        except OSError as error:
            raise unreadable(source.name, error) from None
        from puller.imagelist import formats  # noqa: PLC0415 - imports PyYAML

        yield from formats.parse(data, source, found, is_member=is_member)


def _files(path: str, list_format: str | None) -> Iterator[str | BadLine]:
    """Yield the files below a directory that may be lists, in order, without hidden ones.

    A Helm chart is a bad line, as it has to be rendered first.
    """
    by_name, ends = list_format == "dockerfile", _TEXT_FILES if list_format == "text" else _DATA_FILES
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if _CHART in names and list_format in (None, "kubernetes"):
            chart = os.path.join(folder, _CHART)  # noqa: PTH118 - Path would change the text the user typed
            yield BadLine(Source(chart), "", f"a Helm chart: render it first: helm template {folder} | puller list -")
            folders[:] = []
            continue
        for name in sorted(names):
            is_list = _DOCKERFILE_NAME.fullmatch(name) if by_name else name.lower().endswith(ends)
            if is_list and not name.startswith(".") and name not in OVERRIDES:
                yield os.path.join(folder, name)  # noqa: PTH118


def detect(stream: BinaryIO, name: str) -> tuple[str | None, bytes]:
    """Return the format of `stream`, and the bytes that were read from it for that.

    It is `text` or `dockerfile`, by the name and the first line that is neither blank nor a comment. None is a file in
    YAML or JSON, whose format only its values tell.
    """
    seen, first = b"", ""
    while not first and len(seen) < _LOOKED_AT and (line := stream.readline(text.LONGEST_LINE + 1)):
        seen += line
        first = line.decode(errors="replace").removeprefix("\ufeff").strip()
        first = "" if first.startswith("#") else first
    return _format(first, name), seen


def _format(first: str, name: str) -> str | None:
    is_data = name.lower().endswith(_DATA_FILES)
    if "\0" in first:
        return "text"  # the parser of text lists reports binary data
    if _DOCKERFILE_NAME.fullmatch(name) and not is_data:
        return "dockerfile"
    if _DATA.match(first):
        return None
    if is_data:
        # A name is a hint only: a list of references in `images.yaml` is a list of references.
        return None if isinstance(text.item(first.encode(), Source(name)), BadLine) else "text"
    return "dockerfile" if _DOCKERFILE.match(first) else "text"
