"""Plays the chosen cases all at once, since most of their time is waiting, and shows the matrix at the end."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults import hostile, table
from tests.faults.case import Case
from tests.faults.runner import Played, Row, play
from tests.faults.scene import ENGINE_OPTIONS, Lab
from tests.lab import LAB_ACCOUNT, Engine, Registry, parse
from tests.lab.raw_http import Served, served

AT_ONCE = 8
PAGE = "FAULT_MATRIX"
"""Names, in the environment, the page to be written."""

_rows: list[Row] = []


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """Start one engine and two registries for all cases that harm neither."""
    binary = parse(pytestconfig.getoption("--engine"))
    with Engine(binary, options=ENGINE_OPTIONS) as engine, Registry() as registry, Registry(LAB_ACCOUNT) as guarded:
        yield Lab(engine, registry, guarded)


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Played]:
    """Begin to play every case that this run of pytest is about, and hand over what waits for the row of one."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="case") as pool:
        futures: dict[tuple[str, str], Future[Row]] = {}
        for case, backend in _chosen(request.session.items):
            futures[case.ident, backend] = pool.submit(play, case, backend, lab)
        yield lambda case, backend: futures[case.ident, backend].result()
        pool.shutdown(cancel_futures=True)
    _rows.extend(future.result() for future in futures.values() if not future.cancelled() and not future.exception())


@pytest.fixture(scope="session")
def hostile_servers() -> Iterator[Served]:
    """Start the hostile registries."""
    with TemporaryDirectory(prefix="puller-") as folder, served(hostile.MODULE, Path(folder)) as servers:
        yield servers


@pytest.fixture(scope="session")
def hostile_runs(lab: Lab, hostile_servers: Served) -> Iterator[Callable[[str], hostile.VerbRun]]:
    """Begin a run of every verb over all hostile registries, and hand over what waits for the end of one."""
    with (
        TemporaryDirectory(prefix="puller-") as folder,
        hostile.hostile_runs(lab, hostile_servers, Path(folder)) as runs,
    ):
        yield runs


@pytest.fixture
def engine_names(lab: Lab) -> list[str]:
    """List the names that the shared engine has for its images."""
    images = lab.engine.get("/images/json")
    return [name for image in images for kind in ("RepoTags", "RepoDigests") for name in image.get(kind) or ()]


@pytest.fixture(scope="session", autouse=True)
def _begin_early(request: pytest.FixtureRequest) -> None:
    """Begin the runs that wait most of the time before the tests that need the processors."""
    if any("hostile_runs" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("hostile_runs")


def _chosen(items: list[pytest.Item]) -> Iterator[tuple[Case, str]]:
    for item in items:
        chosen = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        match chosen:
            case {"case": Case() as case, "backend": str(backend)}:
                yield case, backend


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix, and write it where it was asked for."""
    if not _rows:
        return
    rows = table.cells(_rows)
    terminalreporter.section("fault matrix")
    terminalreporter.write(table.table(rows))
    if page := os.environ.get(PAGE):
        table.write(Path(page), rows)
