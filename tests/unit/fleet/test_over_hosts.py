"""`verify`, `plan` and `prune` on hosts: which options name hosts, and what one host's trouble means for the others."""

import json
from pathlib import Path

import pytest

from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.program import Program
from tests.unit.fleet.test_lock import held


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run puller in an empty folder."""
    return Program(tmp_path, {"HOME": str(tmp_path), "DOCKER_HOST": "unix:///no/engine/here"})


def answering(document: object) -> Script:
    """Let an engine answer with a document."""

    def answer(answer: EngineAnswer) -> None:
        answer.answer(json.dumps(document).encode(), Content_Type="application/json")

    return answer


EMPTY = {
    "/info": answering({"ServerVersion": "28.5.2", "OSType": "linux", "Architecture": "x86_64", "ID": "one"}),
    "/images/json": answering([]),
    "/containers/json": answering([]),
}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "nginx:1", "--context", "x"), "the hosts name the engines: leave out --context"),
        (("plan", "nginx:1", "--backend", "cli"), "the hosts name the engines: leave out --backend"),
        (("prune", "--image", "nginx:1"), "not a terminal: confirm with --yes, or preview with --dry-run"),
        (("prune", "--image", "nginx:1", "--yes", "--until-free", "1GB"), "--until-free is for one engine"),
    ],
)
def test_what_makes_no_sense_for_hosts_is_refused(program: Program, arguments: tuple[str, ...], words: str) -> None:
    """In one line, and no host is asked."""
    run = program.run(*arguments, "--host", "unix:///nowhere")
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr.splitlines()[0]


def test_variables_and_files_name_no_hosts(program: Program) -> None:
    """They are for `puller fleet`: the command is for this host's engine, which does not exist here."""
    config = program.folder / "puller.toml"
    config.write_text('hosts = ["all.txt"]\n')
    more = {"PULLER_HOSTS": "other.txt", "PULLER_HOST": "ssh://x", "PULLER_CONFIG": str(config)}
    program.environment |= more
    for command in (("verify", "nginx:1"), ("plan", "nginx:1"), ("prune", "--image", "nginx:1", "--yes")):
        run = program.run(*command)
        assert (run.code, "/no/engine/here" in run.stderr) == (69, True), run.stderr


def test_the_code_is_that_of_the_worst_host_that_was_reached(program: Program, tmp_path: Path) -> None:
    """A host that is away is 3 only if nothing else is wrong; a host that another run uses may be tried again."""
    with FakeEngine(tmp_path, EMPTY) as engine:
        verify = ("verify", "nginx:1", "--offline", "--host", engine.host, "--host", "unix:///nowhere")
        run = program.run(*verify)
        assert (run.code, run.stdout.splitlines()[-1]) == (1, "2 hosts: 0 ok, 1 with problems, 1 unreachable")
        prune = ("prune", "--image", "nginx:1", "--yes", "--host", engine.host, "--host", "unix:///nowhere")
        run = program.run(*prune)
        assert (run.code, run.stdout.splitlines()[-1]) == (3, "2 hosts: 1 ok, 1 unreachable"), run.stdout
        with held(engine.host):
            run = program.run(*prune)
        assert (run.code, run.stdout.splitlines()[-1]) == (75, "2 hosts: 0 ok, 1 failed, 1 unreachable")
        assert "another run uses the engine of" in run.stdout
