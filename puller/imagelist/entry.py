"""The items of a list: an image, a line that is not valid, or a note about something that is left out."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from puller.image.reference import ImageReference, Platform
from puller.text import clean, shorten

_TEXT_KEPT = 512  # longer than any reference; a list of long bad lines must not fill the memory
_TEXT_SHOWN = 80
_REASON_KEPT = 200
_NOTE_KEPT = 300


class Source(NamedTuple):
    """A place in a list, for messages."""

    name: str
    """A path, `stdin` or `--image`."""
    line: int | None = None
    """Counted from 1; None where there are no lines."""

    def __str__(self) -> str:
        name = clean(self.name)
        return name if self.line is None else f"{name}:{self.line}"


class Entry(NamedTuple):
    """One image of a list."""

    reference: ImageReference
    platform: Platform | None
    """None where the list names none; then the platform of the run applies."""
    source: Source


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a valid image; its texts are short and safe to print."""

    source: Source
    text: str
    """The line, or an empty string where printing it does not help."""
    reason: str

    def __post_init__(self) -> None:
        # Texts are cleaned before they are shortened: a cut password would not be recognised.
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _TEXT_KEPT))
        object.__setattr__(self, "reason", shorten(clean(self.reason, len(self.reason)), _REASON_KEPT))

    def __str__(self) -> str:
        quoted = f': "{shorten(self.text, _TEXT_SHOWN)}"' if self.text else ""
        return f"{self.source}: {self.reason}{quoted}"


class Note(NamedTuple):
    """Something in a list that is left out on purpose. This is not an error."""

    source: Source
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _NOTE_KEPT))

    @property
    def is_whole_file(self) -> bool:
        """Whether the note is about a file and not about one of its lines."""
        return self.source.line is None

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"


Item: TypeAlias = Entry | BadLine | Note


def entry_of(text: str, source: Source, platform: str | None = None) -> Entry | BadLine:
    """Parse a reference and a platform."""
    try:
        return Entry(ImageReference.parse(text), Platform.parse(platform) if platform else None, source)
    except ValueError as error:
        return BadLine(source, text, str(error))
