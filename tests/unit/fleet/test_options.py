"""The options of `puller fleet pull`, and of `puller pull --host`."""

import json
from pathlib import Path

import pytest

from puller.cli.commands.fleet_pull import unreachable_hosts
from puller.fleet.hosts import FleetHost
from tests.lab.program import Program
from tests.unit.fleet.hosts import FakeFleet, hosts, pull


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run puller in an empty folder, with a file of one host that does not exist."""
    (tmp_path / "hosts.txt").write_text("unix:///nowhere name=gone jobs=2\n")
    return Program(tmp_path, {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--wave", "0"), "--wave: '0' is not a number of hosts such as 5, or a share such as 10%"),
        (("--max-fail", "x"), "--max-fail: 'x' is not a number such as 5, or a share such as 10%"),
        (("--registry-limit", "docker.io"), "--registry-limit: 'docker.io' is not REGISTRY=N such as docker.io=10"),
        (("--registry-limit", "docker.io=0"), "--registry-limit: 'docker.io=0' is not REGISTRY=N"),
        (("--registry-limit", "a b=3"), "'a b' is not a registry such as docker.io"),
        (("--canary", "-1"), "--canary"),
        (("--to", "oci:x"), "no option --to"),
        (("--unreachable", "no/such/folder"), "no/such/folder"),
    ],
)
def test_bad_options_are_one_clear_line(program: Program, arguments: tuple[str, ...], words: str) -> None:
    """What, where, what to do; no host was touched."""
    run = program.run("fleet", "pull", "--image", "nginx", "--hosts", "hosts.txt", *arguments)
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr.splitlines()[0]


@pytest.mark.parametrize("option", ["--to=oci:x", "--context=x", "--prefetch", "--make-room", "--backend=cli"])
def test_options_for_one_engine_are_refused_beside_hosts(program: Program, option: str) -> None:
    """`puller pull --host`."""
    run = program.run("pull", "nginx:1", "--host", "unix:///nowhere", option)
    assert run.code == 2
    assert f"--host names the engines: leave out {option.partition('=')[0]}" in run.stderr


def test_a_host_that_cannot_be_reached_is_exit_code_3(program: Program) -> None:
    """Its line is in the file for the next run, with its name and jobs."""
    run = program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt", "--unreachable", "u.txt")
    assert run.code == 3
    assert "0 of 1 host has all images, 1 unreachable" in run.stdout
    assert (program.folder / "u.txt").read_text().splitlines()[1] == "unix:///nowhere  name=gone jobs=2"


def test_reports_are_written_where_the_file_of_unreachable_hosts_cannot(program: Program) -> None:
    """The exit code is that of the run, and the line says which file is missing."""
    image = ("--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt")
    run = program.run("fleet", "pull", *image, "--unreachable", "/dev/full", "--report", "json=r.json")
    assert run.code == 3
    assert "0 of 1 host has all images, 1 unreachable" in run.stdout
    assert "cannot write /dev/full: no space left on device" in run.stderr.splitlines()[-1]
    assert json.loads((program.folder / "r.json").read_text())["fleet"]["hosts"][0]["state"] == "unreachable"


def test_the_file_of_unreachable_hosts_has_only_these() -> None:
    """Neither failed hosts nor those that did not start."""
    report = pull(FakeFleet(down=["h1", "h3"]), 5)
    lines = unreachable_hosts(report, (*hosts(3), FleetHost("h3", "ssh://h3", 7, ("build", "arm")))).splitlines()
    assert lines[1:] == ["ssh://h1  name=h1", "ssh://h3  name=h3 jobs=7 groups=build,arm"]


def test_failed_takes_no_run_over_hosts(program: Program) -> None:
    """Its images are for other engines than that of this machine."""
    program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt")
    run = program.run("pull", "--failed")
    assert run.code == 2
    assert "no run is on record" in run.stderr
