"""A real engine and a real registry, started once, and puller as a user runs it: a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.world import Engine, Proxy, Registry, parse

SECONDS = 120
BACKENDS = ("sdk", "cli")


@dataclass(frozen=True)
class Run:
    """How one run of puller ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report on stdout."""
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed

    @property
    def images(self) -> list[dict[str, Any]]:
        """What the report says of each image."""
        return list(self.report["images"])


class Puller:
    """Runs `puller` against an engine, with a home and a docker configuration of its own."""

    def __init__(self, host: str, folder: Path) -> None:
        self.folder = folder
        self.docker_config = folder / "docker"
        self.docker_config.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "PULLER_", "CI"))}
        self.environment = kept | {
            "HOME": str(folder),
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(self.docker_config),
            "PYTHONWARNINGS": "error",
        }

    def argv(self, *args: str) -> list[str]:
        """Return the command line that runs this checkout's puller."""
        return [sys.executable, "-m", "puller", *args]

    def list(self, *lines: str, name: str = "images.txt") -> str:
        """Write an image list; return its path."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def run(self, *args: str, environment: Mapping[str, str] | None = None) -> Run:
        """Run to the end."""
        done = subprocess.run(
            self.argv(*args),
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def pull(self, *args: str, environment: Mapping[str, str] | None = None) -> Run:
        """Run `puller pull` with a JSON report on stdout."""
        return self.run("pull", "--format", "json", *args, environment=environment)

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Start `puller pull` with a JSON report on stdout, to be waited for or signalled."""
        return subprocess.Popen(
            self.argv("pull", "--format", "json", *args),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


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


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Run the test with each backend."""
    return str(request.param)
