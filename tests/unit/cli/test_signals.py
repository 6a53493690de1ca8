"""Signals beside SIGINT and SIGTERM, and what is left when puller is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import wait_until
from tests.lab.fakes import HANG, good_pull
from tests.lab.program import SECONDS
from tests.unit.cli.test_main import Shell

PULL = ("pull", "--image", "nginx", "--backend", "cli", "--no-lock", "--format", "json")

INTERRUPTED_LATE = """
import os, signal, time
from puller.cli.main import main
from puller.pull.session import PullSession

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)

PullSession.__exit__ = interrupt
main()
"""
"""A program whose user presses Ctrl-C when the last pull has ended."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    return Shell(tmp_path)


def runs(pid: int) -> bool:
    """Whether a process exists; one that only waits to be reaped does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def hanging(shell: Shell) -> Path:
    """Let docker hang, and write its process ID into a file."""
    shell.docker(pull=f"echo $$ > '{shell.folder}/new'; mv '{shell.folder}/new' '{shell.folder}/pid'; {HANG}")
    return shell.folder / "pid"


def test_sighup_is_sigterms_twin(shell: Shell) -> None:
    """When the terminal or the ssh session goes away there is a report, and no `docker pull` is left."""
    mark = hanging(shell)
    with shell.start(*PULL, "--report", "json=o.json") as process:
        assert wait_until(mark.exists, SECONDS)
        for number in (signal.SIGHUP, signal.SIGHUP):  # by the kernel, and by the shell
            process.send_signal(number)
        assert process.stdout
        assert process.stderr
        process.stderr.close()
        process.stdout.close()
        assert process.wait(SECONDS) == 128 + signal.SIGHUP
    assert json.loads((shell.folder / "o.json").read_text())["stopped"] == "interrupted by SIGHUP"
    assert len(list((shell.folder / "state/puller/runs").iterdir())) == 1
    assert wait_until(lambda: not runs(int(mark.read_text())), 5)


def test_a_signal_after_the_last_pull_costs_no_report(shell: Shell) -> None:
    """The exit code names the signal, and the reports are written."""
    shell.docker(pull=good_pull())
    argv = [sys.executable, "-c", INTERRUPTED_LATE, *PULL]
    run = subprocess.run(argv, cwd=shell.folder, env=shell.environment, capture_output=True, text=True, check=False)
    assert run.returncode == 128 + signal.SIGINT
    assert json.loads(run.stdout)["counts"]["pulled"] == 1


@pytest.mark.parametrize("prefix", [["setsid", "--ctty"], []], ids=["controlling", "other"])
def test_a_terminal_that_goes_away_is_a_sighup(shell: Shell, prefix: list[str]) -> None:
    """The run ends with its reports, although neither of its streams can be written."""
    mark = hanging(shell)
    ours, theirs = os.openpty()
    argv = [*prefix, *shell.argv(*PULL, "--progress", "tty", "--report", "json=o.json")]
    with subprocess.Popen(
        argv, cwd=shell.folder, env=shell.environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        assert wait_until(mark.exists, SECONDS)
        os.close(ours)
        assert process.wait(SECONDS) == 128 + signal.SIGHUP
    assert json.loads((shell.folder / "o.json").read_text())["stopped"] == "interrupted by SIGHUP"
    assert len(list((shell.folder / "state/puller/runs").iterdir())) == 1
    assert wait_until(lambda: not runs(int(mark.read_text())), 5)


def test_nohup_is_respected(shell: Shell) -> None:
    """A run that was started by nohup outlives its terminal."""
    mark, go = shell.folder / "mark", shell.folder / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = shell.start(*PULL)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        assert wait_until(mark.exists, SECONDS)
        process.send_signal(signal.SIGHUP)
        go.touch()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def test_sigquit_does_nothing(shell: Shell) -> None:
    """The quit key neither ends a run without a report nor leaves its programs behind."""
    mark, go = shell.folder / "mark", shell.folder / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    with shell.start(*PULL) as process:
        assert wait_until(mark.exists, SECONDS)
        process.send_signal(signal.SIGQUIT)
        go.touch()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def test_sigkill_takes_the_programs_along(shell: Shell) -> None:
    """A puller that is killed leaves no `docker pull` that goes on without it."""
    mark = hanging(shell)
    with shell.start(*PULL) as process:
        assert wait_until(mark.exists, SECONDS)
        process.kill()
        process.wait(SECONDS)
    pid = int(mark.read_text())
    try:
        assert wait_until(lambda: not runs(pid), 5)
    finally:
        if runs(pid):
            os.killpg(pid, signal.SIGKILL)


def test_clocks_stand_still_while_puller_is_stopped(shell: Shell) -> None:
    """After SIGSTOP and SIGCONT an attempt has as much time left as before."""
    mark, go = shell.folder / "mark", shell.folder / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    with shell.start(*PULL, "--timeout", "2", "--stall-timeout", "2", "--retries", "0", "--no-second-pass") as process:
        assert wait_until(mark.exists, SECONDS)
        process.send_signal(signal.SIGSTOP)
        assert not wait_until((shell.folder / "never").exists, 2.5)
        process.send_signal(signal.SIGCONT)
        assert not wait_until((shell.folder / "never").exists, 0.4)
        go.touch()
        stdout, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, json.loads(stdout)["images"][0]["status"]) == (0, "pulled")
