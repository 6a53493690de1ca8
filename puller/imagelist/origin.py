"""What a parser may know about a list besides its bytes: its name, its neighbours, the environment."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from puller.errors import ListError
from puller.text import clean

LARGEST = 16 * 1024 * 1024
"""Bytes of a structured file, which is read whole; a text list has no limit."""
_EMPTY: Mapping[str, str] = {}
AskCompose = Callable[[Sequence[Path], Sequence[str]], str | None]
"""Asks compose itself about the files of a project, with profiles: the project as JSON, all values filled in.

None where there is no compose to ask; raises ValueError with its complaint.
"""


@dataclass(frozen=True, slots=True)
class ComposeWay:
    """How Compose files are read."""

    profiles: tuple[str, ...] = ()
    """Those that were asked for."""
    ask: AskCompose | None = None
    """Who knows what a file means; without, it is read by puller alone."""

    @property
    def alone(self) -> "ComposeWay":
        """The same, with nobody to ask."""
        return ComposeWay(self.profiles)


_PLAIN = ComposeWay()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a list comes from."""

    name: str
    """What complaints call it: a path as typed, `stdin`, a URL without its secrets."""
    folder: Path | None = None
    """What its relative paths start from; None where no other file may be read, as for a URL."""
    environment: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Empty for a URL: a stranger's file must not send our variables to a registry of its choice."""
    compose: ComposeWay = _PLAIN
    """How it is read when it turns out to be a Compose file; with somebody to ask only where `name` is its path."""

    @property
    def file(self) -> str:
        """The last part of the name, by which some kinds are known."""
        return self.name.rpartition("/")[2]

    def beside(self, path: str | Path) -> Path | None:
        """Find a file that this one names; None where no other file may be read."""
        return self.folder / path if self.folder is not None else None


def of_path(path: str, compose: ComposeWay = _PLAIN) -> Origin:
    """Describe a list that is a file."""
    return Origin(path, Path(path).parent, os.environ, compose)


def read_whole(path: Path, name: str) -> bytes:
    """Read a file that is not too large; raise ListError with one line."""
    try:
        with path.open("rb") as stream:
            return bounded(stream.read(LARGEST + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ListError([f"{clean(name)}: {why(error)}"]) from None


def bounded(data: bytes, name: str) -> bytes:
    """Refuse data that is larger than any such file."""
    if len(data) > LARGEST:
        raise ListError([f"{clean(name)}: larger than {LARGEST // 1024 // 1024} MiB: only a text list may be"])
    return data


def why(error: Exception) -> str:
    """Say why a file cannot be read."""
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
