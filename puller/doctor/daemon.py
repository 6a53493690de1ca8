"""How a dockerd on this host was started: what the Engine API does not tell of its settings."""

import json
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from puller.doctor.cures import DAEMON_JSON
from puller.doctor.engine import DEFAULT_SOCKET
from puller.doctor.processes import Running, environment, process, processes

_PROGRAM = "dockerd"
_CREDENTIALS = struct.Struct("3i")
"""Of unix(7), SO_PEERCRED: process, user and group."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running dockerd."""

    config: Path
    """Its daemon.json, which need not be there."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is written there; after a change that may not be in force yet."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What its command line says."""
    environment: Mapping[str, str] | None = None

    def number(self, name: str) -> int | None:
        """Give the number that an option was set to; None when it was not, which means the engine's default."""
        value = self.options.get(name, self.settings.get(name))
        try:
            return int(value) if value is not None else None
        except (TypeError, ValueError):
            return None


def find_daemon(host: str | None) -> Daemon | None:
    """Find the dockerd behind a unix socket; None where it cannot be told, as for engines on other hosts."""
    host = host or f"unix://{DEFAULT_SOCKET}"
    if not host.startswith("unix://"):
        return None
    found = _listener(host.removeprefix("unix://"))
    if found is None or found.program != _PROGRAM:  # systemd may have opened the socket
        daemons = [each for each in processes() if each.program == _PROGRAM]
        found = daemons[0] if len(daemons) == 1 and found and found.pid == 1 else None
    return _read(found) if found else None


def _listener(path: str) -> Running | None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(path)
            pid, _, _ = _CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    except OSError:
        return None
    return process(pid) if pid > 0 else None


def _read(found: Running) -> Daemon:
    options = read_options(found.argv[1:])
    config = Path(options.get("config-file") or _default_config(found.pid))
    try:
        settings = json.loads(config.read_text())
    except (OSError, ValueError):
        settings = {}
    return Daemon(config, settings if isinstance(settings, dict) else {}, options, environment(found.pid))


def read_options(words: tuple[str, ...]) -> dict[str, str]:
    """Read `--name=value` and `--name value`; a switch has an empty value."""
    options: dict[str, str] = {}
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            options[name[2:]] = value if equals or following.startswith("-") else following
    return options


def _default_config(pid: int) -> Path:
    """Say where dockerd looks by itself; one without root's rights looks in its user's home."""
    try:
        user = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - a Path would be no shorter
        return Path(pwd.getpwuid(user).pw_dir) / ".config/docker/daemon.json" if user else DAEMON_JSON
    except (OSError, KeyError):
        return DAEMON_JSON
