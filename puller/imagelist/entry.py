"""The items of a list: an image, a line that cannot be read, or a note about something that is left out."""

from dataclasses import dataclass
from typing import TypeAlias

from puller.image.reference import ImageReference, Platform
from puller.text import clean, shorten

_TEXT_KEPT = 512  # more than any reference needs; a list of nothing but long bad lines must not fill the memory
_TEXT_SHOWN = 80
_REASON_KEPT = 200
_NOTE_KEPT = 300


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reference is written, for messages."""

    name: str
    """A path, `stdin` or `--image`."""
    line: int | None = None
    """Counted from 1; None where there are no lines."""

    def __str__(self) -> str:
        """Return `images.txt:3`; control characters of a file name do not get into a message."""
        name = clean(self.name)
        return name if self.line is None else f"{name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An image, perhaps for one platform, and where it is written."""

    reference: ImageReference
    platform: Platform | None
    """None where the line names none: then it is the platform of the run."""
    source: Source


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that names no image; its text and reason are short and safe to show."""

    source: Source
    text: str
    """What is written there; empty where showing it does not help."""
    reason: str

    def __post_init__(self) -> None:
        """Keep only what may be shown: these strings can come from anywhere."""
        # Cleaned whole before it is cut: half a password is no longer recognised as one.
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _TEXT_KEPT))
        object.__setattr__(self, "reason", shorten(clean(self.reason, len(self.reason)), _REASON_KEPT))

    def __str__(self) -> str:
        """Return `FILE:LINE: reason: "what is written there"`."""
        quoted = f': "{shorten(self.text, _TEXT_SHOWN)}"' if self.text else ""
        return f"{self.source}: {self.reason}{quoted}"


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a list that is left out on purpose, which is never an error."""

    source: Source
    text: str

    def __post_init__(self) -> None:
        """Keep only what may be shown."""
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _NOTE_KEPT))

    @property
    def is_whole_file(self) -> bool:
        """Whether the note is about a file, not about a line in it."""
        return self.source.line is None

    def __str__(self) -> str:
        """Return `FILE:LINE: what is left out, and why`."""
        return f"{self.source}: {self.text}"


Item: TypeAlias = Entry | BadLine | Note


def entry_of(text: str, source: Source, platform: str | None = None) -> Entry | BadLine:
    """Make an entry from a reference and a platform as they are written."""
    try:
        return Entry(ImageReference.parse(text), Platform.parse(platform) if platform else None, source)
    except ValueError as error:
        return BadLine(source, text, str(error))
