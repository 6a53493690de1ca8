"""How fast the engine can be: layers at once, and the program that unpacks them."""

import os
import re
import shutil
from collections.abc import Iterator

from puller.doctor.cures import daemon_json
from puller.doctor.daemon import Daemon
from puller.doctor.engine import ENGINE
from puller.doctor.finding import Finding
from puller.engine.model import EngineInfo

_OPTION = "max-concurrent-downloads"
_DEFAULT = 3
"""dockerd's own."""
_HIGHER = 10
_ONE_LIMIT = (29, 7)
"""Since this version the containerd store has one limit for all pulls, too (moby commit 4994a3ba0b)."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TRUE = {"1", "t", "true"}


def examine_downloads(facts: EngineInfo, daemon: Daemon | None, jobs: int) -> Iterator[Finding]:
    """Say what dockerd's limit means for so many pulls at once, and how its layers are unpacked."""
    if daemon is None:
        where = "its command line cannot be seen from here" if facts.local else "the engine is on another host"
        yield ENGINE.ok("downloads", f"{_OPTION} is not known: {where}; the default is {_DEFAULT}")
        return
    set_to = daemon.number(_OPTION)
    yield _limit(facts, daemon, set_to or _DEFAULT, "" if set_to else " (the default)", jobs)
    yield _unpacking(daemon, containerd=facts.keeps_platforms)


def _limit(facts: EngineInfo, daemon: Daemon, limit: int, origin: str, jobs: int) -> Finding:
    said = f"{_OPTION} is {limit}{origin}"
    if facts.keeps_platforms and _version(facts.version) < _ONE_LIMIT:
        return ENGINE.ok("downloads", f"{said} for each pull: -j {jobs} means up to {jobs * limit} layers at once")
    said = f"{said}, over all pulls together"
    fix = daemon_json({_OPTION: max(_HIGHER, jobs)}, path=daemon.config)
    if limit < jobs:
        words = f"{said}: -j {jobs} pulls wait for each other's layers; a higher one lets them download side by side"
        return ENGINE.warning("downloads", words, fix)
    if limit < _HIGHER:
        words = f"{said}; a higher one helps where single downloads are slow, such as from a distant registry"
        return ENGINE.ok("downloads", words, fix)
    return ENGINE.ok("downloads", said)


def _unpacking(daemon: Daemon, *, containerd: bool) -> Finding:
    """Look for what dockerd, or containerd, starts to decompress gzip faster than Go's own code does."""
    environment = daemon.environment or {}
    variable = "CONTAINERD_DISABLE_PIGZ" if containerd else "MOBY_DISABLE_PIGZ"
    if environment.get(variable, "").lower() in _TRUE:
        return ENGINE.warning("unpigz", f"{variable} is set: layers are unpacked more slowly", f"unset {variable}")
    path = environment.get("PATH") or os.pathsep.join((_SYSTEM_PATH, os.environ.get("PATH", "")))
    for program in ("igzip", "unpigz") if containerd else ("unpigz",):
        if found := shutil.which(program, path=path):
            return ENGINE.ok("unpigz", f"layers are unpacked by {found}")
    again = " && sudo systemctl restart docker" if containerd else ""  # containerd looks for it once
    words = "unpigz is not on the engine's PATH: layers are unpacked by Go's slower gzip"
    return ENGINE.warning("unpigz", words, f"sudo apt-get install pigz{again}")


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text or "")[:2]))
