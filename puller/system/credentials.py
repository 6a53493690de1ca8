"""The user's credentials for registries, as docker and podman keep them: in files, a variable, or a helper program."""

import json
import os
import shutil
import threading
from collections.abc import Mapping
from typing import NamedTuple

from puller.cancellation import Cancellation
from puller.system import docker_config
from puller.system.docker_config import HELPER, Credential, DockerConfig

_HUB = "https://index.docker.io/v1/"
_TOKEN = "<token>"  # noqa: S105 - the user name that helpers return with an identity token
UNKNOWN = "not found in native keychain"
"""The message of helpers without credentials for a registry (docker/docker-credential-helpers)."""


class Found(NamedTuple):
    """What was found for one registry."""

    credential: Credential | None = None
    helper: str = ""
    """The program that was asked, if one was."""
    problem: str = ""
    """Why there may be a credential that could not be read."""


class Keyring:
    """The credentials of one user, looked up once for each registry on first use; thread-safe.

    An unusable file, entry or helper counts as no credential for the registries that it concerns: `problem` has the
    reason.
    """

    def __init__(self, helper_seconds: float = 10.0) -> None:
        """`helper_seconds` is the time limit of a credential helper."""
        self._helper_seconds = helper_seconds
        self._configs: tuple[DockerConfig, ...] | None = None
        self._found: dict[str, Found] = {}
        self._renewed: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, registry: str, repository: str) -> Credential | None:
        """Return the credential for a repository; None for anonymous access."""
        with self._lock:
            if self._configs is None:
                self._configs = tuple(docker_config.read_all(os.environ))
            lock = self._locks.setdefault(registry, threading.Lock())
        for config in self._configs:
            if login := config.repository_login(registry, repository):
                return login
        with lock:  # a helper runs once for each registry, and the other threads wait for it
            if registry not in self._found:
                self._found[registry] = self._look_up(self._configs, registry)
            return self._found[registry].credential

    def renew(self, registry: str) -> None:
        """Ask the registry's helper again, once, because the registry refused what it returned."""
        with self._lock:
            lock = self._locks.setdefault(registry, threading.Lock())
        with lock:
            found = self._found.get(registry)
            if found and found.helper and registry not in self._renewed:
                self._renewed.add(registry)
                del self._found[registry]

    def problem(self, registry: str) -> str:
        """Return why no credential was found, if there may be one; it contains nothing that a helper printed."""
        found = self._found.get(registry)
        return found.problem if found else ""

    @property
    def problems(self) -> Mapping[str, str]:
        """The problems of all registries that were looked up."""
        return {registry: found.problem for registry, found in list(self._found.items()) if found.problem}

    def _look_up(self, configs: tuple[DockerConfig, ...], registry: str) -> Found:
        first = Found()
        for config in configs:
            helper = config.helper_of(registry)
            found = ask_helper(HELPER + helper, registry, self._helper_seconds) if helper else Found()
            if credential := found.credential or config.logins.get(registry):
                return found._replace(credential=credential)
            problem = found.problem or config.problem_of(registry)
            first = first if first.problem else found._replace(problem=problem)
        return first


def server_name(registry: str | None) -> str:
    """Return the server name that helpers and engines use for a registry."""
    return _HUB if registry == "docker.io" else registry or ""


def ask_helper(program: str, registry: str | None, seconds: float) -> Found:
    """Run a credential helper to get the login for a registry, or without one to list all logins.

    docker/docker-credential-helpers defines the protocol. Nothing that the helper printed is in the problem.
    """
    from puller.system import process  # noqa: PLC0415 - imports subprocess, and few registries have a helper

    if shutil.which(program) is None:
        return Found(helper=program, problem=f"{program} is not on the PATH")
    try:
        done = process.run(
            (program, "get" if registry else "list"),
            environment=dict(os.environ),
            cancel=Cancellation(),
            timeout=seconds,
            stdin=server_name(registry).encode(),
        )
    except TimeoutError:
        problem = f"{program} does not answer within {seconds:g}s"
    except OSError as error:
        problem = f"{program} cannot be run: {error.strerror or error}"
    else:
        credential = _credential(done.stdout) if registry and not done.code else None
        problem = f"{program} fails with exit code {done.code}" if done.code else f"{program} gives no valid answer"
        if credential or (UNKNOWN in done.stdout + done.stderr if done.code else not registry):
            return Found(credential, program)
    return Found(helper=program, problem=problem)


def _credential(output: str) -> Credential | None:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return None
    username, secret = (answer.get(key) if isinstance(answer, dict) else None for key in ("Username", "Secret"))
    if not username or not isinstance(username, str) or not isinstance(secret, str):
        return None
    return Credential(identity_token=secret) if username == _TOKEN else Credential(username, secret)
