"""Credentials for registries, from docker's config.json and the credential helpers that it names."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from puller.cancellation import Cancellation
from puller.system import docker_config
from puller.system.docker_config import HELPER, Credential, DockerConfig

if TYPE_CHECKING:  # imported when a helper is asked
    from puller.system import process

_HUB = "https://index.docker.io/v1/"
_TOKEN = "<token>"  # noqa: S105 - the user name that helpers return with an identity token


class Keyring:
    """The user's credentials, looked up once for each registry on first use; thread-safe.

    REGISTRY_AUTH_FILE (podman's) takes precedence over docker's file. An unusable file or helper counts as empty.
    """

    def __init__(self, helper_seconds: float = 10.0) -> None:
        """`helper_seconds` is the time limit of a credential helper."""
        self._helper_seconds = helper_seconds
        self._configs: tuple[DockerConfig, ...] | None = None
        self._found: dict[str, Credential | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, registry: str, repository: str) -> Credential | None:
        """Return the credential for a repository; None for anonymous access."""
        with self._lock:
            if self._configs is None:
                self._configs = tuple(_read_all())
            lock = self._locks.setdefault(registry, threading.Lock())
        for config in self._configs:
            if login := config.repository_login(registry, repository):
                return login
        with lock:  # a helper runs once for each registry, and the other threads wait for it
            if registry not in self._found:
                found = (self._look_up(config, registry) for config in self._configs)
                self._found[registry] = next(filter(None, found), None)
            return self._found[registry]

    def _look_up(self, config: DockerConfig, registry: str) -> Credential | None:
        helper = config.helper_of(registry)
        answer = self._ask(HELPER + helper, registry) if helper else None
        return answer or config.logins.get(registry)

    def _ask(self, program: str, registry: str) -> Credential | None:
        if shutil.which(program) is None:
            return None
        try:
            done = ask_helper(program, registry, self._helper_seconds)
            return _credential(json.loads(done.stdout)) if done.code == 0 else None
        except (OSError, ValueError, RecursionError):
            return None


def server_name(registry: str | None) -> str:
    """Return the server name that helpers use for a registry."""
    return _HUB if registry == "docker.io" else registry or ""


def ask_helper(program: str, registry: str | None, seconds: float) -> "process.Completed":
    """Run a credential helper to get the login for a registry, or to list all logins.

    Raises TimeoutError after `seconds`, and OSError. docker/docker-credential-helpers defines the protocol.
    """
    from puller.system import process  # noqa: PLC0415 - imports subprocess, and few registries have a helper

    return process.run(
        (program, "get" if registry else "list"),
        environment=dict(os.environ),
        cancel=Cancellation(),
        timeout=seconds,
        stdin=server_name(registry).encode(),
    )


def _read_all() -> Iterator[DockerConfig]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named and Path(named).exists():
        yield docker_config.read_file(Path(named))
    yield docker_config.read(os.environ)


def _credential(answer: Any) -> Credential | None:
    username, secret = (answer.get(key) if isinstance(answer, dict) else None for key in ("Username", "Secret"))
    if not username or not isinstance(username, str) or not isinstance(secret, str):
        return None
    return Credential(identity_token=secret) if username == _TOKEN else Credential(username, secret)
