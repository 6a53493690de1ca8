"""A real engine and a real registry, started once, and puller as a user runs it: a process of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Engine, Proxy, Registry, parse
from tests.lab.process import WorldError
from tests.lab.program import Program


class Puller(Program):
    """Runs `puller` against an engine, with a home and a docker configuration of its own."""

    def __init__(self, host: str, folder: Path, *, disk_check: bool = False) -> None:
        """With `disk_check` puller asks of images whether they fit, unless this machine's disk is wide."""
        self.docker_config = folder / "docker"
        self.docker_config.mkdir()
        environment = {
            "HOME": str(folder),
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(self.docker_config),
            "PYTHONWARNINGS": "error",
        }
        super().__init__(folder, environment if disk_check else environment | {"PULLER_NO_DISK_CHECK": "1"})

    def start_pull(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `puller pull` with a JSON report on standard output."""
        return self.start("pull", "--format", "json", *arguments)


@pytest.fixture(scope="session")
def shared_engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Start one engine for the whole run."""
    with Engine(parse(pytestconfig.getoption("--engine"))) as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Hand over the engine, empty."""
    shared_engine.wipe()
    return shared_engine


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """Start one registry for the whole run; tests push under names of their own."""
    with Registry() as registry:
        yield registry


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """Stand in front of the registry, to count and to do harm."""
    with Proxy(registry) as proxy:
        yield proxy


@pytest.fixture
def puller(engine: Engine, tmp_path: Path) -> Puller:
    """Run puller against the empty engine."""
    return Puller(engine.host, tmp_path)


@pytest.fixture(scope="session")
def small(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Start an engine with 64 MB."""
    engine = Engine(parse(pytestconfig.getoption("--engine")))
    engine.data_root.mkdir()
    try:
        disk = ["mount", "-t", "tmpfs", "-o", "size=64m", "puller", str(engine.data_root)]
        done = subprocess.run(disk, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WorldError(f"no small disk: {done.stderr.strip()}")
        engine.start()
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def cramped(small: Engine, tmp_path: Path) -> Puller:
    """Run puller against the engine with little room."""
    small.wipe()
    return Puller(small.host, tmp_path, disk_check=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that wants a `backend` with each that this run is about; `any_backend` is also the Docker SDK."""
    chosen = metafunc.config.getoption("--backends").split(",")
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", chosen)
    if "any_backend" in metafunc.fixturenames:
        metafunc.parametrize("any_backend", dict.fromkeys((*chosen, "sdk")))
