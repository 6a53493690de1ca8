"""Which engine is meant: contexts and DOCKER_* variables, resolved in the docker CLI's own order.

docker-py is not asked: it falls back to the local engine when a context does not exist, and looks for contexts
in the working directory when there is no config.json.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from puller.errors import UsageError
from puller.system import docker_config

DEFAULT_HOST = "unix:///var/run/docker.sock"
"""Where docker engines listen that were not told otherwise."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the certificates of an engine behind TLS are."""

    directory: Path
    """Holds ca.pem, cert.pem and key.pem."""
    verify: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine listens."""

    context: str
    host: str | None
    """`unix://…`, `tcp://…`, `ssh://…`; None means the engine's default socket."""
    tls: Tls | None = None


def resolve(context: str | None, environment: Mapping[str, str]) -> Endpoint:
    """Find the engine: `--context`, then DOCKER_HOST, DOCKER_CONTEXT, the config's current context, the default.

    Raises UsageError when a context is named that does not exist or cannot be read.
    """
    directory = docker_config.directory(environment)
    host = environment.get("DOCKER_HOST")
    # A broken config.json is only a warning to the docker CLI, too.
    chosen = "default" if host else environment.get("DOCKER_CONTEXT") or docker_config.read(environment).context
    name = context or chosen or "default"
    if name == "default":
        return Endpoint(name, host or None, _tls_of_environment(directory, environment))
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = directory / "contexts" / "meta" / identity / "meta.json"
    try:
        docker = json.loads(meta.read_text())["Endpoints"]["docker"]
        host, skip_verify = str(docker.get("Host") or "") or None, bool(docker.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise UsageError(f"context {name!r} not found: `docker context ls` lists those that exist") from None
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"context {name!r} cannot be read from {meta}: {error}") from None
    certificates = directory / "contexts" / "tls" / identity / "docker"
    return Endpoint(name, host, Tls(certificates, verify=not skip_verify) if certificates.is_dir() else None)


def address(host: str | None) -> str:
    """Write an engine's address so that all who mean this engine write the same."""
    host = host or DEFAULT_HOST
    scheme, _, rest = host.partition("://")
    return f"{scheme}://{os.path.realpath(rest)}" if scheme == "unix" else host.rstrip("/").lower()


def is_local(host: str | None) -> bool:
    """Whether an engine at this address runs on this machine, as far as the address tells."""
    return host is None or host.startswith(("unix://", "npipe://"))


def _tls_of_environment(directory: Path, environment: Mapping[str, str]) -> Tls | None:
    verify, path = bool(environment.get("DOCKER_TLS_VERIFY")), environment.get("DOCKER_CERT_PATH")
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return Tls(Path(path) if path else directory, verify=verify)
