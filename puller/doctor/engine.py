"""Checks whether the engine answers, how it was chosen, and what it reports about itself."""

import grp
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from puller.doctor.findings import Finding, Subject, compare_clocks, daemon_json
from puller.engine import EngineAddress, connect, locate
from puller.engine.endpoint import other_sockets
from puller.engine.model import EngineInfo
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.settings import BackendChoice

ENGINE = Subject("engine")
_START = "sudo systemctl start docker   # at every boot: sudo systemctl enable docker"
_INSTALL = "sudo apt-get install docker.io   # or use another program: --docker-command podman"
_SLOWEST = "vfs"
"""The storage driver that copies all lower layers into each layer."""


class EngineChoice(NamedTuple):
    """The options that select an engine."""

    backend: BackendChoice
    docker_command: str = "docker"
    context: str | None = None

    def address(self) -> EngineAddress:
        """Return the engine's address, without a URL for podman and nerdctl; raises UsageError for a bad context."""
        return locate(self.backend, docker_command=self.docker_command, context=self.context)


class EngineReply(NamedTuple):
    """The answer of an engine."""

    name: str
    facts: EngineInfo
    asked: datetime
    """When it was asked, by the clock of this host."""


def ask_engine(choice: EngineChoice) -> EngineReply:
    """Ask the engine for a description of itself; raises EngineUnreachableError, EngineError, UsageError."""
    command = choice.docker_command
    with closing(connect(choice.address(), choice.backend, docker_command=command, connections=1)) as engine:
        before = datetime.now(UTC)
        facts = engine.store.facts()
        return EngineReply(engine.engine, facts, before + (datetime.now(UTC) - before) / 2)


def examine_engine(choice: EngineChoice, reply: Future[EngineReply], seconds: float) -> Iterator[Finding]:
    """Check that the engine answers within `seconds`, and show what it is."""
    try:
        where = _described(choice)
        answer = reply.result(seconds)
    except UsageError as error:
        yield ENGINE.failed("reachable", str(error), "docker context ls")
    except TimeoutError:
        words = f"{where}: no answer within {seconds:g}s"
        yield ENGINE.failed("reachable", words, "sudo systemctl restart docker   # docker info should answer at once")
    except (EngineUnreachableError, EngineError) as error:
        yield _unreachable(choice, where, str(error))
    else:
        yield ENGINE.ok("reachable", f"{where}: {answer.name}")
        yield from _properties(answer)


def _described(choice: EngineChoice) -> str:
    """Return the engine's address and the setting that selected it; raises UsageError for a bad context."""
    address = choice.address()
    if not address.url:
        return f"the {choice.docker_command} command"
    if choice.context:
        source = f"--context {choice.context}"
    elif os.environ.get("DOCKER_HOST"):
        source = "DOCKER_HOST"
    elif address.label == "default":
        source = "the default"
    else:
        setting = "DOCKER_CONTEXT" if os.environ.get("DOCKER_CONTEXT") else "docker context use"
        source = f"context {address.label}, set by {setting}"
    return f"{address.url} ({source})"


def _unreachable(choice: EngineChoice, where: str, words: str) -> Finding:
    """Find the reason by connecting to the socket, because engine clients report it in different words."""
    address = choice.address()
    if "command not found" in words:
        return ENGINE.failed("reachable", words, _INSTALL)
    if "too new" in words or "too old" in words:
        return ENGINE.failed("reachable", f"{where}: {words}", "unset DOCKER_API_VERSION")
    if not address.url.startswith("unix://"):
        fix = "docker context ls   # is the address right, and DOCKER_HOST not set by mistake?"
        return ENGINE.failed("reachable", f"{where}: {words}", fix if address.url else f"{choice.docker_command} info")
    path = Path(address.url.removeprefix("unix://"))
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except PermissionError:
        return ENGINE.failed("reachable", f"{where}: permission denied on the socket", _grant_access(path))
    except (FileNotFoundError, ConnectionRefusedError):
        others = other_sockets(address, os.environ)
        fix = f"export DOCKER_HOST=unix://{others[0]}   # another engine's socket" if others else _START
        return ENGINE.failed("reachable", f"{where}: no process listens on the socket: the engine does not run", fix)
    except OSError:
        pass
    return ENGINE.failed("reachable", f"{where}: {words}", "sudo systemctl restart docker")


def _grant_access(path: Path) -> str:
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        group = ""
    member = "sudo usermod -aG docker $USER && newgrp docker"
    return member if group == "docker" else f"sudo chgrp docker {path} && sudo chmod 660 {path}\n{member}"


def _properties(answer: EngineReply) -> Iterator[Finding]:
    facts = answer.facts
    yield ENGINE.ok("version", facts.version or "not reported")
    kind = "containerd" if facts.keeps_platforms else "graph-driver"
    words = f"{kind} store ({facts.driver or 'unknown driver'}) in {facts.data_root or 'an unknown directory'}"
    if facts.driver == _SLOWEST:
        podman = '# add to [storage] of /etc/containers/storage.conf: driver = "overlay"'
        fix = daemon_json({"storage-driver": "overlay2"}, "restart") if facts.identity else podman
        words = f"{words}: every layer is a full copy; after a change of driver all images must be pulled again"
        yield ENGINE.warning("store", words, fix)
    else:
        yield ENGINE.ok("store", words)
    yield ENGINE.ok("platform", str(facts.platform or "not reported"))
    if facts.clock:
        yield compare_clocks(ENGINE, "the engine's", facts.clock, answer.asked)
