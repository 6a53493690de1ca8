"""The text list: one reference a line, read as a stream, so that its size is limited only by what it names."""

from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from puller.image.reference import ImageReference, Platform
from puller.imagelist.entry import BadLine, Entry, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_LONGEST_LINE = 64 * 1024
_UTF8_BOM = "\ufeff"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_PLATFORM = "--platform"


class Readable(Protocol):
    """As much of a stream as a list needs."""

    def readline(self, size: int, /) -> bytes:
        """Read a line, or as much of it as is asked for."""


def parse(stream: Readable, name: str) -> "Iterator[Entry | BadLine]":
    """Yield what each line of `stream` means, in order; `name` is what complaints call the stream.

    A bad line is a value and the next line is read; only data that is no text at all ends the reading.
    """
    # A file that begins like a program or an archive gets one complaint, not one for each of its first lines.
    peek = getattr(stream, "peek", None)
    binary = peek is not None and b"\0" in peek()
    for number, line in enumerate(_lines(stream), 1):
        source = Source(name, number)
        if number == 1 and line.startswith(_UTF16_BOMS):
            yield BadLine(source, "", "binary data, not a text list: it looks like UTF-16, save it as UTF-8")
            return
        if binary or b"\0" in line:
            yield BadLine(source, "", "binary data, not a text list")
            return
        if found := item(line, source):
            yield found


def _lines(stream: Readable) -> "Iterator[bytes]":
    """Yield each line; of one that is too long its beginning, a byte longer than allowed."""
    while line := stream.readline(_LONGEST_LINE + 1):
        yield line
        while len(line) > _LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(_LONGEST_LINE + 1)  # the rest, thrown away


def item(line: bytes, source: Source) -> Entry | BadLine | None:
    """Read one line; None when it is blank or a comment."""
    if len(line.rstrip(b"\n")) > _LONGEST_LINE:
        return BadLine(source, line.decode(errors="replace"), f"longer than {_LONGEST_LINE // 1024} KiB")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return BadLine(source, line.decode(errors="replace"), "not valid UTF-8")
    # A BOM may stand at any line: `cat` puts lists together.
    words = list(takewhile(lambda word: not word.startswith("#"), text.removeprefix(_UTF8_BOM).split()))
    if not words:
        return None
    try:
        return _entry(words, source)
    except ValueError as error:
        return BadLine(source, " ".join(words), str(error))


def _entry(words: "Sequence[str]", source: Source) -> Entry:
    """Read `[--platform=OS/ARCH] REFERENCE`; raise ValueError with a reason that names the cure."""
    platform = None
    if words[0].startswith(f"{_PLATFORM}="):
        platform = Platform.parse(words[0].removeprefix(f"{_PLATFORM}="))
        words = words[1:]
        if not words:
            raise ValueError("no reference after the platform")
    if _PLATFORM in words:
        raise ValueError(f"write it as {_PLATFORM}=OS/ARCH REFERENCE, with an equals sign")
    if any(word.startswith("-") for word in words):
        raise ValueError(f"the only option is one {_PLATFORM}=OS/ARCH, before the reference")
    if len(words) > 1:
        raise ValueError("one reference a line")
    return Entry(ImageReference.parse(words[0]), platform, source)
