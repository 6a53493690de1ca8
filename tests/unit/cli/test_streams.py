"""Streams that are closed, full or of a narrow encoding: none costs a pull, a report file or the exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.fakes import good_pull
from tests.lab.program import SECONDS
from tests.lab.samples import DIGEST
from tests.unit.cli.test_main import GOOD, Shell

REPORT_FAILED = 74
"""EX_IOERR of sysexits.h: the pull is good, and its report could not be written."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    return shell


def redirected(
    shell: Shell,
    redirection: str,
    image: str = "nginx",
    *,
    options: str = "",
    environment: dict[str, str] | None = None,
) -> int:
    """Pull with redirected streams and a report in a file, and return the exit code."""
    pull = f"{sys.executable} -m puller pull --image {image} --backend cli --no-lock --report json=o.json {options}"
    return subprocess.run(
        ["sh", "-c", f"{pull} {redirection}"],
        cwd=shell.folder,
        env=shell.environment | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    ).returncode


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&-", 0),
        (">&-", 0),
        ("<&- >&- 2>&-", 0),
        ("2>/dev/full", 0),
        ("> /dev/full", REPORT_FAILED),
        ("> /dev/full 2> /dev/full", REPORT_FAILED),
    ],
)
def test_no_stream_costs_a_pull_or_a_report(shell: Shell, redirection: str, code: int) -> None:
    """The image is pulled, the report is in its file and in the history; only a lost report on stdout is an error."""
    assert redirected(shell, redirection, options="-v") == code
    assert json.loads((shell.folder / "o.json").read_text())["counts"]["pulled"] == 1
    assert len(list((shell.folder / "state/puller/runs").iterdir())) == 1


@pytest.mark.parametrize("verb", ["list -", "prune -", "explain"])
def test_no_closed_stream_is_an_internal_error(shell: Shell, verb: str) -> None:
    """What needs an answer or a list from standard input says so."""
    script = f"{sys.executable} -m puller {verb} <&- >out; {sys.executable} -m puller {verb} <&- >&-"
    run = subprocess.run(
        ["sh", "-c", script], cwd=shell.folder, env=shell.environment, stderr=subprocess.PIPE, check=False
    )
    assert b"internal error" not in run.stderr
    assert run.returncode in (0, 2)


def test_a_lost_report_does_not_hide_a_failure(shell: Shell) -> None:
    """What the images say comes first."""
    assert redirected(shell, "> /dev/full", "acme/missing") == 1


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii:strict"},
        {"COLUMNS": "many"},
        {"COLUMNS": "²", "LINES": "²"},
        {"COLUMNS": "-1"},
        {"COLUMNS": "0"},
        {"LINES": "0"},
    ],
)
def test_no_variable_costs_a_report(shell: Shell, environment: dict[str, str]) -> None:
    """Not even where the live view is drawn for it, more than once."""
    shell.docker(pull=f"sleep 0.5\n{good_pull()}")
    assert redirected(shell, "", options="--progress tty", environment=environment) == 0
    assert (shell.folder / "o.json").exists()


def test_a_lock_that_cannot_be_written_is_no_bad_list(shell: Shell) -> None:
    """The list is good, and every image was resolved."""
    run = shell.run("lock", "--image", f"nginx@{DIGEST}", "-o", "/dev/full")
    assert (run.code, "cannot write /dev/full: no space left" in run.stderr) == (REPORT_FAILED, True)


def test_a_report_that_cannot_be_written_after_a_good_pull_is_no_bad_list(shell: Shell) -> None:
    """It has an exit code and words of its own, and the other reports are written."""
    folder = shell.folder / "reports"
    folder.mkdir()
    shell.docker(pull=f"rmdir '{folder}'\n{good_pull()}")
    arguments = ("--report", f"json={folder}/o.json", "--report", "text=o.txt", "--backend", "cli", "-q")
    run = shell.run("pull", "--image", "nginx", *arguments)
    assert run.code == REPORT_FAILED
    assert f"cannot write {folder}/o.json" in run.stderr
    assert (shell.folder / "o.txt").exists()
