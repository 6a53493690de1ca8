"""Lines to paste that several checks have in common."""

import json
from pathlib import Path
from typing import Any

DAEMON_JSON = Path("/etc/docker/daemon.json")
"""Where dockerd reads its settings, unless it was told otherwise."""
_HUB = "docker.io"


def daemon_json(setting: dict[str, Any], then: str = "reload", path: Path = DAEMON_JSON) -> str:
    """Show a setting of dockerd, and put it in force; not every one is by a mere reload."""
    return f"# in {path}:\n{json.dumps(setting)}\nsudo systemctl {then} docker"


def login(registry: str, verb: str = "login") -> str:
    """Give the command that stores an account, or with the verb `logout` forgets it."""
    return f"docker {verb}" if registry == _HUB else f"docker {verb} {registry}"
