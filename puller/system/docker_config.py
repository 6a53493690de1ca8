"""docker's own configuration directory, and its config.json: the context in use, logins and credential helpers.

cron starts programs with hardly any environment, and its PATH leaves out /usr/local/bin, where credential helpers live.
"""

import base64
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from puller.text import clean

HELPER = "docker-credential-"
"""What the names of credential helpers begin with."""
_HOST = re.compile(r"(?:https?://)?([^/]*)")
_HUB = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
_VERSIONS = {"", "v1", "v2"}
"""Paths of a key that mean the registry as a whole: `https://index.docker.io/v1/`."""
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Credential:
    """An account: a name with a password, or an identity token that stands for both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What config.json says; `problem` is why it cannot be read."""

    path: Path
    context: str = ""
    """The context that `docker context use` chose."""
    store: str = ""
    """The helper for registries that have none of their own."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """The helper of single registries."""
    logins: Mapping[str, Credential | None] = field(default_factory=dict)
    """Where somebody has logged in: registries, and with podman parts of them (`quay.io/team`).

    docker notes a login without a credential beside a store, unless the store makes its logins itself.
    """
    problem: str = ""

    def names(self) -> tuple[str, ...]:
        """Name all helpers, each once."""
        return tuple(dict.fromkeys(filter(None, (self.store, *self.helpers.values()))))

    def helper_of(self, registry: str) -> str:
        """Name the helper that docker asks for the login at a registry; empty when there is none."""
        return self.helpers.get(registry, self.store)

    def answered_by(self, helper: str, wanted: Collection[str]) -> tuple[str, ...]:
        """Find those of the wanted registries whose logins a helper has, as far as the file tells."""
        listed = [name for name in wanted if name in self.helpers or name in self.logins or not self.logins]
        return tuple(name for name in listed if self.helper_of(name) == helper)

    def part_login(self, registry: str, repository: str) -> Credential | None:
        """Find the login of the longest name that holds the repository, but for the registry's own."""
        components = repository.split("/")
        names = ("/".join((registry, *components[:count])) for count in range(len(components), 0, -1))
        return next(filter(None, map(self.logins.get, names)), None)

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


def read(environment: Mapping[str, str]) -> DockerConfig:
    """Read config.json where docker reads it."""
    folder = directory(environment)
    if folder.parent == Path(os.devnull):
        return DockerConfig(Path("config.json"), problem="no home directory is known: set HOME or DOCKER_CONFIG")
    return read_file(folder / "config.json")


def read_file(path: Path) -> DockerConfig:
    """Read a file of this form; a file that has not changed is read once."""
    try:
        status = path.stat()
        return _read(path, status.st_ino, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        return DockerConfig(path)  # nobody has logged in
    except OSError as error:
        return DockerConfig(path, problem=error.strerror or str(error))
    except (ValueError, RecursionError):
        return DockerConfig(path, problem="it is no JSON object of docker's")


@lru_cache(maxsize=8)
def _read(path: Path, *_state: int) -> DockerConfig:
    config = json.loads(path.read_text())
    if not isinstance(config, dict):
        raise ValueError("no object")  # noqa: TRY004 - what is wrong is the file
    auths = _table(config, "auths")
    return DockerConfig(
        path,
        context=str(config.get("currentContext") or ""),
        store=str(config.get("credsStore") or ""),
        helpers={_login_name(name): str(helper) for name, helper in _table(config, "credHelpers").items() if helper},
        # Of several keys for one registry that which is its name wins.
        logins={
            _login_name(key): _credential(auths[key]) for key in sorted(auths, key=lambda key: key == _login_name(key))
        },
    )


def troubles(registries: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Say, a line each, what keeps docker's logins at these registries from being found."""
    config = read(environment)
    if config.problem:
        yield clean(str(config))
    path = environment.get("PATH", os.defpath)
    for helper in config.names():
        users = config.answered_by(helper, registries)
        if users and shutil.which(HELPER + helper, path=path) is None:
            names = clean(", ".join(users), _SHOWN)
            yield clean(
                f"{config.path} leaves the logins at {names} to {HELPER}{helper}, which is not on the PATH ({path}): "
                f"add its directory, in a crontab by a line PATH=…"
            )


def _table(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _login_name(key: str) -> str:
    """Give the registry that a key such as `https://index.docker.io/v1/` is about, or the part of one."""
    if "://" not in key and key.partition("/")[2].strip("/") not in _VERSIONS:
        return key
    match = _HOST.match(key)
    host = match[1] if match else key
    return _HUB.get(host, host)


def _credential(entry: Any) -> Credential | None:
    """Read an entry of `auths`; None for one that is empty, as beside a store, or odd."""
    if not isinstance(entry, dict):
        return None
    token, encoded = entry.get("identitytoken"), entry.get("auth")
    if token and isinstance(token, str):
        return Credential(identity_token=token)
    try:
        username, colon, password = base64.b64decode(encoded or "").decode().partition(":")
    except (TypeError, ValueError):
        return None
    return Credential(username, password) if username and colon else None
