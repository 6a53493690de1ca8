"""The matrix as one Markdown table: what is printed, and what the documentation shows."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.cases import CASES, OPTIONS
from tests.faults.runner import Row

HEAD = ("case", "store", "backend", "kind", "class", "attempts", "exit", "s", "rest arrived", "left running")
STORE = HEAD.index("store")
KEY = 3
"""Case, store and backend tell rows apart."""
Cells = tuple[str, ...]

INTRODUCTION = f"""\
# The fault matrix

How puller handles every fault, on real engines behind a proxy that injects faults. `scripts/test` runs the cases and
compares the rows with `tests/faults/cases.py`; on the containerd store the command runs only the cases that depend on
both (`Case.depends_on_both`). This page is generated from complete runs, one for each engine:

    FAULT_MATRIX=docs/fault-matrix.md pytest tests/faults/test_matrix.py
    FAULT_MATRIX=docs/fault-matrix.md pytest tests/faults/test_matrix.py --engine sid+containerd

The graph store is that of engine 20.10, the containerd store that of engine 28.5. Each list has the affected image and
then two others from a healthy registry, "the rest". The options are
`{" ".join(OPTIONS)}` and those in the name of the case. A `-` means that the image was pulled in the
end. "Once" means as many faults as make the engine fail once. "Left running" is what was still running three seconds
after puller exited: the graph store keeps a connection to a silent registry open, whoever cancels the pull.

"""


def cells(rows: Iterable[Row]) -> list[Cells]:
    """Turn rows into cells."""
    return [
        (
            row.case,
            row.store,
            row.backend,
            row.kind,
            row.failure_class,
            str(row.attempts),
            str(row.code),
            f"{row.seconds:.1f}",
            row.rest,
            row.left,
        )
        for row in rows
    ]


def table(rows: Sequence[Cells]) -> str:
    """Draw a Markdown table, in the order of the cases."""
    order = {case.name: place for place, case in enumerate(CASES)}
    rows = sorted(rows, key=lambda row: (order.get(row[0], len(order)), row[STORE] != "graph", row[2] != "api"))
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = (HEAD, tuple("-" * width for width in widths), *rows)
    return "".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |\n" for line in lines
    )


def read(path: Path) -> list[Cells]:
    """Read back the rows of a page that `write` wrote; there are none where there is no page."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]
    return found[2:]


def write(path: Path, rows: Sequence[Cells]) -> None:
    """Write the page: what was played now, and what it held of other stores, backends and cases that still exist."""
    played, known = {row[:KEY] for row in rows}, {case.name for case in CASES}
    kept = [row for row in read(path) if row[:KEY] not in played and row[0] in known]
    path.parent.mkdir(exist_ok=True)
    path.write_text(INTRODUCTION + table([*rows, *kept]))
