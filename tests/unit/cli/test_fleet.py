"""`puller fleet`: its options in files and variables, hosts on standard input, and what it says of engines."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.program import Program

INFO = {"ServerVersion": "28.5.2", "OSType": "linux", "Architecture": "x86_64", "Driver": "overlay2", "ID": "one"}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Have no engine, no hosts and no configuration."""
    return Program(tmp_path, {"HOME": str(tmp_path)})


def info(**more: Any) -> dict[str, Script]:
    """Let an engine describe itself."""

    def answer(answer: EngineAnswer) -> None:
        answer.answer(json.dumps(INFO | more).encode(), Content_Type="application/json")

    return {"/info": answer}


def test_without_hosts_nothing_is_asked(program: Program) -> None:
    """The options are named; a bad list is told before any host is asked."""
    run = program.run("fleet", "check")
    assert (run.code, run.stdout) == (2, "")
    assert "no hosts given: pass --hosts FILE, --inventory FILE or --host URL" in run.stderr
    run = program.run("fleet", "check", "--hosts", program.list("a b", name="hosts.txt"), "--host", "unix:///nowhere")
    assert (run.code, run.stdout) == (2, "")
    assert "hosts.txt:1: 'b' after the host" in run.stderr


def test_a_wrong_verb_is_told(program: Program) -> None:
    """As of puller itself."""
    run = program.run("fleet", "chekc")
    assert (run.code, "chekc" in run.stderr) == (2, True)


def test_engines_are_described(program: Program, tmp_path: Path) -> None:
    """A table of those that answer, the others below it, and the exit code 3."""
    late = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with (
        FakeEngine(folders[0], info(SystemTime=late)) as first,
        FakeEngine(folders[1], info(Driver="\x1b[31m")) as second,
    ):
        hosts = (f"{first.host} name=first", f"{second.host} name=second", "unix:///nowhere name=lost")
        path = program.list(*hosts, name="hosts.txt")
        run = program.run("fleet", "check", "--hosts", path)
        piped = subprocess.run(
            program.argv("fleet", "check", "--hosts", "-", "--format", "json"),
            env=program.environment, input="\n".join(hosts), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    lines = run.stdout.splitlines()
    assert run.code == piped.returncode == 3
    assert lines[1].split()[:5] == ["first", "28.5.2", "graph", "(overlay2)", "linux/amd64"]
    assert lines[1].endswith("5m00s behind")
    assert lines[3:5] == [
        "",
        "unreachable lost: cannot connect to the engine at unix:///nowhere: No such file or directory",
    ]
    assert lines[-2:] == ["the same engine: first, second; keep one of them", "3 hosts: 2 reached, 1 unreachable"]
    assert "\x1b" not in run.stdout
    assert json.loads(piped.stdout)["counts"] == {"reached": 2, "unreachable": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "the engine's description of itself cannot be read: it is not what engines answer"),
        (
            b'{"RegistryConfig": "x"}',
            "the engine's description of itself cannot be read: it is not what engines answer",
        ),
        (b"[" * 100_000, "the engine's response cannot be read: it is nested too deeply"),
        (b"<html>", "the engine's response cannot be read: it is not JSON"),
    ],
)
def test_an_engine_that_answers_nonsense_is_told_in_plain_words(program: Program, body: bytes, words: str) -> None:
    """Not in those of Python."""
    with FakeEngine(program.folder, {"/info": lambda answer: answer.answer(body)}) as engine:
        run = program.run("fleet", "check", "--host", engine.host)
    assert run.code == 3
    assert f": {words}\n" in run.stdout


def test_what_an_engine_says_of_itself_is_shown_in_part(program: Program) -> None:
    """A long version does not make a long line."""
    with FakeEngine(program.folder, info(ServerVersion="v" * 600, Driver="d" * 600, OSType="o" * 600)) as engine:
        run = program.run("fleet", "check", "--host", f"{engine.host}")
    assert run.code == 0
    assert max(map(len, run.stdout.splitlines())) < 250


def test_options_come_from_files_and_variables(program: Program) -> None:
    """The table `[fleet]` is that of all its verbs; a mistake in it is told with its line."""
    hosts = program.list("unix:///nowhere", name="hosts.txt")
    file = program.folder / "puller.toml"
    file.write_text(f'[fleet]\nhosts = ["{hosts}"]\nparallel-hosts = 3\n')
    assert "unreachable /nowhere" in program.run("fleet", "check", "-c", str(file)).stdout
    assert "unreachable /nowhere" in program.run("-c", str(file), "fleet", "check").stdout
    assert "unreachable /nowhere" in program.run("fleet", "check", environment={"PULLER_HOSTS": hosts}).stdout
    file.write_text("[fleet]\nparallel-host = 3\n")
    run = program.run("fleet", "check", "-c", str(file))
    assert (run.code, f"{file}:2: fleet.parallel-host: is not an option of fleet" in run.stderr) == (2, True)
    file.write_text("[fleet]\nparallel-hosts = 0\n")
    assert program.run("list", "nginx", "-c", str(file)).code == 2
