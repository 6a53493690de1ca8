"""Image lists: files, directories, URLs and stdin in any format become a stream of items. One module per format."""

import errno
import io
import os
import re
import shlex
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from puller.errors import ListError
from puller.imagelist import text, url
from puller.imagelist.compose_cli import DEFAULT_NAMES, Compose
from puller.imagelist.directory import DATA_FILES, files_of, is_dockerfile
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.notes import summary
from puller.imagelist.source import LARGEST, ListSource, Selection, bounded, is_url, unreadable
from puller.system.files import open_regular
from puller.text import clean, source_name

__all__ = ["FORMATS", "BadLine", "Entry", "Item", "Note", "Source", "read"]

FORMATS = ("text", "compose", "kubernetes", "dockerfile", "github", "gitlab", "cloudbuild", "skopeo", "json")
"""The formats of lists, by the names that `--from` takes."""
_STDIN = "-"
_ALL = Selection()
_LEFT_OUT = "left out: "
_FILE_NAME = r"(?i)\.(?:ya?ml|json|txt|list|lock|toml|csv|conf|env|tar|gz|tgz|zip|xml|ini|md|j2|tpl)(?:$|:)"
"""The end of a name that is hardly meant as an image."""
_TARGETS = ("oci", "archive")
"""What `puller pull --to` writes."""
_LOOKED_AT = 256 * 1024
"""Bytes of comments that are skipped before the first line of content."""
_DOCKERFILE = re.compile(r"(?i)(?:FROM|ARG)\s+\S")


def read(
    lists: Sequence[str],
    images: Sequence[str] = (),
    *,
    list_format: str | None = None,
    selection: Selection = _ALL,
    ask_compose: Compose | None = None,
    stdin: BinaryIO | None = None,
    only_files: bool = False,
) -> Iterator[Item]:
    """Yield the items of `lists` (paths, URLs, `-` for stdin, references unless `only_files`), then `images`.

    `compose.yaml:prod.yaml` are the files of one Compose project. With `only_files` a directory's templates and charts
    are errors, as their images are missing from the list. The format of a list is detected from its content and
    name unless `list_format` (one of FORMATS) is given. Where `ask_compose` returns an answer for a Compose file, that
    answer decides.
    Raises ListError, while iterating, for a list that cannot be read, and at the end if all lists were empty.
    """
    if lists.count(_STDIN) > 1:
        raise ListError(["-: stdin can be read only once"])
    reader = _Reader(list_format, selection, ask_compose, stdin, {}, {}, only_files)
    empty, notes = True, defaultdict[str, list[Note]](list)
    for path in lists:
        for item in reader.items(path):
            if not isinstance(item, Note) or (item.source.line and not item.text.startswith(_LEFT_OUT)):
                empty = False
            elif empty:
                notes[path].append(item)
            yield item
    for image in images:
        empty = False
        yield entry_of(image, Source("--image"))
    if selection.profiles and not reader.services:
        yield Note(Source("--profile"), "has no effect: no list is a Compose file")
    for service in set(selection.services) - {name for _, name in reader.services}:
        empty = False
        yield BadLine(Source("--service"), service, "no Compose file of the lists has this service")
    if empty:
        raise ListError([_nothing(path, notes[path]) for path in lists] or ["no image list given"])


def _nothing(path: str, notes: Sequence[Note]) -> str:
    """Say that a list has no image, and what was left out."""
    name = "stdin" if path == _STDIN else clean(path)
    return "; ".join(
        [f"{name}: contains no image reference", *(line.removeprefix(f"{name}: ") for line in summary(notes, [path]))]
    )


class _Reader(NamedTuple):
    """Reads lists, each from a file, a directory, a URL or stdin."""

    list_format: str | None
    selection: Selection
    compose: Compose | None
    stdin: BinaryIO | None
    services: dict[tuple[Path | None, str], tuple[str | None, Source]]
    builds: dict[Path, list[tuple[str, Any]]]
    """See `ListSource`."""
    only_files: bool

    def items(self, path: str) -> Iterator[Item]:
        """Yield the items of one list; raise ListError when it cannot be read."""
        if path == _STDIN:
            # A process may be started without a standard input; sys.stdin is None then.
            stream = self.stdin or getattr(sys.stdin, "buffer", None)
            if stream is None:
                raise ListError(["stdin: is closed"])
            yield from self._stream(stream, self._described("stdin", Path()))
        elif is_url(path):
            data = io.BytesIO(url.fetch(path))
            yield from self._stream(data, ListSource(source_name(path), selection=self.selection))
        elif Path(path).is_dir():
            yield from self._directory(path)
        elif os.pathsep in path and _is_missing(path) and not any(map(_is_missing, path.split(os.pathsep))):
            yield from self._file(*path.split(os.pathsep))
        elif self.only_files or not _is_missing(path) or Path(path).is_symlink():
            yield from self._file(path)
        else:
            yield from _image(path)

    def _directory(self, path: str) -> Iterator[Item]:
        for found in files_of(path, self.list_format):
            if isinstance(found, BadLine | Note):
                yield self._member(found)
                continue
            try:
                for item in self._file(*found, top=Path(path)):
                    yield self._member(item)
            except ListError as error:
                name, reason = found[0], str(error).removeprefix(f"{found[0]}: ")
                if Path(name).is_symlink() and _is_missing(name):
                    yield Note(Source(name), f"{_LEFT_OUT}a link to a file that does not exist")
                elif not _is_missing(name) and _is_no_list(Path(name).stat()):
                    yield Note(Source(name), f"{_LEFT_OUT}{reason}")
                else:
                    yield BadLine(Source(name), "", reason)

    def _member(self, item: Item) -> Item:
        """Turn a template among the files of a directory into a note, except where a missing image does harm."""
        if isinstance(item, BadLine) and item.is_template and not self.only_files:
            return Note(item.source, f"{_LEFT_OUT}{item.reason}", item.text)
        return item

    def _described(self, name: str, folder: Path, compose: Compose | None = None, **more: Any) -> ListSource:
        more |= {"services": self.services, "builds": self.builds}
        return ListSource(name, folder, os.environ, self.selection, compose, **more)

    def _file(self, path: str, *others: str, top: Path | None = None) -> Iterator[Item]:
        """Read a file, maybe of the directory `top`; `others` belong to the same Compose project."""
        file, is_member = Path(path), top is not None
        source = self._described(
            path,
            file.parent,
            self.compose,
            only_if_needed=is_member and not others and file.name not in DEFAULT_NAMES,
            is_member=is_member,
            overrides=tuple(map(Path, others)),
            top=top or (file.parent if file.is_absolute() else Path()),
        )
        try:
            stream = open_regular(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise unreadable(path, error) from None
        with stream:
            yield from self._stream(stream, source)

    def _stream(self, stream: BinaryIO, source: ListSource) -> Iterator[Item]:
        try:
            name = "compose" if source.overrides else self.list_format
            found, seen = (name, b"") if name or source.is_member else detect(stream, source.file)
            if found == "text":
                yield from text.parse(stream, source.name, seen)
                return
            data = bounded(seen + stream.read(LARGEST + 1), source.name)
        except OSError as error:
            raise unreadable(source.name, error) from None
        from puller.imagelist import formats  # noqa: PLC0415 - imports PyYAML

        yield from formats.parse(data, source, found)


def _is_missing(path: str) -> bool:
    """Tell whether there is no such file; one that cannot be looked at is not missing."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError as error:
        return error.errno in (errno.ELOOP, errno.ENAMETOOLONG)
    return False


def _is_no_list(status: os.stat_result) -> bool:
    return not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST


def _image(text: str) -> Iterator[Item]:
    """Yield the image that an argument names which is no file; raise ListError if it looks like a file."""
    item = entry_of(text, Source("argument"))
    kind, _, path = text.partition(":")
    if kind in _TARGETS and path and not _is_missing(path):
        raise ListError([f"{clean(text)} is no image; did you mean `puller load {clean(shlex.quote(path))}`?"])
    if isinstance(item, BadLine):
        hint = "; separate images by spaces, not commas" if "," in text else ""
        missing = "cannot be read: No such file or directory"
        raise ListError([f"{clean(text)}: {missing}; nor is it an image: {item.reason}{hint}"])
    if re.search(_FILE_NAME, text):
        advice = f"for an image of this name: --image {clean(text)}"
        raise ListError([f"{clean(text)}: cannot be read: No such file or directory; {advice}"])
    yield Note(item.source, f"{text}: taken as an image, as there is no such file", is_detail=True)
    yield item


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
    is_data = name.lower().endswith(DATA_FILES)
    if "\0" in first:
        return "text"  # the parser of text lists reports binary data
    if is_dockerfile(name) and not is_data:
        return "dockerfile"
    if text.DATA.match(first):
        return None
    if is_data:
        # A name is a hint only: a list of references in `images.yaml` is a list of references.
        return None if isinstance(text.item(first.encode(), Source(name)), BadLine) else "text"
    return "dockerfile" if _DOCKERFILE.match(first) else "text"
