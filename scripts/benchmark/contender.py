"""Who takes part: a command line that gets the list on its standard input, or in its arguments."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark.programs import CACHE, Programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIST, COMPOSE, PLAYBOOK, SYNC = "{list}", "{compose}", "{playbook}", "{sync}"
"""In an argument: the path of the list, and of the same list in the forms of other tools."""
_SHOWN = {LIST: "images.txt", COMPOSE: "compose.yaml", PLAYBOOK: "playbook.yaml", SYNC: "sync.yaml"}
OTHER = " (against)"
"""Behind the name of the puller that another one is compared with."""
MODES = ("never", "always")


@dataclass(frozen=True, slots=True)
class Contender:
    """A command; several of one name are one contender at several settings, the best of which counts."""

    name: str
    command: tuple[str, ...]
    downloads: int | None = None
    """The engine's `max-concurrent-downloads`; None is what engines have of themselves (3)."""
    peer: bool = False
    """Whether it is one of the other tools, the fastest of which all are compared with."""
    helpers: tuple[Path, ...] = ()
    """Folders of programs that precede the engine's PATH."""

    @property
    def tuned(self) -> Contender:
        """The same against an engine that was set to download 24 layers at a time."""
        return replace(self, name=f"{self.name}, tuned engine", downloads=24, peer=False)

    @property
    def words(self) -> str:
        """The settings, as a person would type them."""
        words = (_SHOWN.get(word, word) for word in self.command)
        return re.sub(rf"{re.escape(str(CACHE))}\S*/", "", " ".join(words))


class Contenders:
    """Makes the command lines, of those peers that are there."""

    def __init__(
        self,
        puller: Sequence[str],
        against: Sequence[str] = (),
        *,
        peers: bool = True,
        without: Sequence[str] = (),
        programs: Programs | None = None,
    ) -> None:
        """`puller` is the command that is measured as puller, `against` another puller to compare it with.

        Without `peers` only pullers take part; contenders whose names begin with one of `without` do not.
        """
        self._puller = tuple(puller)
        self._against = tuple(against)
        self.peers_wanted = peers
        self._without = tuple(without)
        self.programs = programs or Programs()
        self._prefetches = "--prefetch" in _said(*puller, "pull", "--help")

    def puller(self, *options: str, name: str = "puller") -> Contender:
        """`puller pull` with further options, and `--prefetch=auto` unless they choose another way."""
        quiet = ("--progress", "quiet", "--format", "json")
        chosen = not self._prefetches or any(word.startswith(("--prefetch", "--to")) for word in options)
        mode = () if chosen else ("--prefetch=auto",)
        return Contender(name, (*self._puller, "pull", "-", *quiet, *mode, *options))

    def chosen(self, contenders: Iterable[Contender]) -> tuple[Contender, ...]:
        """Give those that take part: the other puller beside each puller, and no peers where none are wanted."""
        return tuple(each for contender in contenders for each in self._with_the_other(contender))

    def _with_the_other(self, contender: Contender) -> Iterator[Contender]:
        width = len(self._puller)
        if contender.name.startswith(self._without or "\0") or (contender.peer and not self.peers_wanted):
            return
        if contender.command[:width] == self._puller and self._against:
            command = (*self._against, *contender.command[width:])
            yield replace(contender, name=f"{contender.name}{OTHER}", command=command)
        yield contender

    def verb(self, *words: str, name: str = "puller") -> Contender:
        """Another verb of puller's."""
        return Contender(name, (*self._puller, *words))

    def pullers(self, *widths: int, modes: Sequence[str] = MODES) -> Iterable[Contender]:
        """Give puller with `--prefetch=auto` and with the other modes of prefetching, each at its best."""
        jobs = [f"-j{width}" for width in widths]
        modes = modes if self._prefetches else ()
        told = [(f"--prefetch={mode}", each) for mode in modes for each in jobs]
        return (*map(self.puller, jobs), *(self.puller(mode, each, name=f"puller {mode}") for mode, each in told))

    def xargs(self, *widths: int) -> Iterator[Contender]:
        """`docker pull` by xargs, so many at a time."""
        for width in widths:
            yield Contender("xargs", ("xargs", f"-P{width}", "-n1", "docker", "pull", "-q"), peer=True)

    def others(self, width: int) -> Iterator[Contender]:
        """GNU parallel, Compose, and Ansible in so many processes, where they can be had."""
        if self.peers_wanted and (program := self.programs.find("parallel")):
            words = (str(program), "--will-cite", f"-j{width}", "docker", "pull", "-q")
            yield Contender("parallel", words, peer=True)
        if self.peers_wanted and self.programs.find("docker-compose"):
            yield Contender("compose", ("docker", "compose", "-f", COMPOSE, "pull", "-q"), peer=True)

    def ansible(self, width: int) -> Iterator[Contender]:
        """Ansible's docker_image_pull, on so many inventory names of this machine, each with its share of the list."""
        if self.peers_wanted and (program := self.programs.find("ansible-playbook")):
            hosts = "".join(f"w{number}," for number in range(width))
            command = ("env", "LC_ALL=C.UTF-8", str(program), f"-f{width}", "-i", hosts, PLAYBOOK)
            yield Contender("ansible", command, peer=True)

    def peers(self, *widths: int) -> Iterable[Contender]:
        """All peers but Ansible, which takes half a second of a processor for each image."""
        return (*self.xargs(*widths), *self.others(8))

    def skopeo(self, folder: Path, width: int) -> Iterator[Contender]:
        """`skopeo copy` so many at a time, with and without a folder of blobs in common, and `skopeo sync`."""
        if not self.peers_wanted or not (program := self.programs.find("skopeo")):
            return
        for shared in ("", f" --dest-shared-blob-dir {folder}/blobs"):
            copy = f"exec {program} copy -q --insecure-policy --src-tls-verify=false{shared}"
            script = f"{copy} docker://$1 oci:{folder}/${{1//[:\\/]/_}}:v1"
            yield Contender("skopeo copy", ("xargs", f"-P{width}", "-n1", "bash", "-c", script, "copy"), peer=True)
        sync = (str(program), "sync", "--insecure-policy", "--scoped", "--src=yaml", "--dest=dir", SYNC, f"{folder}")
        yield Contender("skopeo sync", sync, peer=True)
        self.programs.find("regsync")

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
