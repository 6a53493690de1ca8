"""Whose account to use at a registry: docker-py's own reading of config.json, credential stores and helpers."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker import auth
from docker.errors import DockerException

_PROGRAM = "docker-credential-"
_TROUBLE = (DockerException, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What docker-py raises for a file, or for a helper's answer, that is not what it should be."""
_VERSIONS = {"", "v1", "v2"}
"""Paths of a key that mean the registry as a whole: `https://index.docker.io/v1/`."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An account: a name with a password, or an identity token that stands for both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class Keyring:
    """The accounts of this user, looked up when a registry asks for one, and once each; thread-safe.

    REGISTRY_AUTH_FILE (podman's) comes before docker's own file. Trouble with a file or a helper means no account.
    """

    def __init__(self, helper_seconds: float = 10.0) -> None:
        """Let a credential helper have so many seconds."""
        self._helper_seconds = helper_seconds
        self._configs: tuple[_Config, ...] | None = None
        self._found: dict[str, Credential | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, registry: str, repository: str) -> Credential | None:
        """Return the account for a repository; None means to ask as nobody."""
        with self._lock:
            if self._configs is None:
                self._configs = tuple(_read_all())
            lock = self._locks.setdefault(registry, threading.Lock())
        for config in self._configs:
            if entry := config.within(registry, repository):
                return _credential(entry)
        with lock:  # a helper is asked once, however many images wait for it
            if registry not in self._found:
                found = (self._look_up(config.whole, registry) for config in self._configs)
                self._found[registry] = next(filter(None, found), None)
            return self._found[registry]

    def _look_up(self, config: auth.AuthConfig, registry: str) -> Credential | None:
        store = config.get_credential_store(registry)
        if store and shutil.which(f"{_PROGRAM}{store}") is None:
            return None
        answers: list[Credential | None] = []

        def look() -> None:
            try:
                answers.append(_credential(config.resolve_authconfig(registry)))
            except _TROUBLE:
                answers.append(None)

        # docker-py gives a helper no time limit. A thread that hangs with it is left behind.
        thread = threading.Thread(target=look, name=f"credentials-{registry}", daemon=True)
        thread.start()
        thread.join(self._helper_seconds)
        return answers[0] if answers else None


@dataclass(frozen=True, slots=True)
class _Config:
    """One file."""

    whole: auth.AuthConfig
    """Accounts for registries."""
    parts: dict[str, Any]
    """Accounts for a name space or a repository (`quay.io/team`), which docker-py would take for the registry's."""

    def within(self, registry: str, repository: str) -> Any:
        """Find the entry of the longest name that holds the repository."""
        components = repository.split("/")
        names = ("/".join((registry, *components[:count])) for count in range(len(components), 0, -1))
        return next(filter(None, map(self.parts.get, names)), None)


def _read_all() -> Iterator[_Config]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    for path in (named, None) if named and Path(named).exists() else (None,):
        try:
            config = auth.load_config(path)
        except _TROUBLE:
            continue
        parts = {key: config.auths.pop(key) for key in list(config.auths) if _is_part(key)}
        yield _Config(config, parts)


def _is_part(key: str) -> bool:
    return "://" not in key and key.partition("/")[2].strip("/") not in _VERSIONS


def _credential(entry: Any) -> Credential | None:
    """Read docker-py's entry: small letters where it comes from a file, capitals where a helper gave it."""
    if not isinstance(entry, dict):
        return None
    values = {key.lower(): value for key, value in entry.items() if isinstance(value, str)}
    if token := values.get("identitytoken"):
        return Credential(identity_token=token)
    if username := values.get("username"):
        return Credential(username, values.get("password", ""))
    return None
