"""Runs on record: kept in order, private, the newest only, and found again."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from puller.errors import UsageError
from puller.model import Report, RunDetails, Status
from puller.report import history
from puller.report.json import IMAGES, render
from tests.lab.samples import STARTED, outcome, report


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep them in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "puller/runs"


def keep(report: Report) -> None:
    """Put a report on record."""
    history.store(report, render(report))


def later(minutes: float) -> Report:
    """Report on a run that began so much later."""
    return report(seconds=minutes)._replace(started=STARTED + timedelta(minutes=minutes))


def test_a_run_comes_back_as_it_was(folder: Path) -> None:
    """Its report is private to the user, and named by time."""
    keep(report())
    (run,) = history.runs()
    assert run.name.startswith("20261123T080000.000Z-")
    assert run.report().counts == report().counts
    assert run.path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_newest_are_kept(folder: Path) -> None:
    """Fifty, oldest first; whatever else lies there stays."""
    folder.mkdir(parents=True)
    (folder / "notes").write_text("mine")
    for minutes in range(history.KEPT + 3):
        keep(later(minutes))
    assert [run.report().seconds for run in history.runs()] == list(range(3, history.KEPT + 3))
    assert (folder / "notes").exists()


def test_large_reports_are_fewer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs over many hosts would fill a disk; the newest report is kept whatever its size."""
    monkeypatch.setattr(history, "MOST_BYTES", 2500)
    for seconds in range(5):
        history.store(report(seconds=seconds + 1), " " * 1000)
    assert len([*folder.glob("*.json")]) == 2
    history.store(report(), " " * 9000)
    assert len([*folder.glob("*.json")]) == 1


def test_a_run_that_never_began_is_not_kept() -> None:
    """A host without an engine would otherwise push out the runs that pulled something."""
    keep(report(outcome("a/b:1", Status.CANCELLED))._replace(seconds=0.0, stopped="no engine"))
    assert history.runs() == ()


def test_the_list_of_runs_reads_no_images(folder: Path) -> None:
    """A run of many images does not slow it down; a report of another version is read whole."""
    keep(later(3)._replace(details=RunDetails(lists=("x" * 100,))))
    (run,) = history.runs()
    whole = run.path.read_text()
    run.path.write_text(whole.partition(IMAGES)[0] + IMAGES + "x" * 1_000_000)
    assert (run.summary().seconds, run.summary().details.lists) == (3, ("x" * 100,))
    run.path.write_text(json.dumps(json.loads(whole)))
    assert run.summary().seconds == 3


@pytest.mark.parametrize(
    ("past", "lists", "found"),
    [
        ([("a", 1), ("b", 0)], (), 0),
        ([("a", 1), ("b", 2)], (), 1),
        ([("a", 1), ("b", 0), ("a", 0)], (), None),
        ([("a", 1), ("b", 0)], ("a",), 0),
        ([("a", 1), ("a", 0)], ("a",), 1),
        ([("/srv/images/a.txt", 1), ("b", 1)], ("a.txt",), 0),
    ],
)
def test_failures_are_those_of_the_last_run_of_a_list(
    past: list[tuple[str, int]], lists: tuple[str, ...], found: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the last run of any list; and a list that has been pulled since did not fail."""
    monkeypatch.setattr("os.path.lexists", lambda path: path == "/srv/images/a.txt")
    for minute, (name, failures) in enumerate(past):
        outcomes = [outcome(), *[outcome(f"a/b:{n}", Status.FAILED) for n in range(failures)]]
        details = RunDetails(lists=(name,), directory="/elsewhere")
        keep(Report(STARTED + timedelta(minutes=minute), 60, tuple(outcomes), details=details))
    run = next(history.runs_to_repeat(lists, "/srv/images"), None)
    assert run == (None if found is None else history.runs()[found])
    with pytest.raises(UsageError, match="no run of c is on record"):
        next(history.runs_to_repeat(("c",), "/srv/images"))


def test_a_list_that_arrived_at_one_engine_may_still_lack_at_another() -> None:
    """The newest run was into another engine, so the older one is not repaired by it."""
    for minute, (target, status) in enumerate((("--context=build", Status.FAILED), ("--context=test", Status.PULLED))):
        details = RunDetails(lists=("a",), target=(target,))
        keep(Report(STARTED + timedelta(minutes=minute), 60, (outcome("a/b:1", status),), details=details))
    assert [*history.runs_to_repeat((), "/")] == [history.runs()[0]]


def test_the_shell_completes_names_of_runs() -> None:
    """Newest first, and nothing where there is none."""
    assert history.beginning_with("") == []
    for minutes in (0, 1):
        keep(later(minutes))
    assert [name[:13] for name in history.beginning_with("2026")] == ["20261123T0801", "20261123T0800"]
    assert history.beginning_with("x") == []


def test_a_run_is_found_by_number_or_name(folder: Path) -> None:
    """1 is the newest; a name may be shortened as long as it is one run's."""
    with pytest.raises(UsageError, match="no run is on record in"):
        history.find()
    for minutes in (0, 1, 60):
        keep(later(minutes))
    found = {which: history.find(which).report().seconds for which in ("1", "2", "3", "20261123T0801", "20261123T09")}
    assert found == {"1": 60, "2": 1, "3": 0, "20261123T0801": 1, "20261123T09": 60}
    assert history.find(history.runs()[0].name).report().seconds == 0


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("0", "there is no run 0: 2 are on record, and 1 is the newest"),
        ("3", "there is no run 3"),
        ("2026", "2 runs begin with '2026'"),
        ("last", "no run begins with 'last': `puller history` lists their names"),
    ],
)
def test_a_run_that_is_not_there_is_a_usage_error(which: str, words: str) -> None:
    """One line that says what there is."""
    keep(later(0))
    keep(later(1))
    with pytest.raises(UsageError, match=words):
        history.find(which)


def test_a_record_that_cannot_be_read_is_named(folder: Path) -> None:
    """One line with the file in it."""
    keep(report())
    (run,) = history.runs()
    for text in (b"", b"{}", b"\xff"):
        run.path.write_bytes(text)
        with pytest.raises(UsageError, match=rf"{run.name}\.json cannot be read: ") as caught:
            run.report()
        assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(folder: Path) -> None:
    """Whoever asked for it decides what that means."""
    folder.parent.write_text("a file where the directory should be")
    with pytest.raises(UsageError, match=r"the directory .*runs cannot be used: "):
        keep(report())
    assert history.runs() == ()
