"""`puller prune` before it comes to any engine."""

from pathlib import Path

from tests.lab.program import Program


def test_nobody_to_ask_is_no_consent(tmp_path: Path) -> None:
    """Exit 2 and one line with the way out, before the list is read or an engine reached."""
    run = Program(tmp_path, {"HOME": str(tmp_path)}).run("prune", "images.txt")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.splitlines()[0] == "puller: not a terminal: confirm with --yes, or preview with --dry-run"


def test_a_missing_list_is_told_first(tmp_path: Path) -> None:
    """Who forgot the list learns that, and not that there is no terminal."""
    run = Program(tmp_path, {"HOME": str(tmp_path)}).run("prune")
    assert (run.code, "no images given" in run.stderr, "terminal" in run.stderr) == (2, True, False)
