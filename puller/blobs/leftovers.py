"""For which images the blobs in a temporary store are: what a killed run leaves is for a run that wants one of these.

The mark of a temporary store (`TEMPORARY`) has a line for each image and run: when the run began, the run, and the
image's canonical name. A run takes its lines out when it ends; a killed one cannot.
"""

import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

from puller.blobs import TEMPORARY
from puller.errors import UsageError
from puller.system import files
from puller.system.paths import cache_home

_OLD = 7 * 24 * 3600.0
"""Seconds after which nobody will want what a killed run left."""
_MOST = 8 << 20
"""Bytes of a mark."""


class Claim(NamedTuple):
    """That a run wants an image, and the blobs of it."""

    since: float
    """In seconds since 1970."""
    run: str
    image: str

    @property
    def old(self) -> bool:
        return abs(time() - self.since) >= _OLD


def claims_in(root: Path) -> list[Claim]:
    """Return what the mark of a store says; nothing if there is none, or if it cannot be trusted."""
    found = list[Claim]()
    with suppress(OSError, UsageError):
        for line in files.read(root / TEMPORARY, _MOST).splitlines():
            since, run, image = ([*line.split(" ", 2), "", ""])[:3]
            if since.isdecimal() and image:
                found.append(Claim(float(since), run, image))
    return found


def write_claims(root: Path, claims: Iterable[Claim]) -> None:
    """Replace the mark of a store, under the store's lock; raises OSError."""
    text = "".join(f"{each.since:.0f} {each.run} {each.image}\n" for each in claims)
    new = root / "parts" / TEMPORARY
    new.write_text(text)
    new.chmod(0o600)
    new.replace(root / TEMPORARY)


def wanted_by_killed_runs(root: Path, images: Collection[str]) -> frozenset[str]:
    """Return which of these images a run that was killed, or still lives, has begun to fetch."""
    return frozenset({each.image for each in claims_in(root) if not each.old}.intersection(images))


def kept_for(images: Collection[str]) -> int:
    """Return the bytes on the disk that runs which were killed or interrupted left for any of these images."""
    with suppress(UsageError, OSError):
        root = cache_home() / "blobs"
        return bytes_in(root) if wanted_by_killed_runs(root, images) else 0
    return 0


def bytes_in(folder: Path) -> int:
    """Return the bytes on the disk of all files below a folder; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            node = path.lstat()
            total += node.st_blocks * 512 if stat.S_ISREG(node.st_mode) else 0
    return total


def only_old(root: Path) -> bool:
    """Tell whether there is a temporary store, and nobody will want what is in it."""
    return (root / TEMPORARY).exists() and all(each.old for each in claims_in(root))
