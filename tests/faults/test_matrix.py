"""Every case of the matrix ends as its row says, with each backend; and the page in the documentation says the same."""

from pathlib import Path
from typing import get_args

import pytest

from tests.faults import table
from tests.faults.case import Case
from tests.faults.cases import CASES
from tests.faults.runner import Played
from tests.lab.binaries import Store

BACKENDS = ("api", "cli")
PAGE = Path(__file__).parents[2] / "docs/fault-matrix.md"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play each case with the backends of this run; the command always where that and the store act together.

    A retry alone is played with the first of them.
    """
    if "case" in metafunc.fixturenames:
        chosen = [each for each in BACKENDS if each in metafunc.config.getoption("--backends").split(",")]
        pairs = [
            (backend, case)
            for case in CASES
            for backend in BACKENDS
            if backend in (chosen[:1] if case.retries_alone else chosen) or case.depends_on_both
        ]
        metafunc.parametrize(("backend", "case"), pairs, ids=[f"{backend}-{case.ident}" for backend, case in pairs])


def test_fault(case: Case, backend: str, played: Played) -> None:
    """Kind, class, attempts and exit code are right, the rest arrived, and nothing is left running."""
    row = played(case, backend)
    wanted = case.ending(row.store)
    seen = {
        "kind": (row.kind, row.kind if row.kind == wanted.or_kind else wanted.kind),
        "class": (row.failure_class, wanted.failure_class),
        "exit": (row.code, wanted.code),
        "rest": (row.rest, wanted.rest),
        "left": (row.left, wanted.left),
        "until": (bool(row.until), wanted.until),
        "attempts": (row.attempts, min(max(row.attempts, wanted.attempts[0]), wanted.attempts[1])),
    }
    assert {name: pair for name, pair in seen.items() if pair[0] != pair[1]} == {}, row.said


def test_the_page_shows_every_case() -> None:
    """The documentation has a row for each case, store and backend, with the ending that the case has here."""
    shown = {row[:3]: row[3:] for row in table.read(PAGE)}
    for case in CASES:
        for store in get_args(Store):
            ending = case.ending(store)
            for backend in BACKENDS:
                kind, failure_class, attempts, code, _, rest, left = shown.pop((case.name, store, backend))
                assert (kind, failure_class, int(code)) == (ending.kind, ending.failure_class, ending.code), case.name
                assert (rest, left) == (ending.rest, ending.left), case.name
                assert ending.attempts[0] <= int(attempts) <= ending.attempts[1], case.name
    assert shown == {}
