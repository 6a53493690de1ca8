"""Where a list comes from: its name, directory and environment; and its content, within a limit of size."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from puller.errors import ListError
from puller.imagelist.compose_cli import Compose
from puller.imagelist.entry import Source
from puller.system.files import open_regular
from puller.text import clean

LARGEST = 16 * 1024 * 1024
"""Bytes of a structured file, which is read at once; text lists have no limit."""


class Selection(NamedTuple):
    """What the user selects of lists."""

    profiles: tuple[str, ...] = ()
    """The active profiles of Compose."""
    services: tuple[str, ...] = ()
    """The services of Compose files that are read; all if empty."""
    ignore_buildable: bool = False
    """Leave out the images of services that have `build:` too."""
    build_args: Mapping[str, str] = MappingProxyType({})
    """Values of the arguments of Dockerfiles."""
    platform: str | None = None
    """The platform of services that name none."""


class ListSource(NamedTuple):
    """Where a list comes from, and how it is read if it is a Compose file."""

    name: str
    """Its name in messages: a path as typed, `stdin`, or a URL without secrets."""
    folder: Path | None = None
    """The base of relative paths; None where no other file may be read, as for a URL."""
    environment: Mapping[str, str] = MappingProxyType({})
    """Empty for a URL: a file of somebody else must not send our variables to a registry."""
    selection: Selection = Selection()
    compose: Compose | None = None
    """None means that docker compose is not used; it is used only where `name` is a path."""
    only_if_needed: bool = False
    """Ask docker compose only about files that puller cannot read itself, as for most files of a directory."""
    is_member: bool = False
    """Whether it is a file of a directory: what is no list there is left out."""
    overrides: tuple[Path, ...] = ()
    """The other files of the same Compose project, in order."""
    top: Path | None = None
    """The directory above which no Compose file is looked for that builds a Dockerfile."""
    builds: "dict[Path, list[tuple[str, Any]]] | None" = None
    """The builds of the Compose files so far, each with its Dockerfile, by directory; see `builds_of`."""
    services: "dict[tuple[Path | None, str], tuple[str | None, Source]] | None" = None
    """The images of the services of all Compose files so far, by directory and name."""

    @property
    def file(self) -> str:
        """The last part of the name, by which some formats are detected."""
        return self.name.rpartition("/")[2]


def is_url(path: str) -> bool:
    """Tell whether a list is given by an http or https URL."""
    return path.lower().startswith(("http://", "https://"))


def read_file(path: Path, name: str) -> bytes:
    """Read a structured file; raise ListError when it cannot be read or is too large."""
    try:
        with open_regular(path) as stream:
            return bounded(stream.read(LARGEST + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(name, error) from None


def bounded(data: bytes, name: str) -> bytes:
    """Return the content of a structured file; raise ListError when it is larger than LARGEST."""
    if len(data) > LARGEST:
        raise too_large(name)
    return data


def too_large(name: str) -> ListError:
    """Return the error for a structured file that is too large."""
    return ListError([f"{clean(name)}: larger than {LARGEST // 1024 // 1024} MiB; only text lists may be larger"])


def unreadable(name: str, error: Exception) -> ListError:
    """Return the error for a file that cannot be read."""
    return ListError([f"{clean(name)}: cannot be read: {getattr(error, 'strerror', None) or error}"])
