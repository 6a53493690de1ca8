"""The processes of this host, as /proc shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Running:
    """One process."""

    pid: int
    argv: tuple[str, ...]

    @property
    def program(self) -> str:
        """The program's name without its folder."""
        return PurePath(self.argv[0]).name


def processes() -> Iterator[Running]:
    """List all processes whose command line can be seen; kernel threads have none."""
    for folder in sorted(_PROC.iterdir()):
        if folder.name.isdigit() and (found := process(int(folder.name))):
            yield found


def process(pid: int) -> Running | None:
    """Look at one process; None when it is gone, or hidden."""
    try:
        line = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0")
    except OSError:
        return None
    argv = tuple(word.decode(errors="replace") for word in line.split(b"\0"))
    return Running(pid, argv) if line and argv[0] else None


def environment(pid: int) -> dict[str, str] | None:
    """Read the environment that a process was started with; None where that is not ours to see."""
    try:
        words = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    pairs = (word.decode(errors="replace").partition("=") for word in words if b"=" in word)
    return {name: value for name, _, value in pairs}
