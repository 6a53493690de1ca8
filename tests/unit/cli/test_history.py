"""Past runs as a user meets them: shown again, listed, and what failed pulled again."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.lab.fakes import good_pull
from tests.unit.cli.test_main import GOOD, Shell

PULL = ("pull", "--backend", "cli", "-q")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    return Shell(tmp_path)


def test_a_run_is_on_record_and_what_failed_is_pulled_again(shell: Shell) -> None:
    """The report comes back in any form; --failed takes what failed, for its platform, until nothing has."""
    docker = shell.docker(pull=GOOD)
    assert shell.run("pull", "--failed").stderr.startswith("puller: no run is on record in ")
    shell.list("nginx:1.27", "--platform=linux/arm64 acme/missing", "not a reference")
    run = shell.run(*PULL, "images.txt", "--skip-invalid", "--format", "json", "-j", "1")
    assert run.code == 1
    again = shell.run("report", "--format", "json")
    assert (again.code, again.report) == (0, run.report)
    assert "failed: acme/missing (linux/arm64)" in shell.run("report", "1").stdout

    docker = shell.docker(pull=good_pull())
    run = shell.run("pull", "--backend", "cli", "--failed", "--progress", "quiet", "--format", "json")
    assert (run.code, [image["requested"] for image in run.images]) == (0, [["acme/missing"]])
    assert run.stderr.startswith("puller: pulling 1 image that failed in run 20")
    assert " of images.txt (20" in run.stderr
    assert run.report["run"]["lists"] == ["images.txt"]
    assert docker.pulls[-1] == ["pull", "--platform", "linux/arm64", "docker.io/acme/missing:latest"]
    nothing = shell.run("pull", "--failed")
    assert (nothing.code, nothing.stdout) == (0, "")
    assert nothing.stderr == "puller: nothing to pull again: no image failed\n"
    nothing = shell.run("pull", "images.txt", "--failed")
    assert (nothing.code, nothing.stdout) == (0, "")
    assert nothing.stderr == "puller: nothing to pull again: no image failed\n"

    table = shell.run("history").stdout.splitlines()
    cells = [line.split() for line in table[1:3]]
    assert [row[4:8] + row[9:] for row in cells] == [
        ["3", "1", "0", "2", "images.txt"],
        ["1", "1", "0", "0", "images.txt"],
    ]
    assert table[-1].split()[1:] == ["█▁", "0", "to", "2"]
    plain = shell.run("history", environment={"PYTHONIOENCODING": "ascii"})
    assert plain.stdout.splitlines()[-1].split()[1:] == ["#_", "0", "to", "2"]
    assert [run["ok"] for run in json.loads(shell.run("history", "--format", "json").stdout)["runs"]] == [False, True]


def test_failures_survive_the_run_of_another_list(shell: Shell) -> None:
    """They are found by list, by the number or name of the run, and without either."""
    shell.docker(pull=GOOD)
    shell.run(*PULL, "images.txt")
    for words in (
        ("--failed",),
        ("images.txt", "--failed"),
        ("--failed", f"{shell.folder}/images.txt"),
        ("--failed=2",),
        ("--failed", "2"),
        ("--failed", "{name}"),
    ):
        shell.run(*PULL, "--image", "nginx")
        *_, failed, _ = json.loads(shell.run("history", "--format", "json").stdout)["runs"]
        assert failed["lists"] == ["images.txt"]
        run = shell.run(*PULL, *(word.format(name=failed["run"]) for word in words), "--format", "json")
        assert (run.code, [image["requested"] for image in run.images]) == (1, [["acme/missing"]]), words


def test_failures_are_pulled_again_from_any_directory(shell: Shell) -> None:
    """The result counts for the list that failed, not for one of the same name in the directory of the second run."""
    shell.docker(pull=GOOD)
    first, second = (shell.folder / name for name in ("first", "second"))
    for folder in (second, first):  # the newest run with failures is that of `first`
        folder.mkdir()
        shell.folder = folder
        shell.list(f"acme/missing-{folder.name}")
        shell.run(*PULL, "images.txt")
    shell.docker(pull=good_pull())
    shell.folder = second
    for name in ("first", "second"):
        run = shell.run(*PULL, "--failed", "--format", "json")
        assert [image["requested"] for image in run.images] == [[f"acme/missing-{name}"]]
    assert "nothing to pull again" in shell.run("pull", "--failed").stderr


def test_a_newer_run_with_bad_lines_alone_hides_no_failure(shell: Shell) -> None:
    """Bad lines cannot be pulled again; the images of the run before can."""
    shell.docker(pull=GOOD)
    shell.run(*PULL, "--image", "acme/missing")
    (shell.folder / "bad.txt").write_text("a b c\n")
    assert shell.run(*PULL, "bad.txt", "--skip-invalid").code == 1
    run = shell.run(*PULL, "--failed", "--format", "json")
    assert [image["requested"] for image in run.images] == [["acme/missing"]]


def test_failed_run_and_a_list_exclude_each_other(shell: Shell) -> None:
    """It would not be clear which is meant."""
    for arguments in (("images.txt",), ("--image", "nginx")):
        run = shell.run("pull", "--failed=1", *arguments)
        assert (run.code, run.stdout) == (2, "")
        assert "leave out the LIST and --image" in run.stderr


def test_a_record_that_cannot_be_kept_costs_no_run(shell: Shell) -> None:
    """Only who wants to know more is told."""
    shell.docker()
    nowhere = {"XDG_STATE_HOME": "/proc/nowhere"}
    assert shell.run(*PULL, "--image", "nginx", environment=nowhere) == shell.run(*PULL, "--image", "nginx")
    run = shell.run("pull", "--backend", "cli", "-v", "--image", "nginx", environment=nowhere)
    assert run.code == 0
    words = "the directory /proc/nowhere/puller/runs cannot be used: "
    assert f"puller: the report was not added to the history: {words}" in run.stderr


def test_no_run_at_all(shell: Shell) -> None:
    """An empty history is no error; a report of nothing is one."""
    run = shell.run("history")
    assert (run.code, run.stdout, run.stderr) == (0, "", "puller: there are no runs in the history\n")
    assert shell.run("report").code == 2


@pytest.mark.parametrize(
    ("lists", "named"),
    [(["a.txt"], "a.txt"), (["my list.txt", "b.txt"], "'my list.txt' b.txt"), ([*"abcd"], "")],
)
def test_the_next_command_can_be_typed_as_it_is(shell: Shell, lists: list[str], named: str) -> None:
    """It pulls the images of that run, though another list failed since; of many lists it has the run."""
    shell.docker(pull=GOOD)
    for name in lists:
        (shell.folder / name).write_text("acme/missing\n")
    run = shell.run("pull", "--backend", "cli", *lists)
    (command,) = re.findall("^next: puller (pull --failed.*?)  # ", run.stdout, re.MULTILINE)
    name = json.loads(shell.run("history", "--format", "json").stdout)["runs"][-1]["run"]
    assert command == (f"pull --failed {named}" if named else f"pull --failed={name}") + " --backend=cli"
    shell.run(*PULL, "--image", "acme/missing-too")
    again = shell.run(*shlex.split(command), "--format", "json")
    assert (again.code, [image["requested"] for image in again.images]) == (1, [["acme/missing"]])
    assert f"pull --failed={name} " in shell.run("report", name).stdout
    (shell.folder / "elsewhere").mkdir()
    shell.folder /= "elsewhere"
    assert "next: puller pull --failed=2" in shell.run("pull", "--backend", "cli", f"--failed={name}").stdout
