"""docker's own configuration directory: where it is, and whether the logins that it promises can be had.

cron starts programs with hardly any environment, and its PATH leaves out /usr/local/bin, where credential helpers live.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_HELPER = "docker-credential-"
_HOST = re.compile(r"(?:https?://)?([^/]*)")
_HUB = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
_SHOWN = 200


def directory(environment: "Mapping[str, str]") -> Path:
    """Find it: DOCKER_CONFIG, or `.docker` in the home; without a home, a place where nothing is."""
    if named := environment.get("DOCKER_CONFIG"):
        return Path(named)
    try:
        return Path("~/.docker").expanduser()
    except RuntimeError:  # no HOME, and a user whom the system does not know
        return Path(os.devnull, ".docker")


def troubles(registries: "Collection[str]", environment: "Mapping[str, str]") -> "Iterator[str]":
    """Say, a line each, what keeps docker's logins at these registries from being found."""
    folder = directory(environment)
    if folder.parent == Path(os.devnull):
        yield "no home directory is known, so that docker's logins are not found: set HOME or DOCKER_CONFIG"
    file = folder / "config.json"
    try:
        config: Any = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return  # nobody has logged in
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "not JSON"
        yield clean(f"{file} cannot be read ({why.lower()}), so that docker's logins are not found")
        return
    path = environment.get("PATH", os.defpath)
    for helper, users in _helpers(config, registries).items():
        if shutil.which(_HELPER + helper, path=path) is None:
            names = clean(", ".join(users), _SHOWN)
            yield clean(
                f"{file} leaves the logins at {names} to {_HELPER}{helper}, which is not on the PATH ({path}): "
                f"add its directory, in a crontab by a line PATH=…"
            )


def _helpers(config: Any, registries: "Collection[str]") -> dict[str, list[str]]:
    """Give the helpers that are asked about these registries; the store is asked where no helper is named.

    Beside a store, docker lists in `auths` where somebody has logged in; a store that makes its own logins has no list.
    """
    config = config if isinstance(config, dict) else {}
    named = {_registry(key): value for key, value in _table(config, "credHelpers").items()}
    known = {_registry(key) for key in _table(config, "auths")}
    found: dict[str, list[str]] = {}
    for registry in registries:
        store = config.get("credsStore") if not known or registry in known else None
        helper = named.get(registry, store)
        if helper and isinstance(helper, str):
            found.setdefault(helper, []).append(registry)
    return found


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _registry(key: str) -> str:
    """Give the registry that a key such as `https://index.docker.io/v1/` is about."""
    match = _HOST.match(key)
    host = match[1] if match else key
    return _HUB.get(host, host)
