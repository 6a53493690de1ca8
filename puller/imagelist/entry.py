"""What comes out of a list: an image that somebody wants, a line that nobody can read, or a word about the rest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.image.reference import ImageReference, Platform
from puller.text import clean, shorten

if TYPE_CHECKING:
    from typing import TypeAlias


_TEXT_KEPT = 512  # more than any reference needs; a list of nothing but long bad lines must not fill the memory
_TEXT_SHOWN = 80
_REASON_KEPT = 200
_NOTE_KEPT = 300


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reference was written, so that a complaint can point at it."""

    name: str
    """A path, `stdin` or `--image`."""
    line: int | None = None
    """Counted from 1; None where there are no lines."""

    def __str__(self) -> str:
        """Say `images.txt:3`; a file name cannot smuggle control characters into a message."""
        name = clean(self.name)
        return name if self.line is None else f"{name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One wish: an image, perhaps for one platform, and who asked for it."""

    reference: ImageReference
    platform: Platform | None
    """None where the line names none: the run's platform counts then."""
    source: Source


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that names no image; text and reason are safe to show from the start, and short."""

    source: Source
    text: str
    """What stood there; empty where showing it would help nobody."""
    reason: str

    def __post_init__(self) -> None:
        """Keep only what may be shown: these strings come from anywhere."""
        # Cleaned whole before it is cut: half a password is no longer recognised as one.
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _TEXT_KEPT))
        object.__setattr__(self, "reason", shorten(clean(self.reason, len(self.reason)), _REASON_KEPT))

    def __str__(self) -> str:
        """Say `FILE:LINE: reason: "what stood there"`."""
        quoted = f': "{shorten(self.text, _TEXT_SHOWN)}"' if self.text else ""
        return f"{self.source}: {self.reason}{quoted}"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a list holds and that is left out on purpose: said, and never an error."""

    source: Source
    text: str

    def __post_init__(self) -> None:
        """Keep only what may be shown."""
        object.__setattr__(self, "text", shorten(clean(self.text, len(self.text)), _NOTE_KEPT))

    @property
    def passed_over(self) -> bool:
        """Whether a whole file is left out, so that there was nothing in it."""
        return self.source.line is None

    def __str__(self) -> str:
        """Say `FILE:LINE: what is left out, and why`."""
        return f"{self.source}: {self.text}"


Item: "TypeAlias" = Entry | BadLine | Note


def wanted(text: str, source: Source, platform: str | None = None) -> Entry | BadLine:
    """Make an entry of a reference and a platform as they are written somewhere."""
    try:
        return Entry(ImageReference.parse(text), Platform.parse(platform) if platform else None, source)
    except ValueError as error:
        return BadLine(source, text, str(error))
