"""Four hosts, started once, and puller as a user runs it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.fleet.connection import open_host
from puller.fleet.hosts import FleetHost
from puller.system.credentials import Keyring
from tests.lab.binaries import parse
from tests.lab.fleet import Fleet, Host, missing
from tests.lab.program import Program

Open = Callable[[Host], AbstractContextManager[Engine]]


@pytest.fixture(scope="session")
def shared_fleet(pytestconfig: pytest.Config) -> Iterator[Fleet]:
    """Start the hosts, or skip where this machine has no network namespaces."""
    if why := missing():
        pytest.skip(why)
    with Fleet(4, binary=parse(pytestconfig.getoption("--engine"))) as fleet:
        yield fleet


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Iterator[Fleet]:
    """Hand over the hosts, all of them well."""
    yield shared_fleet
    for host in shared_fleet.hosts:
        host.repair()
    shared_fleet.trust()


@pytest.fixture
def puller(fleet: Fleet, tmp_path: Path) -> Program:
    """Run puller with the fleet's key and known hosts."""
    return Program(tmp_path, environment(fleet, fleet.ssh()))


@pytest.fixture
def open_(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open a host in this process."""
    fast = fleet.ssh("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2")
    for name, value in environment(fleet, fast).items():
        monkeypatch.setenv(name, value)

    def open_one(host: Host) -> AbstractContextManager[Engine]:
        known = FleetHost(host.name, host.url)
        return open_host(known, cancel=Cancellation(), connections=20, keyring=Keyring())

    return open_one


def environment(fleet: Fleet, ssh: Path) -> dict[str, str]:
    """Return the variables with which puller finds the fleet's ssh, and a directory of its own for sockets."""
    # Short: the path of a socket has at most 107 bytes.
    runtime = tempfile.mkdtemp(prefix="run-", dir=fleet.folder)
    return {"PATH": f"{ssh}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": runtime}


def sockets(puller: Program) -> list[Path]:
    """Return the directories for sockets that exist now."""
    return [*Path(puller.environment["XDG_RUNTIME_DIR"]).iterdir()]
