"""docker's config.json: the current context, logins and credential helpers."""

import base64
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from puller.system import files
from puller.text import clean

HELPER = "docker-credential-"  # prefix of the program names of credential helpers
_HUB = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
_VERSIONS = {"", "v1", "v2"}  # paths that a key of a whole registry may have, such as `https://index.docker.io/v1/`
_SHOWN = 200
_VARIABLE = "DOCKER_AUTH_CONFIG"
_NO_OBJECT = "it is not a JSON object as docker writes it"


class Credential(NamedTuple):
    """A user name and password, or an identity token."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r})"  # no secrets

    @property
    def basic(self) -> str:
        """The user name and password as HTTP's Basic scheme encodes them (RFC 7617)."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be shown."""
        return tuple(filter(None, (self.password, self.identity_token, self.basic if self.username else "")))


class DockerConfig(NamedTuple):
    """The content of config.json; `problem` is the reason why it cannot be read."""

    path: Path
    context: str = ""  # the one that `docker context use` chose
    store: str = ""  # the credential helper of all registries without an entry in `helpers`
    helpers: Mapping[str, str] = MappingProxyType({})  # credential helper by registry
    logins: Mapping[str, Credential | None] = MappingProxyType({})
    """Logins by registry, with podman also by repository prefix (`quay.io/team`).

    The credential is None if a credential store has it. Some stores, such as Docker Desktop's, leave no entry here.
    """
    entry_problems: Mapping[str, str] = MappingProxyType({})
    """By registry: what is wrong with its entry in `auths`."""
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

    def problem_of(self, registry: str) -> str:
        """Return why this file may have a login for the registry that cannot be read; empty if all is well."""
        if self.problem:
            return str(self)
        entry = self.entry_problems.get(registry)
        return f"{self.path}: its entry for {registry} {entry}" if entry else ""

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.problem}; puller uses its registries without a login"


def directory(environment: Mapping[str, str]) -> Path:
    """Return DOCKER_CONFIG or `~/.docker`; without a home directory, a path that does not exist."""
    if directory := environment.get("DOCKER_CONFIG"):
        return Path(directory)
    try:
        return Path("~/.docker").expanduser()
    except RuntimeError:  # HOME is not set, and the user is not in the user database
        return Path(os.devnull, ".docker")


def read_all(environment: Mapping[str, str]) -> Iterator[DockerConfig]:
    """Read everything that has logins, in the order of precedence; never raises.

    This is podman's REGISTRY_AUTH_FILE, docker's DOCKER_AUTH_CONFIG (28.3) and config.json, and podman's own files
    (containers-auth.json(5)).
    """
    named = environment.get("REGISTRY_AUTH_FILE")
    if named and _is_there(Path(named)):
        yield read_file(Path(named))
    if text := environment.get(_VARIABLE):
        try:
            yield _parse(Path(_VARIABLE), text)
        except (ValueError, RecursionError):
            yield DockerConfig(Path(_VARIABLE), problem=_NO_OBJECT)
    yield read(environment)
    with suppress(RuntimeError):  # HOME is not set, and the user is not in the user database
        runtime, config = environment.get("XDG_RUNTIME_DIR"), environment.get("XDG_CONFIG_HOME")
        for folder in (runtime, config or Path("~/.config").expanduser()):
            if folder and _is_there(path := Path(folder, "containers", "auth.json")):
                yield read_file(path)


def _is_there(path: Path) -> bool:
    """Tell whether a file exists; in a directory of another user that cannot be entered there is none."""
    try:
        return path.exists()
    except OSError:
        return False


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
        return DockerConfig(path, problem=_NO_OBJECT)


@lru_cache(maxsize=8)
def _read(path: Path, *_state: int) -> DockerConfig:
    with files.open_regular(path) as file:
        return _parse(path, file.read().decode())


def _parse(path: Path, text: str) -> DockerConfig:
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ValueError("no object")  # noqa: TRY004 - the file is wrong, not a type
    config = _folded(config)
    auths, helpers = _table(config, "auths"), _table(config, "credhelpers")
    logins: dict[str, Credential | None] = {}
    problems: dict[str, str] = {}
    # Of several keys of one registry, the one that equals its name comes last and so wins.
    for key in sorted(auths, key=lambda key: key == _login_name(key)):
        try:
            logins[_login_name(key)] = _credential(auths[key])
        except ValueError as error:
            problems[_login_name(key)] = str(error)
    return DockerConfig(
        path,
        context=_word(config, "currentcontext"),
        store=_word(config, "credsstore"),
        helpers={_login_name(name): helper for name in helpers if (helper := _word(helpers, name))},
        logins=logins,
        entry_problems=problems,
    )


def login_problems(registries: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for each reason why the logins of these registries cannot be read.

    The usual one is cron's PATH, which lacks /usr/local/bin, where credential helpers are installed.
    """
    for config in read_all(environment):
        if config.problem:
            yield clean(str(config))
        yield from (clean(config.problem_of(name)) for name in registries if name in config.entry_problems)
        path = environment.get("PATH", os.defpath)
        for helper in config.names():
            affected = config.registries_of(helper, registries)
            if affected and shutil.which(HELPER + helper, path=path) is None:
                names = clean(", ".join(affected), _SHOWN)
                yield clean(
                    f"{HELPER}{helper} is not on the PATH ({path}), and {config.path} keeps the logins for {names} in "
                    "it: add its directory to the PATH, in a crontab with a line PATH=…"
                )


def _folded(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with lower-case keys: Go's JSON reader, which docker uses, ignores their case."""
    return {key.lower(): value for key, value in table.items()}


def _word(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _table(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _login_name(key: str) -> str:
    """Return the registry or repository prefix of a key such as `https://index.docker.io/v1/`."""
    if "://" not in key and key.partition("/")[2].strip("/") not in _VERSIONS:
        return key
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return _HUB.get(host, host)


def _credential(entry: Any) -> Credential | None:
    """Read an entry of `auths`; None if it is empty, as with a credential store. Raises ValueError for an invalid one.

    As docker does, trailing NULs of a password are removed, and a user name and password of their own are accepted.
    """
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - the file is wrong, not a type
    entry = _folded(entry)
    if token := _word(entry, "identitytoken"):
        return Credential(identity_token=token)
    username, password = _word(entry, "username"), _word(entry, "password")
    if encoded := entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(encoded).decode().partition(":")
        except (TypeError, ValueError):
            username = colon = ""
        if not username or not colon:
            raise ValueError('has an "auth" that is not USER:PASSWORD in base64')
    return Credential(username, password.rstrip("\0")) if username else None
