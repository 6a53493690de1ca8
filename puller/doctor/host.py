"""Checks this host: free space and inodes at the engine's data root, and other pulls that are running."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import PurePath

import psutil

from puller.blobs.leftovers import bytes_in
from puller.doctor.findings import Finding, Subject, Verdict
from puller.engine import EngineAddress
from puller.engine.disk import free_bytes
from puller.engine.model import EngineInfo
from puller.errors import UsageError
from puller.system.paths import cache_home
from puller.text import clean, format_bytes, plain_error, shorten, source_name

_DISK = Subject("disk")
_WARNING_BYTES, _FAILED_BYTES = 10_000_000_000, 1_000_000_000
_WARNING_SHARE, _FAILED_SHARE = 0.05, 0.01
"""Share of the inodes; images with many small files use them up before the space."""
_FREE_SPACE = "docker system df\npuller prune --dry-run LIST   # images that puller pulled and no LIST contains"
_ENGINES = {"docker", "podman", "nerdctl", "docker-compose"}
_WITH_VALUE = {"-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "-n", "--namespace", "-f", "-p"}
"""Options before the verb that take the next word as their value."""
_SHOWN = 3
_WIDTH = 60


def examine_disk(facts: EngineInfo) -> Iterator[Finding]:
    """Compare the free space and inodes with the limits."""
    free, note = free_bytes(facts)
    if free is None or facts.data_root is None:
        yield _DISK.ok("space", f"unknown: {note}")
        return
    status = _verdict(free, _WARNING_BYTES, _FAILED_BYTES)
    words = f"{format_bytes(free)} are free at {facts.data_root}"
    limits = f"warning under {format_bytes(_WARNING_BYTES)}, failed under {format_bytes(_FAILED_BYTES)}"
    yield _DISK.found("space", status, f"{words} ({limits})", "" if status is Verdict.OK else _FREE_SPACE)
    yield _inodes(facts.data_root)


def examine_cache() -> Iterator[Finding]:
    """Tell how much space the layers take that puller keeps, and how to free it; nothing if there are none."""
    with suppress(UsageError, OSError):
        folder = cache_home()
        if size := bytes_in(folder / "blobs"):
            words = f"puller keeps {format_bytes(size)} of layers for later runs in {folder}"
            yield _DISK.ok("cache", f"{words}; to free that while no pull is running: rm -r {shlex.quote(str(folder))}")


def _inodes(path: str) -> Finding:
    try:
        status = os.statvfs(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        return _DISK.ok("inodes", f"unknown: {plain_error(error)}")
    if not status.f_files:
        return _DISK.ok("inodes", "this file system has no limit")
    share = status.f_favail / status.f_files
    verdict = _verdict(share, _WARNING_SHARE, _FAILED_SHARE)
    words = f"{share:.0%} are free at {path} (warning under {_WARNING_SHARE:.0%}, failed under {_FAILED_SHARE:.0%})"
    return _DISK.found("inodes", verdict, words, "" if verdict is Verdict.OK else f"df -i {path}\n{_FREE_SPACE}")


def _verdict(value: float, warning: float, failed: float) -> Verdict:
    if value < failed:
        return Verdict.FAILED
    return Verdict.WARNING if value < warning else Verdict.OK


def examine_overlaps(address: EngineAddress) -> Iterator[Finding]:
    """Look for other pulls that are running: they share the engine at `address`, and its disk.

    Pulls that are known to use another engine are left out.
    """
    host = Subject("host")
    others = {each.pid: each.info["cmdline"] for each in psutil.process_iter(["cmdline"]) if _shares(each, address)}
    others.pop(os.getpid(), None)
    if not others:
        yield host.ok("pulls", "no other pull is running at this engine")
        return
    first = list(others.items())[:_SHOWN]
    some = "; ".join(f"{pid}: {_command(argv)}" for pid, argv in first)
    more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    noun = "1 other pull is" if len(others) == 1 else f"{len(others)} other pulls are"
    yield host.warning(
        "pulls", f"{noun} running: {some}{more}", f"ps -o pid,user,etime,args -p {','.join(map(str, others))}"
    )


def _shares(process: psutil.Process, address: EngineAddress) -> bool:
    """Tell whether a process is a pull, unless its options or environment name another engine."""
    argv: Sequence[str] = process.info["cmdline"] or ()
    if not is_pull(argv):
        return False
    environment: dict[str, str] = {}
    with suppress(psutil.Error):  # it has ended, or belongs to another user
        environment = process.environ()
    host = _option(argv, "-H", "--host") or environment.get("DOCKER_HOST")
    names = ("-c", "--context") if PurePath(argv[0]).name in _ENGINES else ("--context",)
    context = _option(argv, *names) or environment.get("DOCKER_CONTEXT")
    return host == address.url if host else context in (None, "", address.label)


def _option(argv: Sequence[str], *names: str) -> str:
    """Return the value of an option in `--name value` or `--name=value`; empty without one."""
    for word, following in pairwise((*argv, "")):
        name, _, value = word.partition("=")
        if name in names:
            return value or following
    return ""


def _command(argv: Sequence[str]) -> str:
    """Return a command line without the interpreter and the program's directory, cut at its end."""
    names = [PurePath(word).name for word in argv]
    start = names.index("puller") if "puller" in names and names[0].startswith("python") else 0
    words = " ".join((names[start], *map(source_name, argv[start + 1 :])))
    return shorten(clean(words), _WIDTH)


def is_pull(argv: Sequence[str]) -> bool:
    """Tell whether a command line is a pull by puller, by an engine's command, or by xargs with one of these."""
    names = [PurePath(word).name for word in argv]
    program = names[0] if names else ""
    if program in _ENGINES:
        verb = _verb(argv)
        return verb[:1] == ["pull"] or verb[:2] in (["image", "pull"], ["compose", "pull"])
    if program == "xargs":
        return "pull" in names and not _ENGINES.isdisjoint(names)
    if program == "puller" or program.startswith("python"):
        return any(pair == ("puller", "pull") for pair in pairwise(names))
    return False


def _verb(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line without the program, its options and their values."""
    words = zip(argv[1:], argv, strict=False)
    return [word for word, before in words if not word.startswith("-") and before not in _WITH_VALUE]
