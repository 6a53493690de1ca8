"""Where a list comes from: its name, directory and environment; and its content, within a limit of size."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from puller.errors import ListError
from puller.text import clean

LARGEST = 16 * 1024 * 1024
"""Bytes of a structured file, which is read at once; text lists have no limit."""


class AskCompose(Protocol):
    """A function that asks docker compose for a project."""

    def __call__(self, files: Sequence[Path], profiles: Sequence[str], *, interpolate: bool = True) -> str | None:
        """Return the project of these files as JSON, with active `profiles` and expanded variables.

        Without `interpolate` the files are only merged. Returns None where docker compose is not installed; raises
        ValueError with the error of docker compose.
        """


@dataclass(frozen=True, slots=True)
class ComposeOptions:
    """How Compose files are read."""

    profiles: tuple[str, ...] = ()
    """The active profiles."""
    ask: AskCompose | None = None
    """None means that docker compose is not used."""
    only_if_needed: bool = False
    """Ask docker compose only about files that puller cannot read itself, as for most files of a directory."""


@dataclass(frozen=True, slots=True)
class ListSource:
    """Where a list comes from."""

    name: str
    """Its name in messages: a path as typed, `stdin`, or a URL without secrets."""
    folder: Path | None = None
    """The base of relative paths; None where no other file may be read, as for a URL."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Empty for a URL: a file of somebody else must not send our variables to a registry."""
    compose: ComposeOptions = ComposeOptions()
    """How to read a Compose file; docker compose is used only where `name` is a path."""

    @property
    def file(self) -> str:
        """The last part of the name, by which some formats are detected."""
        return self.name.rpartition("/")[2]


def is_url(path: str) -> bool:
    """Tell whether a list is given by an http or https URL."""
    return path.lower().startswith(("http://", "https://"))


def file_source(path: str, compose: ComposeOptions) -> ListSource:
    """Return the source of a list that is a file."""
    return ListSource(path, Path(path).parent, os.environ, compose)


def read_file(path: Path, name: str) -> bytes:
    """Read a structured file; raise ListError when it cannot be read or is too large."""
    try:
        with path.open("rb") as stream:
            return bounded(stream.read(LARGEST + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ListError([f"{clean(name)}: {unreadable(error)}"]) from None


def bounded(data: bytes, name: str) -> bytes:
    """Return the content of a structured file; raise ListError when it is larger than LARGEST."""
    if len(data) > LARGEST:
        raise too_large(name)
    return data


def too_large(name: str) -> ListError:
    """Return the error for a structured file that is too large."""
    return ListError([f"{clean(name)}: larger than {LARGEST // 1024 // 1024} MiB; only text lists may be larger"])


def unreadable(error: Exception) -> str:
    """Return why a file cannot be read."""
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
