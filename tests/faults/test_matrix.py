"""Every case of the matrix ends as its row says, with each backend; and the page in the documentation says the same."""

from pathlib import Path
from typing import get_args

import pytest

from tests.faults import table
from tests.faults.case import Case
from tests.faults.cases import CASES
from tests.faults.runner import Played
from tests.lab.binaries import Store

PAGE = Path(__file__).parents[2] / "docs/fault-matrix.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.ident)
def test_fault(case: Case, backend: str, played: Played) -> None:
    """Kind, class, attempts and exit code are right, the rest arrived, and nothing is left running."""
    row = played(case, backend)
    wanted = case.ending(row.store)
    seen = {
        "kind": (row.kind, wanted.kind),
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
            for backend in ("sdk", "cli"):
                kind, failure_class, attempts, code, _, rest, left = shown.pop((case.name, store, backend))
                assert (kind, failure_class, int(code)) == (ending.kind, ending.failure_class, ending.code), case.name
                assert (rest, left) == (ending.rest, ending.left), case.name
                assert ending.attempts[0] <= int(attempts) <= ending.attempts[1], case.name
    assert shown == {}
