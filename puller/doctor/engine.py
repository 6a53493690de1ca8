"""The engine itself: whether it answers, how it was chosen, and what it is."""

import grp
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from puller.doctor.findings import Finding, Subject, compare_clocks, daemon_json
from puller.engine import connect
from puller.engine.endpoint import Endpoint, resolve
from puller.engine.model import EngineInfo
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.settings import BackendChoice

DEFAULT_SOCKET = "/var/run/docker.sock"
ENGINE = Subject("engine")
_START = "sudo systemctl start docker   # and for every boot: sudo systemctl enable docker"
_INSTALL = "sudo apt-get install docker.io   # or name another program: --docker-command podman"
_SLOWEST = "vfs"
"""The storage driver that copies all layers below into each layer."""


@dataclass(frozen=True, slots=True)
class Way:
    """Which engine is meant, as the options say it."""

    backend: BackendChoice
    docker_command: str = "docker"
    context: str | None = None

    def endpoint(self) -> Endpoint | None:
        """Find where it listens; None for programs other than docker. Raises UsageError for a bad context."""
        return resolve(self.context, os.environ) if self.docker_command == "docker" else None


@dataclass(frozen=True, slots=True)
class EngineReply:
    """An engine that has answered."""

    name: str
    facts: EngineInfo
    asked: datetime
    """When it was asked what it is, by the clock of this host."""


def ask_engine(way: Way) -> EngineReply:
    """Ask the engine what it is; raises what `connect` and an image store raise."""
    backend = connect(way.backend, docker_command=way.docker_command, context=way.context, connections=1)
    try:
        before = datetime.now(UTC)
        facts = backend.store.facts()
        return EngineReply(backend.engine, facts, before + (datetime.now(UTC) - before) / 2)
    finally:
        backend.close()


def examine_engine(way: Way, reply: Future[EngineReply], seconds: float) -> Iterator[Finding]:
    """Say whether it answers within so many seconds, and what it is."""
    try:
        where = describe(way)
        seen = reply.result(seconds)
    except UsageError as error:
        yield ENGINE.failed("reachable", str(error), "docker context ls")
    except TimeoutError:
        words = f"{where}: no answer within {seconds:g}s"
        yield ENGINE.failed("reachable", words, "sudo systemctl restart docker   # docker info should answer at once")
    except (EngineUnreachableError, EngineError) as error:
        yield _unreachable(way, where, str(error))
    else:
        yield ENGINE.ok("reachable", f"{where}: {seen.name}")
        yield from _nature(seen)


def describe(way: Way) -> str:
    """Say where the engine is, and who chose it. Raises UsageError for a bad context."""
    endpoint = way.endpoint()
    if endpoint is None:
        return f"the {way.docker_command} command"
    return f"{endpoint.host or f'unix://{DEFAULT_SOCKET}'} ({_chooser(way, endpoint, os.environ)})"


def _chooser(way: Way, endpoint: Endpoint, environment: Mapping[str, str]) -> str:
    if way.context:
        return f"--context {way.context}"
    if environment.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    if endpoint.context == "default":
        return "the default"
    chooser = "DOCKER_CONTEXT" if environment.get("DOCKER_CONTEXT") else "docker context use"
    return f"context {endpoint.context}, by {chooser}"


def _unreachable(way: Way, where: str, words: str) -> Finding:
    """Look at the socket itself for the reason, since each backend has words of its own for it."""
    endpoint = way.endpoint()
    if "command not found" in words:
        return ENGINE.failed("reachable", words, _INSTALL)
    if "too new" in words or "too old" in words:
        return ENGINE.failed("reachable", f"{where}: {words}", "unset DOCKER_API_VERSION")
    host = (endpoint.host if endpoint else None) or f"unix://{DEFAULT_SOCKET}"
    if endpoint is None or not host.startswith("unix://"):
        fix = "docker context ls   # is the address right, and DOCKER_HOST not set by mistake?"
        return ENGINE.failed("reachable", f"{where}: {words}", fix if endpoint else f"{way.docker_command} info")
    path = Path(host.removeprefix("unix://"))
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except PermissionError:
        return ENGINE.failed("reachable", f"{where}: permission denied on the socket", _let_in(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return ENGINE.failed("reachable", f"{where}: nobody listens there: the engine does not run", _START)
    except OSError:
        pass
    return ENGINE.failed("reachable", f"{where}: {words}", "sudo systemctl restart docker")


def _let_in(path: Path) -> str:
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        group = ""
    member = "sudo usermod -aG docker $USER && newgrp docker"
    return member if group == "docker" else f"sudo chgrp docker {path} && sudo chmod 660 {path}\n{member}"


def _nature(seen: EngineReply) -> Iterator[Finding]:
    facts = seen.facts
    yield ENGINE.ok("version", facts.version or "it does not say")
    kind = "containerd" if facts.keeps_platforms else "graph-driver"
    words = f"{kind} store ({facts.driver or 'of unknown driver'}) at {facts.data_root or 'an unknown place'}"
    if facts.driver == _SLOWEST:
        fix = daemon_json({"storage-driver": "overlay2"}, "restart")
        words = f"{words}: it copies every layer for each layer above it; with another, all is pulled anew"
        yield ENGINE.warning("store", words, fix)
    else:
        yield ENGINE.ok("store", words)
    yield ENGINE.ok("platform", str(facts.platform or "it does not say"))
    if facts.clock:
        yield compare_clocks(ENGINE, "the engine's", facts.clock, seen.asked)
