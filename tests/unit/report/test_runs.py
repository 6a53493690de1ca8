"""Several runs beside each other."""

import json

import pytest

from puller.model import RunDetails, Status
from puller.report.history_table import ASCII_BLOCKS, render_json, render_text, sparkline
from puller.report.json import render, summary_of
from tests.lab.samples import outcome, report

REPORTS = {
    "first": report(seconds=185),
    "second": report(outcome(), seconds=12),
    "third": report(*[outcome(f"a/b:{n}", Status.FAILED) for n in range(3)], seconds=60, stopped="enough"),
}
LISTS = {
    "first": RunDetails(lists=("images.txt",)),
    "second": RunDetails(host="a", lists=("a.txt", "nginx:1")),
    "third": RunDetails(host="b", lists=("images.txt",)),
}
RUNS = [
    (name, summary_of(render(each._replace(details=LISTS.get(name, RunDetails()))))) for name, each in REPORTS.items()
]


def test_a_line_for_each_run_and_a_trend() -> None:
    """Newest last; the times and failures of the newest run's lists, as sparklines with their range."""
    assert render_text(RUNS).splitlines() == [
        "RUN     STARTED (UTC)     HOST   TOOK  IMAGES  PULLED  UP TO DATE  FAILED  NOT PULLED  FETCHED  LISTS",
        "first   2026-11-23 08:00  -     3m05s       5       1           2       1           1       0B  images.txt",
        "second  2026-11-23 08:00  a       12s       1       1           0       0           0       0B  a.txt nginx:1",
        "third   2026-11-23 08:00  b     1m00s       3       0           0       3           0       0B  images.txt",
        "",
        "the 2 runs of images.txt:",
        "time    █▃  1m00s to 3m05s",
        "failed  ▃█  1 to 3",
    ]
    assert render_text(RUNS, ASCII_BLOCKS).isascii()
    assert render_text([]) == ""


def test_columns_that_say_nothing_are_left_out() -> None:
    """The host where all runs are of one, cancelled images where there are none, and the end of long names."""
    one = RUNS[1][1]
    (header, line) = render_text([("20261123T080000.000Z-4711-12", one)]).splitlines()
    assert (header.split("  ")[0], line.split()[0]) == ("RUN", "20261123T080000")
    assert not {"HOST", "HOSTS", "NOT"}.intersection(header.split())
    (_, first, second) = render_text(
        [("20261123T080000.000Z-9-9", one), ("20261123T080000.500Z-20-10", one)]
    ).splitlines()
    assert (first.split()[0], second.split()[0]) == ("20261123T080000.000Z", "20261123T080000.500Z")


def test_runs_over_hosts_have_their_number_and_a_trend_of_their_own() -> None:
    """A run of the same list into one engine takes another time, and so do fewer hosts."""
    local, fleet = RunDetails(lists=("images.txt",)), RunDetails(lists=("images.txt",), hosts=7)
    found = [(local, 10), (fleet, 100), (local, 12), (fleet._replace(hosts=2), 50), (fleet, 200)]
    runs = [
        (str(at), summary_of(render(report(seconds=seconds)._replace(details=details))))
        for at, (details, seconds) in enumerate(found)
    ]
    header, *lines = render_text(runs).splitlines()
    column = header.split().index("HOSTS") - 1  # of the title `STARTED (UTC)`
    assert [line.split()[column + 1] for line in lines[:5]] == ["-", "7", "-", "2", "7"]
    assert lines[6:] == ["the 2 runs of images.txt into 7 hosts:", "time    ▅█  1m40s to 3m20s"]
    assert [run["hosts"] for run in json.loads(render_json(runs))["runs"]] == [None, 7, None, 2, 7]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_each_run_has_one_line_of_a_terminal(width: int) -> None:
    """Lists are shortened, first to the names of their files; then columns go, but never the failures."""
    long = summary_of(
        render(report(seconds=185)._replace(details=RunDetails("a", lists=("/srv/lists/production.txt", "redis:7"))))
    )
    shown = render_text([*RUNS, ("20261123T080000", long)], width=width)
    header, *rows = [line for line in shown.splitlines() if line]
    assert max(map(len, shown.splitlines())) <= width
    assert {"RUN", "TOOK", "FAILED"} <= {*header.split()}
    assert ("/srv/lists/production.txt redis:7" in rows[3]) == (width == 140)
    assert ("production." in rows[3]) == (width > 40)


def test_runs_that_hardly_differ_have_no_chart() -> None:
    """Two times of 0.8s, or the same number of failures, are no news."""
    one, other = (summary_of(render(report(outcome("x", Status.FAILED), seconds=each))) for each in (0.79, 0.84))
    assert len(render_text([("1", one), ("2", other)]).splitlines()) == 3


def test_the_same_as_a_document() -> None:
    """With the words of the report's own schema."""
    document = json.loads(render_json(RUNS))
    assert document["schema"] == "puller.history/1"
    assert document["runs"][2] == {
        "run": "third",
        "started": "2026-11-23T08:00:00Z",
        "seconds": 60,
        "ok": False,
        "stopped": "enough",
        "counts": {"pulled": 0, "up_to_date": 0, "present": 0, "failed": 3, "cancelled": 0},
        "bytes": 0,
        "lists": ["images.txt"],
        "host": "b",
        "engine": None,
        "hosts": None,
        "exit_code": None,
    }


@pytest.mark.parametrize(
    ("values", "line"), [((), ""), ((0,), "_"), ((7,), "#"), ((0, 1, 1000), "__#"), ((0, 0.5, 1), "_=#")]
)
def test_a_sparkline_begins_at_nothing(values: tuple[float, ...], line: str) -> None:
    """Equal runs look equal, and none at all is no error."""
    assert sparkline(values, ASCII_BLOCKS) == line
