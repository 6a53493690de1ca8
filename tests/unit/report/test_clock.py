"""Runs under a clock that jumped: the order of runs is that in which they were stored."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from puller.model import Status
from puller.report import history
from puller.report.json import render
from tests.lab.program import Program
from tests.lab.samples import outcome, report

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the runs in a folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def store(started: datetime, status: Status = Status.PULLED) -> None:
    """Put a run on record."""
    made = report(outcome("a/b:1", status))._replace(started=started)
    history.store(made, render(made))


@pytest.mark.usefixtures("home")
def test_a_run_of_the_future_hides_no_later_one() -> None:
    """The last run is the one that was stored last."""
    store(NOW + timedelta(days=400))
    store(NOW, Status.FAILED)
    assert [each.status for each in history.find().report().outcomes] == [Status.FAILED]
    assert [each.status for each in history.runs()[-1].report().outcomes] == [Status.FAILED]
    for _ in range(history.KEPT):
        store(NOW)
    assert all(run.report().started < NOW + timedelta(days=1) for run in history.runs())


def test_a_run_of_the_future_is_said(home: Path) -> None:
    """Who reads the list of runs learns that its times cannot be right."""
    store(NOW + timedelta(days=400))
    assert "future" in Program(home, {}).run("history").stderr


@pytest.mark.usefixtures("home")
def test_only_files_are_runs() -> None:
    """A directory among them is nobody's report."""
    store(NOW)
    (history.runs()[0].path.parent / "29990101T000000.000Z-1.json").mkdir()
    assert len(history.runs()) == 1
    assert history.find().report().ok
