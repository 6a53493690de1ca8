"""Checks the options and the environment of a dockerd on this host, which the Engine API does not report."""

import json
import os
import pwd
import re
import shutil
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil

from puller.doctor.engine import ENGINE
from puller.doctor.findings import DAEMON_JSON, Finding, daemon_json
from puller.engine.disk import ELSEWHERE
from puller.engine.model import EngineInfo

_PROGRAM = "dockerd"
_PEER_CREDENTIALS = struct.Struct("3i")
"""The struct of SO_PEERCRED, see unix(7): process, user and group."""
_DOWNLOADS = "max-concurrent-downloads"
_DEFAULT_DOWNLOADS = 3
_MORE_DOWNLOADS = 10
_GAIN_OF_DOWNLOADS = "at 8 MB/s a connection, 10 instead of 3 were 2.4 times as fast"
_GAIN_OF_UNPIGZ = "images that compress well were pulled 1.1 to 1.3 times as fast with it"
_GAIN_OF_IGZIP = "images that compress well were pulled 1.3 times as fast with it"
_ONE_LIMIT = (29, 7)
"""Since this version the containerd store also has one limit for all pulls (moby commit 4994a3ba0b)."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TRUE = {"1", "t", "true"}


class Daemon(NamedTuple):
    """A running dockerd."""

    config: Path
    """Its daemon.json, which may not exist."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """The content of that file; a change may not be in effect yet."""
    options: Mapping[str, str] = MappingProxyType({})
    environment: Mapping[str, str] | None = None
    """None where it cannot be read."""

    def number(self, name: str) -> int | None:
        """Return the value of a numeric option; None where it is not set, so that the default applies."""
        value = self.options.get(name, self.settings.get(name))
        try:
            return int(value) if value is not None else None
        except (TypeError, ValueError):
            return None


def find_daemon(url: str) -> Daemon | None:
    """Find the dockerd behind a Unix socket; None where that is not possible, as for engines on other hosts."""
    if not url.startswith("unix://"):
        return None
    pid = _listener(url.removeprefix("unix://"))
    try:
        found = psutil.Process(pid) if pid else None
        if found and not _is_dockerd(found.cmdline()):  # systemd may have opened the socket
            daemons = [each for each in psutil.process_iter(["cmdline"]) if _is_dockerd(each.info["cmdline"])]
            found = daemons[0] if len(daemons) == 1 and pid == 1 else None
        return _read(found) if found else None
    except psutil.Error:  # it has just ended, or belongs to another user
        return None


def _listener(path: str) -> int | None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(path)
            size = _PEER_CREDENTIALS.size
            pid, _, _ = _PEER_CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    except OSError:
        return None
    return int(pid)


def _is_dockerd(argv: Sequence[str] | None) -> bool:
    return PurePath(argv[0]).name == _PROGRAM if argv else False


def _read(process: psutil.Process) -> Daemon:
    options = read_options(process.cmdline()[1:])
    config = Path(options.get("config-file") or _default_config(process))
    try:
        settings = json.loads(config.read_text())
    except (OSError, ValueError):
        settings = {}
    try:
        environment = process.environ()
    except psutil.Error:
        environment = None
    return Daemon(config, settings if isinstance(settings, dict) else {}, options, environment)


def read_options(words: Sequence[str]) -> dict[str, str]:
    """Read `--name=value` and `--name value`; a flag has an empty value."""
    options: dict[str, str] = {}
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            options[name[2:]] = value if equals or following.startswith("-") else following
    return options


def _default_config(process: psutil.Process) -> Path:
    """Return the default path of daemon.json; a rootless dockerd has it in its user's home directory."""
    user = process.uids().effective
    try:
        return Path(pwd.getpwuid(user).pw_dir) / ".config/docker/daemon.json" if user else DAEMON_JSON
    except KeyError:
        return DAEMON_JSON


def examine_downloads(facts: EngineInfo, daemon: Daemon | None, jobs: int) -> Iterator[Finding]:
    """Compare dockerd's limit of downloads with the number of concurrent pulls; check how it decompresses layers."""
    if daemon is None:
        where = "dockerd's command line cannot be read" if facts.local else ELSEWHERE
        yield ENGINE.ok("downloads", f"{_DOWNLOADS} is not known: {where}; the default is {_DEFAULT_DOWNLOADS}")
        return
    set_to = daemon.number(_DOWNLOADS)
    yield _limit(facts, daemon, set_to or _DEFAULT_DOWNLOADS, "" if set_to else " (the default)", jobs)
    yield _unpacking(daemon, containerd=facts.keeps_platforms)


def _limit(facts: EngineInfo, daemon: Daemon, limit: int, origin: str, jobs: int) -> Finding:
    setting = f"{_DOWNLOADS} is {limit}{origin}"
    if facts.keeps_platforms and _version(facts.version) < _ONE_LIMIT:
        return ENGINE.ok("downloads", f"{setting} for each pull: -j {jobs} means up to {jobs * limit} layers at once")
    setting = f"{setting}, for all pulls together"
    fix = daemon_json({_DOWNLOADS: max(_MORE_DOWNLOADS, jobs)}, path=daemon.config)
    if limit < jobs:
        words = f"{setting}: -j {jobs} pulls wait for each other's layers; a higher limit avoids that"
        return ENGINE.warning("downloads", words, fix)
    if limit < _MORE_DOWNLOADS:
        words = "a higher limit helps where each connection is slow, such as to a distant registry, and puller does not"
        return ENGINE.ok("downloads", f"{setting}; {words} prefetch: {_GAIN_OF_DOWNLOADS}")
    return ENGINE.ok("downloads", setting)


def _unpacking(daemon: Daemon, *, containerd: bool) -> Finding:
    """Check for the programs that dockerd or containerd uses to decompress gzip faster than Go's own code."""
    environment = daemon.environment or {}
    variable = "CONTAINERD_DISABLE_PIGZ" if containerd else "MOBY_DISABLE_PIGZ"
    if environment.get(variable, "").lower() in _TRUE:
        return ENGINE.warning(
            "unpigz",
            f"{variable} is set: layers are decompressed more slowly",
            f"# remove {variable} from the engine's environment",
        )
    path = environment.get("PATH") or os.pathsep.join((_SYSTEM_PATH, os.environ.get("PATH", "")))
    for program in ("igzip", "unpigz") if containerd else ("unpigz",):
        if found := shutil.which(program, path=path):
            return ENGINE.ok("unpigz", f"layers are decompressed by {found}")
    slow = "is not in the engine's PATH: layers are decompressed by Go's slower gzip"
    if containerd:  # unpigz gains nothing there
        fix = "sudo apt-get install isal && sudo systemctl restart docker   # containerd looks for it only once"
        return ENGINE.warning("unpigz", f"igzip, for containerd 2 and newer, {slow}; {_GAIN_OF_IGZIP}", fix)
    return ENGINE.warning("unpigz", f"unpigz {slow}; {_GAIN_OF_UNPIGZ}", "sudo apt-get install pigz")


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d{1,9}", text or "")[:2]))
