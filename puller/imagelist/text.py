"""Text lists: one image reference per line. They are read as streams, so there is no limit of size."""

import io
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import BinaryIO

from puller.image.reference import ImageReference, Platform
from puller.imagelist.entry import BadLine, Entry, Source

LONGEST_LINE = 64 * 1024
_PLATFORM = "--platform"
# A key, or the start of a document or a collection; `[::1]:5000/x` is a reference.
DATA = re.compile(
    r"---(?:\s|$)|%YAML\s|-\s|-$|[{]|\[(?![0-9A-Fa-f:.]+\])|\"[^\"]*\"\s*:|'[^']*'\s*:|[^\s#\"'][^#]*?:(?:\s|$)"
)
"""The start of a line of YAML or JSON."""


def parse(stream: BinaryIO, name: str, seen: bytes = b"") -> Iterator[Entry | BadLine]:
    """Yield the items of `stream`, in order; `name` is its name in messages.

    `seen` was already read from the stream. A bad line does not end the reading, binary data does.
    """
    # A program or an archive gets one error, not one for each of its first lines.
    binary = b"\0" in seen or (isinstance(stream, io.BufferedReader) and b"\0" in stream.peek())
    for number, line in enumerate(_lines(io.BytesIO(seen), stream), 1):
        source = Source(name, number)
        is_utf16 = number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff"))
        if binary or is_utf16 or b"\0" in line:
            advice = ": it looks like UTF-16, save it as UTF-8" if is_utf16 else ""
            yield BadLine(source, "", f"binary data, not a text list{advice}")
            return
        if found := item(line, source):
            yield found


def is_plain(data: bytes) -> bool:
    """Tell whether a file that is no valid YAML is a text list with bad lines.

    It is YAML if an indented line is no image, or if it has more lines of YAML than images.
    """
    items = [(line[:1].isspace(), found) for line in data.splitlines() if (found := item(line, Source("")))]
    bad = [found for _, found in items if isinstance(found, BadLine)]
    if any(indented and isinstance(found, BadLine) for indented, found in items):
        return False
    return 0 < len(items) - len(bad) >= sum(bool(DATA.match(each.text)) for each in bad)


def _lines(*streams: BinaryIO) -> Iterator[bytes]:
    """Yield each line; one that is too long is cut to a byte more than allowed."""
    skip = False
    for stream in streams:
        while part := stream.readline(LONGEST_LINE + 1):
            if not skip:
                yield part
            skip = len(part) > LONGEST_LINE and not part.endswith(b"\n")


def item(line: bytes, source: Source) -> Entry | BadLine | None:
    """Read one line; None when it is blank or a comment."""
    if len(line.rstrip(b"\n")) > LONGEST_LINE:
        return BadLine(source, line.decode(errors="replace"), f"longer than {LONGEST_LINE // 1024} KiB")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return BadLine(source, line.decode(errors="replace"), "not valid UTF-8")
    # Any line may start with a BOM: `cat` joins lists.
    words = list(takewhile(lambda word: not word.startswith("#"), text.removeprefix("\ufeff").split()))
    if not words:
        return None
    try:
        return _entry(words, source)
    except ValueError as error:
        return BadLine(source, " ".join(words), str(error))


def _entry(words: Sequence[str], source: Source) -> Entry:
    """Read `[--platform[=]OS/ARCH] REFERENCE`; raise ValueError with a reason and a fix."""
    platform = None
    if words[0] == _PLATFORM and len(words) > 1:
        words = [f"{_PLATFORM}={words[1]}", *words[2:]]
    if words[0].startswith(f"{_PLATFORM}="):
        platform = Platform.parse(words[0].removeprefix(f"{_PLATFORM}="))
        words = words[1:]
        if not words:
            raise ValueError("no image reference after the platform")
    if _PLATFORM in words:
        raise ValueError(f"write it as {_PLATFORM}=OS/ARCH REFERENCE, before the image")
    if any(word.startswith("oci://") for word in words):
        raise ValueError("a chart or another artifact, no image: take it out of the list")
    if any("$" in word or "{{" in word for word in words):
        raise ValueError("contains a variable: fill it in first (envsubst)")
    if any(word.startswith("--") for word in words):
        raise ValueError(f"unknown option; only {_PLATFORM}=OS/ARCH is allowed, before the image")
    if len(words) > 1:
        raise ValueError("one image reference per line")
    if "," in words[0]:
        raise ValueError("one image reference per line, without commas")
    return Entry(ImageReference.parse(words[0]), platform, source)
