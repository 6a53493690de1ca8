"""Which files are read: those of the system and of the user, or the ones that were named."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller import places
from puller.configfile.reading import ConfigFile, read
from puller.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the files that were looked for; a later one wins over an earlier one."""

    files: tuple[ConfigFile, ...]
    absent: "tuple[Path, ...]"
    problems: tuple[str, ...]
    """One line for each file that cannot be read."""


def find(named: "Sequence[Path]" = ()) -> Found:
    """Read the files that were named, or else those of the system and of the user, which need not be there.

    Named files stand alone, so that a job behaves the same on every host and under every account.
    """
    files, absent, problems = [], [], []
    for path in named or places.config_files():
        try:
            files.append(read(path))
        except FileNotFoundError:
            absent.append(path)
            if named:
                problems.append(f"{path}: there is no such file")
        except UsageError as error:
            problems.append(str(error))
    return Found(tuple(files), tuple(absent), tuple(problems))
