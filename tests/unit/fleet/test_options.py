"""The options of `puller fleet pull`, and of `puller pull --host`."""

import json
from pathlib import Path

import click
import pytest

from puller.cli.commands import fleet_pull, pull as pull_verb
from puller.fleet.hosts import FleetHost
from tests.lab.program import Program
from tests.unit.fleet.hosts import FakeFleet, hosts, pull

FEEDING = {"connections", "registry_connections", "bandwidth", "cache_size"}
REFUSED = FEEDING | {
    "failed", "make_room", "backend", "docker_command", "context", "prefetch", "to", "no_extras", "network_wait",
    "fail_fast", "max_fail", "jitter",
}  # fmt: skip
"""The options of `puller pull` that are for one engine, or for this machine."""


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


def test_what_is_for_one_engine_is_refused_beside_hosts(program: Program) -> None:
    """In one line that says what to use; in a file it is for other runs."""
    run = program.run("pull", "nginx:1", "--host", "unix:///nowhere", "--fail-fast")
    words = "with --host, `puller fleet pull --max-fail` limits how many hosts may fail: leave out --fail-fast"
    assert (run.code, run.stderr.splitlines()[0]) == (2, f"puller: {words}")
    (program.folder / "puller.toml").write_text("fail-fast = true\njitter = '7h'\n")
    assert program.run("pull", "127.0.0.1:1/x:1", "--host", "unix:///nowhere", "-c", "puller.toml").code == 3


SAMPLES = {
    "lists": "redis:7", "images": "redis:7", "platform": "linux/s390x", "jobs": "7", "per_registry": "7",
    "retries": "7", "breaker": "7", "mirrors": "docker.io=m.example",
    "mirror_use": "fallback --mirror=docker.io=m.example", "policy": "missing", "timeout": "7s",
    "retry_delay": "7s", "max_wait": "7s", "stall_timeout": "7s", "unpack_timeout": "7s", "deadline": "7s",
    "engine_wait": "7s", "waves": "7", "canary": "7", "max_fail_hosts": "7", "parallel_hosts": "7",
    "registry_limits": "docker.io=7", "host_urls": "unix:///other", "failed": "", "make_room": "", "backend": "cli",
    "docker_command": "podman", "context": "x", "prefetch": "always", "connections": "7", "registry_connections": "7",
    "bandwidth": "7MB/s", "cache_size": "7GB", "to": "oci:x", "no_extras": "", "network_wait": "7s", "fail_fast": "",
    "max_fail": "7", "jitter": "7s", "no_second_pass": "", "no_disk_check": "", "strict": "",
}  # fmt: skip
"""A value of each option that changes a run over hosts, or that is refused there; empty for flags."""
ELSEWHERE = {
    "kind", "profiles", "services", "ignore_buildable", "build_args", "skip_invalid",  # how lists are read
    "verbose", "quiet", "progress", "log_timestamps", "log_file", "format", "reports", "junit_skip_up_to_date",
    "unreachable",  # what is written
    "lock_wait", "no_lock", "insecure", "feed",  # how a host is connected
    "host_files", "inventories", "host_groups",
}  # fmt: skip
"""The others: they do not reach the run, and what they do for hosts is tested elsewhere."""


class Reached(Exception):  # noqa: N818 - no error
    """A run over hosts is about to begin."""


def what_runs(command: click.Command, *arguments: str) -> object:
    """Return what a run over hosts would do, or why it is refused."""
    with pytest.raises((Reached, click.UsageError)) as end:
        command.main(["nginx:1", "--host", "unix:///nowhere", *arguments], prog_name="puller", standalone_mode=False)
    return end.value.message if isinstance(end.value, click.UsageError) else end.value.args


@pytest.mark.parametrize(
    ("command", "refused"), [(pull_verb.command, REFUSED), (fleet_pull.command, FEEDING | {"failed"})]
)
def test_each_option_has_an_effect_on_hosts_or_is_refused(
    command: click.Command, refused: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No option of `puller pull --host` and `puller fleet pull` is accepted for nothing."""

    def begin(*what: object, **_: object) -> None:
        raise Reached(*what[:4])

    monkeypatch.setattr(fleet_pull, "FleetRun", begin)
    monkeypatch.setenv("HOME", str(tmp_path))
    plain, seen = what_runs(command), set[str]()
    for param in command.params:
        name, option = str(param.name), param.opts[-1]
        if name in ELSEWHERE:
            continue
        value, *more = SAMPLES[name].split() or [""]
        words = [value] if isinstance(param, click.Argument) else [f"{option}={value}" if value else option, *more]
        found = what_runs(command, *words)
        assert found != (what_runs(command, *more) if more else plain), f"{option} is ignored"
        if isinstance(found, str):
            assert option in found
            assert found.count("leave out --") == 1
            seen.add(name)
    assert seen == refused


def test_a_host_that_cannot_be_reached_is_exit_code_3(program: Program) -> None:
    """Its line is in the file for the next run, with its name and jobs."""
    run = program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt", "--unreachable", "u.txt")
    assert run.code == 3
    assert "0 of 1 host has all images, 1 unreachable" in run.stdout
    assert (program.folder / "u.txt").read_text().splitlines()[1] == "unix:///nowhere name=gone jobs=2"


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
    lines = fleet_pull.unreachable_hosts(
        report, (*hosts(3), FleetHost("h3", "ssh://h3", 7, ("build", "arm")))
    ).splitlines()
    assert lines[1:] == ["ssh://h1", "ssh://h3 jobs=7 groups=build,arm"]


def test_failed_takes_no_run_over_hosts(program: Program) -> None:
    """Its images are for other engines than that of this machine."""
    program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt")
    run = program.run("pull", "--failed")
    assert run.code == 2
    assert "the last run that failed was over 1 host: `puller fleet pull --failed`" in run.stderr
    run = program.run("pull", "--failed=1")
    assert run.code == 2
    assert "was over hosts: puller fleet pull --failed=20" in run.stderr


def test_what_failed_on_hosts_is_pulled_again_on_these(program: Program) -> None:
    """Hosts and images are those of the run; a run of one engine is none of these."""
    none = program.run("fleet", "pull", "--failed")
    assert (none.code, "no run over hosts is on record" in none.stderr) == (2, True)
    program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", "hosts.txt")
    run = program.run("fleet", "pull", "--failed", "--format", "json")
    assert run.code == 3
    assert run.stderr.startswith("puller: pulling 1 image into 1 host: what run 20")
    (host,) = run.report["fleet"]["hosts"]
    assert (host["name"], host["url"], host["jobs"]) == ("gone", "unix:///nowhere", 2)
    assert [image["requested"] for image in run.images] == [["127.0.0.1:1/x:1"]]
    program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--host", "ssh://joe@127.0.0.1:1 name=web")
    (host,) = program.run("fleet", "pull", "--failed", "--format", "json").report["fleet"]["hosts"]
    assert (host["url"], host["state"]) == ("ssh://joe@127.0.0.1:1", "unreachable")
    run = program.run("fleet", "pull", "--failed", "--hosts", "hosts.txt")
    assert (run.code, "--failed takes the hosts of that run: leave out --hosts" in run.stderr) == (2, True)


def test_the_hosts_that_could_not_be_reached_may_be_none(program: Program) -> None:
    """A job in cron pulls into them, checks them and plans for them, whether there are any or not."""
    (program.folder / "later.txt").write_text("# 0 hosts not reached\n")
    for verb in (("fleet", "pull", "nginx"), ("fleet", "check"), ("plan", "nginx")):
        run = program.run(*verb, "--hosts", "later.txt")
        assert (run.code, run.stdout) == (0, "")
        assert run.stderr == "puller: later.txt: no hosts, so there is nothing to do\n"


def test_images_of_hosts_that_are_away_are_not_pulled(program: Program) -> None:
    """Nobody cancelled them: not in the report, nor in the history or on the page."""
    hosts = ("--hosts", "hosts.txt", "--report", "page.html")
    run = program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", *hosts)
    assert "1 not pulled in " in run.stdout
    assert "cancelled" not in run.stdout
    page = (program.folder / "page.html").read_text()
    assert "1 not pulled</span>" in page
    assert "Cancelled" not in page
    assert "NOT PULLED" in program.run("history").stdout
