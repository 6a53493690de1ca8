"""docker's own configuration directory: where it is, and whether the logins that it promises can be had.

cron starts programs with hardly any environment, and its PATH leaves out /usr/local/bin, where credential helpers live.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from puller.text import clean

HELPER = "docker-credential-"
"""What the names of credential helpers begin with."""
_HOST = re.compile(r"(?:https?://)?([^/]*)")
_HUB = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Accounts:
    """What config.json says of accounts; `problem` is why it cannot be read."""

    path: Path
    store: str = ""
    """The helper for registries that have none of their own."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """The helper of single registries."""
    known: frozenset[str] = frozenset()
    """Where somebody has logged in: docker notes it beside a store, unless the store makes its logins itself."""
    problem: str = ""

    def names(self) -> tuple[str, ...]:
        """Name all helpers, each once."""
        return tuple(dict.fromkeys(filter(None, (self.store, *self.helpers.values()))))

    def answered_by(self, helper: str, wanted: Collection[str]) -> tuple[str, ...]:
        """Find those of the wanted registries that a helper has the logins of."""
        return tuple(name for name in wanted if self._helper_of(name) == helper)

    def _helper_of(self, registry: str) -> str:
        store = self.store if not self.known or registry in self.known else ""
        return self.helpers.get(registry, store)

    def __str__(self) -> str:
        """Say what is wrong with the file."""
        return f"{self.path} cannot be read: {self.problem}; all registries are asked without an account"


def directory(environment: Mapping[str, str]) -> Path:
    """Find it: DOCKER_CONFIG, or `.docker` in the home; without a home, a place where nothing is."""
    if named := environment.get("DOCKER_CONFIG"):
        return Path(named)
    try:
        return Path("~/.docker").expanduser()
    except RuntimeError:  # no HOME, and a user whom the system does not know
        return Path(os.devnull, ".docker")


def read_accounts(environment: Mapping[str, str]) -> Accounts:
    """Read config.json where docker reads it."""
    folder = directory(environment)
    if folder.parent == Path(os.devnull):
        return Accounts(Path("config.json"), problem="no home directory is known: set HOME or DOCKER_CONFIG")
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
        return Accounts(
            path,
            str(config.get("credsStore") or ""),
            {_registry(name): str(helper) for name, helper in _table(config, "credHelpers").items() if helper},
            frozenset(map(_registry, _table(config, "auths"))),
        )
    except FileNotFoundError:
        return Accounts(path)  # nobody has logged in
    except (OSError, ValueError, AttributeError) as error:
        return Accounts(path, problem=getattr(error, "strerror", None) or "it is no JSON object of docker's")


def troubles(registries: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Say, a line each, what keeps docker's logins at these registries from being found."""
    accounts = read_accounts(environment)
    if accounts.problem:
        yield clean(str(accounts))
    path = environment.get("PATH", os.defpath)
    for helper in accounts.names():
        users = accounts.answered_by(helper, registries)
        if users and not _is_program(HELPER + helper, path):
            names = clean(", ".join(users), _SHOWN)
            yield clean(
                f"{accounts.path} leaves the logins at {names} to {HELPER}{helper}, which is not on the PATH ({path}): "
                f"add its directory, in a crontab by a line PATH=…"
            )


def _is_program(name: str, path: str) -> bool:
    from shutil import which  # noqa: PLC0415 - few have helpers to look for

    return which(name, path=path) is not None


def _table(config: Any, key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _registry(key: str) -> str:
    """Give the registry that a key such as `https://index.docker.io/v1/` is about."""
    match = _HOST.match(key)
    host = match[1] if match else key
    return _HUB.get(host, host)
