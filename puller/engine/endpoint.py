"""The address of an engine: contexts and DOCKER_* variables, resolved in the docker CLI's own order.

docker-py is not asked: it falls back to the local engine when a context does not exist, and looks for contexts
in the working directory when there is no config.json.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from puller.errors import UsageError
from puller.settings import BackendChoice
from puller.system import docker_config

DOCKER = "docker"
DEFAULT_HOST = "unix:///var/run/docker.sock"
"""Where docker engines listen that were not told otherwise."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the certificates of an engine behind TLS are."""

    directory: Path
    """Holds ca.pem, cert.pem and key.pem."""
    verify: bool


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an engine is. It is resolved once, and all that belongs to one run uses it."""

    label: str
    """What people call it: the docker context, or the program and the user whose engine it is."""
    url: str
    """`unix://…`, `tcp://…`, `ssh://…`; empty for podman and nerdctl, which find their engine themselves."""
    tls: Tls | None = None
    local: bool = False
    """Whether the engine runs on this machine. A socket that is forwarded from another host is not local."""
    context: str | None = None
    """The docker context that was asked for by name: the docker command must be told of it."""

    @property
    def identity(self) -> str:
        """The same text for all who mean this engine, however they reach it: it names the run lock."""
        scheme, _, rest = self.url.partition("://")
        if not self.url or (scheme == "unix" and not self.local):
            return self.label
        return f"{scheme}://{os.path.realpath(rest)}" if scheme == "unix" else self.url.rstrip("/").lower()


def locate(
    choice: BackendChoice = BackendChoice.AUTO, *, docker_command: str = DOCKER, context: str | None = None
) -> EngineAddress:
    """Find the engine that the options and the environment mean, without asking it.

    podman and nerdctl have an engine for each user. Raises UsageError for a context that does not exist or cannot be
    read, and for one that is given to a program other than docker.
    """
    program = PurePath(docker_command).name
    if choice is BackendChoice.SDK or program == DOCKER:
        return resolve(context, os.environ)
    if context:
        raise UsageError(f"--context belongs to docker: {program} has none")
    return EngineAddress(f"{program} of user {os.geteuid()}", "", local=True)


def resolve(context: str | None, environment: Mapping[str, str]) -> EngineAddress:
    """Find docker's engine: `--context`, then DOCKER_HOST, DOCKER_CONTEXT, the config's current context, the default.

    Raises UsageError when a context is named that does not exist or cannot be read.
    """
    directory = docker_config.directory(environment)
    host = environment.get("DOCKER_HOST")
    # A broken config.json is only a warning to the docker CLI, too.
    chosen = "default" if host else environment.get("DOCKER_CONTEXT") or docker_config.read(environment).context
    name = context or chosen or "default"
    if name == "default":
        return _address(name, host or "", _tls_of_environment(directory, environment), context)
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = directory / "contexts" / "meta" / identity / "meta.json"
    try:
        docker = json.loads(meta.read_text())["Endpoints"]["docker"]
        host, skip_verify = str(docker.get("Host") or ""), bool(docker.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise UsageError(f"context {name!r} not found: `docker context ls` lists those that exist") from None
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"context {name!r} cannot be read from {meta}: {error}") from None
    certificates = directory / "contexts" / "tls" / identity / "docker"
    return _address(name, host, Tls(certificates, verify=not skip_verify) if certificates.is_dir() else None, context)


def _address(name: str, host: str, tls: Tls | None, context: str | None) -> EngineAddress:
    """Take a socket that the user's own configuration names for one of this machine: nobody has forwarded it."""
    url = host or DEFAULT_HOST
    return EngineAddress(name, url, tls, local=url.startswith(("unix://", "npipe://")), context=context)


def _tls_of_environment(directory: Path, environment: Mapping[str, str]) -> Tls | None:
    verify, path = bool(environment.get("DOCKER_TLS_VERIFY")), environment.get("DOCKER_CERT_PATH")
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return Tls(Path(path) if path else directory, verify=verify)
