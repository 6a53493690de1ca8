"""`puller plan` where no engine and no list is of any use."""

from pathlib import Path

from tests.unit.cli.test_main import Shell


def test_no_engine_is_told_in_one_line(tmp_path: Path) -> None:
    """Exit 69, as for a pull; there is no plan without an engine."""
    run = Shell(tmp_path).run("plan", "images.txt")
    assert (run.code, run.stdout, len(run.stderr.splitlines())) == (69, "", 1)


def test_a_bad_line_is_a_usage_error(tmp_path: Path) -> None:
    """Exit 2 and the line; terraform's 2 is for --detailed-exitcode only, and no engine is asked before."""
    shell = Shell(tmp_path)
    (tmp_path / "bad.txt").write_text("nginx\nUPPER\n")
    run = shell.run("plan", "bad.txt")
    assert (run.code, run.stdout) == (2, "")
    assert "bad.txt:2" in run.stderr


def test_help_tells_the_exit_codes(tmp_path: Path) -> None:
    """Whoever scripts it finds them."""
    assert "2 when there is" in " ".join(Shell(tmp_path).run("plan", "--help").stdout.split())
