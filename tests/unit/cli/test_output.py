"""What a terminal, a pipe and a CI log get on standard output."""

import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.cli.test_main import GOOD, Shell

PULL = ("pull", "images.txt", "--backend", "cli")
RED = "\x1b[31m"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Offer a docker that knows all images but one."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    return shell


def on_terminal(shell: Shell, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run with both streams on a terminal that cannot redraw lines; return what was written to it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        shell.argv(*arguments), cwd=shell.folder, env=shell.environment | {"TERM": "dumb"} | dict(environment or {}),
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    ):  # fmt: skip
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 65536):
                written += data
        except OSError:  # the other end is closed
            os.close(ours)
    return written.decode().replace("\r\n", "\n")


def test_a_terminal_gets_no_second_list_of_what_is_present(shell: Shell) -> None:
    """Progress has shown a line for each image: below it stand the failures and a summary; all images with -v."""
    lines = on_terminal(shell, *PULL).splitlines()
    named = [line for line in lines if "nginx" in line or "redis" in line]
    assert len([line for line in named if "] starts " not in line]) == 2
    assert "failed: acme/missing: image or tag not found (not_found)" in lines
    assert lines[-3].startswith("2 of 3 images are present: 2 pulled, 1 failed")
    assert not any(line.startswith("STATUS") for line in lines)
    assert any(line.startswith("STATUS") for line in on_terminal(shell, *PULL, "-v").splitlines())
    assert any(line.startswith("STATUS") for line in on_terminal(shell, *PULL, "--progress", "quiet").splitlines())


@pytest.mark.parametrize(
    ("environment", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_a_pipe_gets_colors_on_request_only(shell: Shell, environment: dict[str, str], colored: bool) -> None:
    """A CI log shows what failed in red if it is asked for; files of `--report` never have colors."""
    run = shell.run(*PULL, "--report", "text=out.txt", environment=environment)
    assert (f"{RED}failed" in run.stdout) is colored
    assert ("\x1b" in run.stdout) is colored
    assert (f"{RED}failed" in shell.run("report", environment=environment).stdout) is colored
    assert "\x1b" not in (shell.folder / "out.txt").read_text()


def test_a_terminal_gets_colors(shell: Shell) -> None:
    """Unless NO_COLOR is set, or it is a dumb one."""
    color = {"TERM": "xterm-256color"}
    quiet = (*PULL, "--progress", "quiet")
    assert f"{RED}failed\x1b[0m" in on_terminal(shell, *quiet, environment=color)
    assert "\x1b" not in on_terminal(shell, *quiet, environment=color | {"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(shell, *quiet)


def test_a_report_of_an_earlier_run_names_it(shell: Shell) -> None:
    """The first line has run, start, host and list; a report in a file has the same without the run."""
    shell.run(*PULL, "--report", "text=out.txt")
    first = shell.run("report").stdout.splitlines()[0]
    (run,) = (path.stem for path in (shell.folder / "state" / "puller" / "runs").iterdir())
    assert first.startswith(f"run {run} of 20")
    assert first.endswith(f" on {os.uname().nodename}: images.txt")
    assert (shell.folder / "out.txt").read_text().splitlines()[0] == first.replace(f" {run}", "")
