"""The address of an engine: contexts and DOCKER_* variables, resolved in the docker CLI's own order.

docker-py is not asked: it falls back to the local engine when a context does not exist, and looks for contexts
in the working directory when there is no config.json.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import NamedTuple

from puller.errors import UsageError
from puller.settings import BackendChoice
from puller.system import docker_config
from puller.text import plain_error

DOCKER = "docker"
DEFAULT_HOST = "unix:///var/run/docker.sock"
"""Docker's default socket."""
_COLIMA = ".colima/default/docker.sock"


class Tls(NamedTuple):
    """The certificates for an engine behind TLS."""

    directory: Path
    """Holds ca.pem, cert.pem and key.pem."""
    verify: bool

    @property
    def client_files(self) -> tuple[Path, Path] | None:
        """The client's certificate and key, if both are there."""
        certificate, key = self.directory / "cert.pem", self.directory / "key.pem"
        return (certificate, key) if certificate.exists() and key.exists() else None


class EngineAddress(NamedTuple):
    """The address of an engine, resolved once for a run."""

    label: str
    """Its name for people: the docker context, or the program and the user of the engine."""
    url: str
    """`unix://…`, `tcp://…`, `ssh://…`; empty for podman and nerdctl, which find their engine by themselves."""
    tls: Tls | None = None
    local: bool = False
    """Whether the engine runs on this machine; a socket forwarded from another host is not local."""
    context: str | None = None
    """The docker context given by an option, for the docker command."""

    @property
    def identity(self) -> str:
        """The name of the run lock: the same text however the engine is reached."""
        scheme, _, rest = self.url.partition("://")
        if not self.url or (scheme == "unix" and not self.local):
            return self.label
        return f"{scheme}://{os.path.realpath(rest)}" if scheme == "unix" else self.url.rstrip("/").lower()


def locate(
    choice: BackendChoice = BackendChoice.AUTO, *, docker_command: str = DOCKER, context: str | None = None
) -> EngineAddress:
    """Find the engine by the options and the environment, without asking it.

    podman and nerdctl have an engine for each user. Raises UsageError for a context that does not exist or cannot be
    read, and for one that is given to a program other than docker.
    """
    program = PurePath(docker_command).name
    if choice in (BackendChoice.API, BackendChoice.SDK) or program == DOCKER:
        return resolve(context, os.environ)
    if context:
        raise UsageError(f"--context is for docker: {program} has no contexts")
    return EngineAddress(f"{program} of user {os.geteuid()}", "", local=True)


def resolve(context: str | None, environment: Mapping[str, str]) -> EngineAddress:
    """Find docker's engine: `--context`, then DOCKER_HOST, DOCKER_CONTEXT, the config's current context, the default.

    Raises UsageError when a context is named that does not exist or cannot be read.
    """
    directory = docker_config.directory(environment)
    host = environment.get("DOCKER_HOST")
    # The docker CLI also ignores a broken config.json.
    chosen = "default" if host else environment.get("DOCKER_CONTEXT") or docker_config.read(environment).context
    name = context or chosen or "default"
    if name == "default":
        url, tls = host or DEFAULT_HOST, _tls_of_environment(directory, environment)
    else:
        url, tls = _read_context(directory / "contexts", name)
    # A socket in the user's own configuration counts as local; a port of this host may be forwarded to another one.
    return EngineAddress(name, url, tls, local=url.startswith(("unix://", "npipe://")), context=context)


def other_sockets(address: EngineAddress, environment: Mapping[str, str]) -> list[str]:
    """Return the sockets of other engines that this user may use: rootless docker, podman, Docker Desktop and Colima.

    They are named to the user, and never used without being asked for.
    """
    user, home = f"/run/user/{os.geteuid()}", environment.get("HOME", "")
    folders = dict.fromkeys((environment.get("XDG_RUNTIME_DIR") or user, user, "/run", "/var/run"))
    paths = [f"{folder}/{name}" for folder in folders for name in ("docker.sock", "podman/podman.sock")]
    paths += [f"{home}/{name}" for name in (".docker/run/docker.sock", ".docker/desktop/docker.sock", _COLIMA)]
    found = {os.path.realpath(path): path for path in reversed(paths) if _is_usable_socket(path)}
    found.pop(os.path.realpath(address.url.removeprefix("unix://")), None)
    return list(reversed(found.values()))


def context_names(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of docker's contexts, without those that cannot be read."""
    for path in docker_config.directory(environment).glob("contexts/meta/*/meta.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            yield str(json.loads(path.read_text())["Name"])


def _is_usable_socket(path: str) -> bool:
    try:
        return Path(path).is_socket() and os.access(path, os.W_OK)
    except OSError:
        return False


def _read_context(directory: Path, name: str) -> tuple[str, Tls | None]:
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta, certificates = directory / "meta" / identity / "meta.json", directory / "tls" / identity / "docker"
    try:
        docker = json.loads(meta.read_text())["Endpoints"]["docker"]
        url, skip_verify = str(docker.get("Host") or DEFAULT_HOST), bool(docker.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise UsageError(f"context {name!r} not found: `docker context ls` lists those that exist") from None
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"context {name!r} cannot be read from {meta}: {plain_error(error)}") from None
    return url, Tls(certificates, verify=not skip_verify) if certificates.is_dir() else None


def _tls_of_environment(directory: Path, environment: Mapping[str, str]) -> Tls | None:
    verify, path = bool(environment.get("DOCKER_TLS_VERIFY")), environment.get("DOCKER_CERT_PATH")
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return Tls(Path(path) if path else directory, verify=verify)
