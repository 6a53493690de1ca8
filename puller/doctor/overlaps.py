"""Other pulls on this host at this moment: they share the engine's slots, the link and the quota."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath

from puller.doctor.finding import About, Finding
from puller.doctor.processes import Running, processes
from puller.text import clean, shorten

_ENGINES = {"docker", "podman", "nerdctl", "docker-compose"}
_WITH_VALUE = {"-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "-n", "--namespace", "-f", "-p"}
"""Options before the verb whose value is a word of its own."""
_SHOWN = 3
_WIDTH = 60


def examine_overlaps() -> Iterator[Finding]:
    """Name the pulls that run now, other than this process."""
    about = About("host")
    others = [each for each in processes() if each.pid != os.getpid() and is_pull(each)]
    if not others:
        yield about.ok("pulls", "no other pull is running")
        return
    some = "; ".join(f"{each.pid}: {shorten(clean(' '.join(each.argv)), _WIDTH)}" for each in others[:_SHOWN])
    more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    noun = "1 other pull is" if len(others) == 1 else f"{len(others)} other pulls are"
    pids = ",".join(str(each.pid) for each in others)
    yield about.warning("pulls", f"{noun} running: {some}{more}", f"ps -o pid,user,etime,args -p {pids}")


def is_pull(running: Running) -> bool:
    """Tell a pull by its command line: puller's, an engine's command, or xargs on its way to one."""
    names = [PurePath(word).name for word in running.argv]
    if running.program in _ENGINES:
        return _verb(running.argv)[:1] == ["pull"] or _verb(running.argv)[:2] in (
            ["image", "pull"],
            ["compose", "pull"],
        )
    if running.program == "xargs":
        return "pull" in names and not _ENGINES.isdisjoint(names)
    if running.program == "puller" or running.program.startswith("python"):
        return any(pair == ("puller", "pull") for pair in pairwise(names))
    return False


def _verb(argv: tuple[str, ...]) -> list[str]:
    """Leave out the options, and the values that are known to belong to them."""
    words = zip(argv[1:], argv, strict=False)
    return [word for word, before in words if not word.startswith("-") and before not in _WITH_VALUE]
