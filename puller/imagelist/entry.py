"""The items of a list: an image, a line that is not valid, or a note about something that is left out."""

from typing import NamedTuple, Self, TypeAlias

from puller.image.reference import ImageReference, Platform
from puller.text import clean, shorten

_TEXT_KEPT, _TEXT_SHOWN, _REASON_KEPT, _NOTE_KEPT = 512, 80, 200, 300
"""Characters; the first is longer than any reference. A list of long bad lines must not fill the memory."""


class Source(NamedTuple):
    """A place in a list, for messages."""

    name: str
    """A path, `stdin` or `--image`."""
    line: int | None = None
    """Counted from 1; None where there are no lines."""

    def __str__(self) -> str:
        return clean(self.name) + ("" if self.line is None else f":{self.line}")


class Entry(NamedTuple):
    """One image of a list."""

    reference: ImageReference
    platform: Platform | None
    """None where the list names none; then the platform of the run applies."""
    source: Source
    buildable: bool = False
    """Whether the list also says how to build the image."""
    if_missing: bool = False
    """Whether the list wants it pulled only if the engine does not have it."""


class _BadLine(NamedTuple):
    source: Source
    text: str
    """The line, or an empty string where printing it does not help."""
    reason: str
    is_template: bool
    """Whether its text has to be rendered first; among the files of a directory it is left out with a note."""


class BadLine(_BadLine):
    """A line that is not a valid image; its texts are short and safe to print."""

    __slots__ = ()

    def __new__(cls, source: Source, text: str, reason: str, *, is_template: bool = False) -> Self:
        return super().__new__(cls, source, _safe(text, _TEXT_KEPT), _safe(reason, _REASON_KEPT), is_template)

    def __str__(self) -> str:
        quoted = f': "{shorten(self.text, _TEXT_SHOWN)}"' if self.text else ""
        return f"{self.source}: {self.reason}{quoted}"


class _Note(NamedTuple):
    source: Source
    text: str
    subject: str
    """What the text is about, if it is not the whole line or file, such as a variable."""
    is_detail: bool
    """Whether it is shown only with --verbose."""


class Note(_Note):
    """Something in a list that is left out on purpose, which is not an error; its text is short and safe to print."""

    __slots__ = ()

    def __new__(cls, source: Source, text: str, subject: str = "", *, is_detail: bool = False) -> Self:
        return super().__new__(cls, source, _safe(text, _NOTE_KEPT), _safe(subject, _TEXT_KEPT), is_detail)

    def __str__(self) -> str:
        return f"{self.source}: {self.subject}{': ' if self.subject else ''}{self.text}"


Item: TypeAlias = Entry | BadLine | Note


def entry_of(text: str, source: Source, platform: str | None = None) -> Entry | BadLine:
    """Parse a reference and a platform."""
    try:
        return Entry(ImageReference.parse(text), Platform.parse(platform) if platform else None, source)
    except ValueError as error:
        return BadLine(source, text, str(error))


def is_explicit(text: str) -> bool:
    """Tell whether a reference names its registry, tag or digest, which a mere word does not."""
    first, slash, _ = text.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return has_registry or bool({":", "@"}.intersection(text.rpartition("/")[2]))


def _safe(text: str, kept: int) -> str:
    """Clean a text before it is shortened: a cut password would not be recognised."""
    return shorten(clean(text, len(text)), kept)
