"""Who takes part: a command line that gets the list on its standard input, or in its arguments."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIST, COMPOSE = "{list}", "{compose}"
"""In an argument: the path of the list, and of the same list as a Compose file."""
OTHER = " (against)"
"""Behind the name of the puller that another one is compared with."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A command; several of one name are one contender at several settings, the best of which counts."""

    name: str
    command: tuple[str, ...]
    downloads: int | None = None
    """The engine's `max-concurrent-downloads`; None is what engines have of themselves (3)."""

    @property
    def tuned(self) -> Contender:
        """The same against an engine that was set to download 24 layers at a time."""
        return replace(self, name=f"{self.name}, tuned engine", downloads=24)

    @property
    def words(self) -> str:
        """The settings, as a person would type them."""
        return " ".join(word.replace(LIST, "images.txt").replace(COMPOSE, "compose.yaml") for word in self.command)


class Contenders:
    """Makes the command lines, of those peers that are installed."""

    def __init__(self, puller: Sequence[str], against: Sequence[str] = (), *, peers: bool = True) -> None:
        """`puller` is the command that is measured as puller, `against` another puller to compare it with.

        Without `peers` only pullers take part.
        """
        self._puller = tuple(puller)
        self._against = tuple(against)
        self._peers = peers
        self._prefetches = "--prefetch" in _said(*puller, "pull", "--help")
        self._composes = _said("docker", "compose", "version") != ""

    def puller(self, *options: str, name: str = "puller") -> Contender:
        """`puller pull` with further options."""
        quiet = ("--progress", "quiet", "--format", "json")
        return Contender(name, (*self._puller, "pull", "-", *quiet, *options))

    def chosen(self, contenders: Iterable[Contender]) -> tuple[Contender, ...]:
        """Give those that take part: the other puller beside each puller, and no peers where none are wanted."""
        return tuple(each for contender in contenders for each in self._with_the_other(contender))

    def _with_the_other(self, contender: Contender) -> Iterator[Contender]:
        width = len(self._puller)
        is_puller = contender.command[:width] == self._puller
        if is_puller and self._against:
            command = (*self._against, *contender.command[width:])
            yield replace(contender, name=f"{contender.name}{OTHER}", command=command)
        if is_puller or self._peers:
            yield contender

    def verb(self, *words: str, name: str = "puller") -> Contender:
        """Another verb of puller's."""
        return Contender(name, (*self._puller, *words))

    def prefetching(self, *options: str, modes: Sequence[str] = ("--prefetch",)) -> Iterator[Contender]:
        """`puller pull --prefetch`, where that exists already."""
        for mode in modes if self._prefetches else ():
            yield self.puller(mode, *options, name=f"puller {mode}")

    def pullers(self, *widths: int, modes: Sequence[str] = ("--prefetch", "--prefetch=auto")) -> Iterable[Contender]:
        """puller, without and with prefetching, each at its best."""
        jobs = [f"-j{width}" for width in widths]
        return (*map(self.puller, jobs), *(each for some in jobs for each in self.prefetching(some, modes=modes)))

    def xargs(self, *widths: int) -> Iterator[Contender]:
        """`docker pull` by xargs, so many at a time."""
        for width in widths:
            yield Contender("xargs", ("xargs", f"-P{width}", "-n1", "docker", "pull", "-q"))

    def others(self, *widths: int) -> Iterator[Contender]:
        """GNU parallel and Compose, where they are installed."""
        for width in widths if shutil.which("parallel") else ():
            yield Contender("parallel", ("parallel", f"-j{width}", "docker", "pull", "-q"))
        if self._composes:
            yield Contender("compose", ("docker", "compose", "-f", COMPOSE, "pull", "-q"))

    def peers(self, *widths: int) -> Iterable[Contender]:
        """All peers, each at its best."""
        return (*self.xargs(*widths), *self.others(*widths))

    def by_process(self, width: int) -> Contender:
        """Start a puller process for each image."""
        each = (*self._puller, "pull", "-q", "--no-lock", "--image")
        return Contender("a puller each", ("xargs", f"-P{width}", "-n1", *each))


def _said(*command: str) -> str:
    """Return what a program prints; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
