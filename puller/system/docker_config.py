"""docker's config.json: the current context, logins and credential helpers."""

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
"""Prefix of the program names of credential helpers."""
_HOST = re.compile(r"(?:https?://)?([^/]*)")
_HUB = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
_VERSIONS = {"", "v1", "v2"}
"""Paths that a key of a whole registry may have, such as `https://index.docker.io/v1/`."""
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, or an identity token."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """The content of config.json; `problem` is the reason why it cannot be read."""

    path: Path
    context: str = ""
    """The context that `docker context use` chose."""
    store: str = ""
    """The credential helper of all registries without an entry in `helpers`."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """Credential helper by registry."""
    logins: Mapping[str, Credential | None] = field(default_factory=dict)
    """Logins by registry, with podman also by repository prefix (`quay.io/team`).

    The credential is None if a credential store has it. Some stores, such as Docker Desktop's, leave no entry here.
    """
    problem: str = ""

    def names(self) -> tuple[str, ...]:
        """Return the names of all credential helpers, without duplicates."""
        return tuple(dict.fromkeys(filter(None, (self.store, *self.helpers.values()))))

    def helper_of(self, registry: str) -> str:
        """Return the name of the registry's credential helper, or an empty string."""
        return self.helpers.get(registry, self.store)

    def registries_of(self, helper: str, registries: Collection[str]) -> tuple[str, ...]:
        """Select the registries whose login this credential helper has, as far as the file shows."""
        listed = [name for name in registries if name in self.helpers or name in self.logins or not self.logins]
        return tuple(name for name in listed if self.helper_of(name) == helper)

    def repository_login(self, registry: str, repository: str) -> Credential | None:
        """Return the login of the repository or of its longest prefix, not the login of the whole registry."""
        components = repository.split("/")
        names = ("/".join((registry, *components[:count])) for count in range(len(components), 0, -1))
        return next(filter(None, map(self.logins.get, names)), None)

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.problem}; puller uses all registries without a login"


def directory(environment: Mapping[str, str]) -> Path:
    """Return DOCKER_CONFIG or `~/.docker`; without a home directory, a path that does not exist."""
    if directory := environment.get("DOCKER_CONFIG"):
        return Path(directory)
    try:
        return Path("~/.docker").expanduser()
    except RuntimeError:  # HOME is not set, and the user is not in the user database
        return Path(os.devnull, ".docker")


def read(environment: Mapping[str, str]) -> DockerConfig:
    """Read the config.json that docker would read; never raises."""
    folder = directory(environment)
    if folder.parent == Path(os.devnull):
        return DockerConfig(Path("config.json"), problem="no home directory is known: set HOME or DOCKER_CONFIG")
    return read_file(folder / "config.json")


def read_file(path: Path) -> DockerConfig:
    """Read a config.json; an unchanged file is read once. Never raises."""
    try:
        status = path.stat()
        return _read(path, status.st_ino, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        return DockerConfig(path)  # no login yet
    except OSError as error:
        return DockerConfig(path, problem=error.strerror or str(error))
    except (ValueError, RecursionError):
        return DockerConfig(path, problem="it is not a JSON object as docker writes it")


@lru_cache(maxsize=8)
def _read(path: Path, *_state: int) -> DockerConfig:
    config = json.loads(path.read_text())
    if not isinstance(config, dict):
        raise ValueError("no object")  # noqa: TRY004 - the file is wrong, not a type
    auths = _table(config, "auths")
    return DockerConfig(
        path,
        context=str(config.get("currentContext") or ""),
        store=str(config.get("credsStore") or ""),
        helpers={_login_name(name): str(helper) for name, helper in _table(config, "credHelpers").items() if helper},
        # Of several keys of one registry, the one that equals its name comes last and so wins.
        logins={
            _login_name(key): _credential(auths[key]) for key in sorted(auths, key=lambda key: key == _login_name(key))
        },
    )


def login_problems(registries: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for each reason why the logins of these registries cannot be read.

    The usual one is cron's PATH, which lacks /usr/local/bin, where credential helpers are installed.
    """
    config = read(environment)
    if config.problem:
        yield clean(str(config))
    path = environment.get("PATH", os.defpath)
    for helper in config.names():
        affected = config.registries_of(helper, registries)
        if affected and shutil.which(HELPER + helper, path=path) is None:
            names = clean(", ".join(affected), _SHOWN)
            yield clean(
                f"{config.path} keeps the logins for {names} in {HELPER}{helper}, which is not on the PATH ({path}): "
                f"add its directory to the PATH, in a crontab with a line PATH=…"
            )


def _table(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _login_name(key: str) -> str:
    """Return the registry or repository prefix of a key such as `https://index.docker.io/v1/`."""
    if "://" not in key and key.partition("/")[2].strip("/") not in _VERSIONS:
        return key
    match = _HOST.match(key)
    host = match[1] if match else key
    return _HUB.get(host, host)


def _credential(entry: Any) -> Credential | None:
    """Read an entry of `auths`; None if it is empty, as with a credential store, or invalid."""
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
