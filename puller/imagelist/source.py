"""Where a list comes from: its name, the files beside it, the environment; and its bytes, within a limit."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from puller.errors import ListError
from puller.text import clean

LARGEST = 16 * 1024 * 1024
"""Bytes of a structured file, which is read whole; a text list has no limit."""


class AskCompose(Protocol):
    """Asks docker compose."""

    def __call__(self, files: Sequence[Path], profiles: Sequence[str], *, interpolate: bool = True) -> str | None:
        """Return the project that these files make, as JSON: with these profiles, and with its variables filled in.

        Without `interpolate` the files are merged, and variables and profiles are left as they are written. Returns
        None where docker compose is not installed; raises ValueError with its complaint.
        """


@dataclass(frozen=True, slots=True)
class ComposeOptions:
    """How Compose files are read."""

    profiles: tuple[str, ...] = ()
    """Those that the user asked for."""
    ask: AskCompose | None = None
    """docker compose, where it may be asked; None leaves the file to our own reading."""
    only_if_needed: bool = False
    """Ask only about a file that we cannot read: in a directory most files are parts of a project."""

    @property
    def alone(self) -> "ComposeOptions":
        """The same options without docker compose."""
        return replace(self, ask=None)


@dataclass(frozen=True, slots=True)
class ListSource:
    """Where a list comes from, for the parser of its format."""

    name: str
    """Its name in messages: a path as typed, `stdin`, a URL without its secrets."""
    folder: Path | None = None
    """What its relative paths start from; None where no other file may be read, as for a URL."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Empty for a URL: a stranger's file must not send our variables to a registry of its choice."""
    compose: ComposeOptions = ComposeOptions()
    """How to read it if it is a Compose file; docker compose may be asked only where `name` is its path."""

    @property
    def file(self) -> str:
        """The last part of the name, by which some formats are known."""
        return self.name.rpartition("/")[2]


def file_source(path: str, compose: ComposeOptions) -> ListSource:
    """Describe a list that is a file."""
    return ListSource(path, Path(path).parent, os.environ, compose)


def read_file(path: Path, name: str) -> bytes:
    """Read a structured file; raise ListError with one line."""
    try:
        with path.open("rb") as stream:
            return bounded(stream.read(LARGEST + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ListError([f"{clean(name)}: {unreadable(error)}"]) from None


def bounded(data: bytes, name: str, largest: int = LARGEST) -> bytes:
    """Raise ListError for data that is larger than a structured file may be."""
    if len(data) > largest:
        raise too_large(name, largest)
    return data


def too_large(name: str, largest: int = LARGEST) -> ListError:
    """Say that a structured file is larger than such a file may be."""
    return ListError([f"{clean(name)}: larger than {largest // 1024 // 1024} MiB: only a text list may be"])


def unreadable(error: Exception) -> str:
    """Say why a file cannot be read."""
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
