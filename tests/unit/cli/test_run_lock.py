"""Runs beside each other: one at a time per engine, and not all hosts at once."""

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from puller.engine.endpoint import EngineAddress
from puller.system.run_lock import RunLock
from tests.lab import wait_until
from tests.lab.fakes import good_pull
from tests.lab.program import SECONDS
from tests.unit.cli.test_main import Shell

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

IMAGE = ("pull", "--image", "nginx", "--backend", "cli")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    return Shell(tmp_path)


@pytest.fixture
def holder(shell: Shell) -> "Iterator[subprocess.Popen[str]]":
    """Have a run at the engine that does not end before there is a file `go`."""
    mark, go = shell.folder / "mark", shell.folder / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    with shell.start("pull", "images.txt", "--backend", "cli", "-q", "-j", "1") as process:
        try:
            assert wait_until(lambda: mark.exists() or process.poll() is not None, SECONDS)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            go.touch()
            process.communicate(timeout=SECONDS)


def test_a_second_run_leaves_and_names_the_first(shell: Shell, holder: "subprocess.Popen[str]") -> None:
    """Exit code 75 and one line on standard error, also in quiet mode; the last report stays."""
    shell.list("of the last run", name="out.json")
    run = shell.run(*IMAGE, "-q", "--report", "json=out.json")
    assert (run.code, run.stdout) == (75, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"puller: another run uses this engine: process {holder.pid} of ")
    assert "(puller pull images.txt)" in line
    assert (shell.folder / "out.json").read_text() == "of the last run\n"


def test_a_second_run_may_wait_for_the_first(shell: Shell, holder: "subprocess.Popen[str]") -> None:
    """With --lock-wait it says for whom, and begins when the first has ended."""
    with shell.start(*IMAGE, "--lock-wait", "100", "--progress", "quiet", "--format", "json") as second:
        assert second.stderr
        assert f"puller: waits up to 1m40s: another run uses this engine: process {holder.pid} " in (
            second.stderr.readline()
        )
        (shell.folder / "go").touch()
        stdout, stderr = second.communicate(timeout=SECONDS)
    assert (second.returncode, stderr) == (0, "")
    assert json.loads(stdout)["ok"]
    holder.wait(SECONDS)
    assert holder.returncode == 0


def test_patience_ends(shell: Shell, holder: "subprocess.Popen[str]") -> None:
    """When the first run is still there after --lock-wait, it is 75 all the same."""
    run = shell.run(*IMAGE, "-q", "--lock-wait", "0.3")
    assert (run.code, len(run.stderr.splitlines())) == (75, 1)


def test_nothing_is_pruned_while_a_run_pulls(shell: Shell, holder: "subprocess.Popen[str]") -> None:
    """What it brings next could be what goes; a dry run disturbs nobody."""
    run = shell.run("prune", "images.txt", "--backend", "cli", "--yes")
    assert (run.code, f"another run uses this engine: process {holder.pid}" in run.stderr) == (75, True)
    assert "another run" not in shell.run("prune", "images.txt", "--backend", "cli", "--dry-run").stderr


def test_a_run_may_go_on_beside_another(shell: Shell, holder: "subprocess.Popen[str]") -> None:
    """Who wants it so, and who pulls nothing, does not ask for a turn."""
    assert "another run" not in shell.run(*IMAGE, "--policy", "never").stderr
    (shell.folder / "mark").unlink()
    with shell.start(*IMAGE, "--no-lock", "-q") as second:
        assert wait_until((shell.folder / "mark").exists, SECONDS)
        assert holder.poll() is None
        (shell.folder / "go").touch()
        second.wait(SECONDS)
    assert second.returncode == 0


@pytest.mark.parametrize(
    ("option", "said", "number", "code"),
    [
        ("--jitter", "puller: starts in ", signal.SIGINT, 130),
        ("--lock-wait", "puller: waits up to 8760h00m: another run", signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_a_wait_in_good_order(
    shell: Shell, holder: "subprocess.Popen[str]", option: str, said: str, number: int, code: int
) -> None:
    """The report says that nothing was done and why, and the exit code names the signal."""
    with shell.start(*IMAGE, option, "8760h", "--format", "json") as process:
        assert process.stderr
        assert process.stderr.readline().startswith(said)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=SECONDS)
    assert (process.returncode, stderr) == (code, "")
    report = json.loads(stdout)
    assert report["stopped"] == f"interrupted by {signal.Signals(number).name}"
    assert report["counts"]["cancelled"] == 1


def test_a_lock_that_cannot_be_had_costs_no_run(shell: Shell) -> None:
    """Where something stands in its way the run goes on, and says so: somebody may have put it there."""
    shell.docker()
    lock = RunLock(EngineAddress("default", shell.environment["DOCKER_HOST"], local=True).identity)
    lock.path.symlink_to(shell.folder / "elsewhere")
    try:
        (line,) = shell.run(*IMAGE, "-q").stderr.splitlines()
        assert line.startswith("puller: continues without a lock: ")
        assert str(lock.path) in line
    finally:
        lock.path.unlink()
    assert not (shell.folder / "elsewhere").exists()
