"""Every test of a run by a broker is one with SQLite and one with PostgreSQL."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from puller.fleet.runs.dispatcher import Patience
from tests.lab.fake_broker import FakeBroker, Pull, good
from tests.unit.fleet_runs.runs import World, fleet, names

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []
OWNER = "postgres"


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start Debian's PostgreSQL on a socket of its own; return the URL of a database in it without its name."""
    if not PROGRAMS or not shutil.which("runuser"):
        pytest.skip("no PostgreSQL: the store was tried with SQLite only (apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgresql")
    with _server(PROGRAMS[-1], folder) as url:
        yield url


@contextmanager
def _server(programs: Path, folder: Path) -> Iterator[str]:
    """Run it as its own user: as root it refuses to start."""
    as_owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    data, socket = _open(folder), folder / "data"
    quiet: dict[str, Any] = {"capture_output": True, "cwd": "/", "timeout": 120}
    subprocess.run([*as_owner, programs / "initdb", "-D", data, "-A", "trust", "-U", OWNER, "-N"], check=True, **quiet)
    words = f"-c listen_addresses='' -c unix_socket_directories={socket} -c fsync=off -c shared_buffers=16MB"
    subprocess.run(
        [*as_owner, programs / "pg_ctl", "-D", data, "-w", "-o", words, "-l", socket / "log", "start"],
        check=True,
        **quiet,
    )
    try:
        yield f"postgresql://{OWNER}@/NAME?host={socket}"
    finally:
        subprocess.run(
            [*as_owner, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], check=True, **quiet
        )


def _open(folder: Path) -> Path:
    """Make a folder that the server's user owns, and let it through those above."""
    data = folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, OWNER)
        for each in (folder, *folder.parents):
            if not each.stat().st_mode & 0o001:
                each.chmod(each.stat().st_mode | 0o011)
    return data


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    import psycopg  # noqa: PLC0415 - only where there is a server

    url: str = request.getfixturevalue("postgresql")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(url.replace("/NAME", "/postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/NAME", f"/{name}")


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[Any]:
    """Return a function that makes a world: how many hosts are online, and what their workers do."""
    made: list[World] = []

    def make(online: int = 3, pull: Pull = good, patience: Patience | None = None) -> World:
        made.append(World(tmp_path, FakeBroker(names(fleet(online)), pull), database, patience))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try every store."""
    if "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)
