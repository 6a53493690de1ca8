"""Which runs live: each has a locked file of its own for as long as it does."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from puller.system.locks import is_held, take


@dataclass(frozen=True, slots=True)
class Run:
    """A live run: as long as its file is locked, it lives."""

    path: Path
    descriptor: int


def announce(folder: Path) -> Run:
    """Let other runs know of this one; raises OSError."""
    folder.mkdir(exist_ok=True)
    while True:
        path = folder / secrets.token_hex(8)
        if (descriptor := take(path)) is not None:
            return Run(path, descriptor)


def alone(folder: Path, run: Run) -> bool:
    """Tell whether no other run lives; what dead ones have left is removed."""
    others = [path for path in folder.glob("*") if path != run.path]
    living = [path for path in others if is_held(path)]
    for path in set(others) - set(living):
        path.unlink(missing_ok=True)
    return not living


def leave(run: Run) -> None:
    """Live no more."""
    run.path.unlink(missing_ok=True)
    with suppress(OSError):
        os.close(run.descriptor)
