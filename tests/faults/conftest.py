"""Plays the chosen cases all at once, since most of their time is waiting, and shows the matrix at the end."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.case import Case
from tests.faults.runner import Played, Row, play
from tests.faults.scene import ENGINE_OPTIONS, Lab
from tests.lab import LAB_ACCOUNT, Engine, Registry, parse

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
