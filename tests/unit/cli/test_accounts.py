"""Trouble with accounts, and answers of mirrors: told once on standard error, and they cost only what they concern."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fakes import EngineAnswer, FakeEngine
from tests.lab.http_server import Server, saying, serving
from tests.lab.program import Program, Run
from tests.lab.samples import DIGEST
from tests.lab.second_user import NOBODY
from tests.unit.cli.test_main import Shell

SECRET = "s3cr3t"
MANIFEST = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n"
    f"Docker-Content-Digest: {DIGEST}\r\nContent-Length: 0\r\n\r\n"
).encode()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    shell = Shell(tmp_path)
    (tmp_path / "docker-config").mkdir()
    return shell


@pytest.fixture
def guarded() -> Iterator[Server]:
    """Give a registry that wants to know who asks."""
    with serving(
        saying(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n')
    ) as server:
        yield server


def helper(shell: Shell, script: str) -> None:
    """Install a credential helper for every registry."""
    program = shell.bin / "docker-credential-lab"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (shell.folder / "docker-config/config.json").write_text('{"credsStore": "lab"}')


def about_accounts(run: Run) -> list[str]:
    """Return the lines about accounts."""
    return [line for line in run.stderr.splitlines() if "no account for" in line]


def test_a_helper_that_prints_something_else_is_told_once(shell: Shell, guarded: Server) -> None:
    """With the registry that it concerns, whatever the number of images; nothing that it printed is shown."""
    helper(shell, f"echo '{SECRET}'")
    images = [f"--image={guarded.address}/a/{name}" for name in "bc"]
    told = [f"puller: no account for {guarded.address}: docker-credential-lab gives no valid answer"]

    def refuse(answer: EngineAnswer) -> None:
        answer.answer(b'{"message": "no basic auth credentials"}', 500)

    run = shell.run("lock", *images)
    assert about_accounts(run) == told
    assert SECRET not in run.stdout + run.stderr
    with FakeEngine(shell.folder, {"/images/create": refuse}) as engine:
        for options in ((), ("-q",)):
            run = shell.run(
                "pull", *options, "--no-lock", "--policy=always", *images, environment={"DOCKER_HOST": engine.host}
            )
            assert (run.code, about_accounts(run)) == (1, told)
            assert SECRET not in run.stdout + run.stderr


def test_doctor_names_odd_accounts(shell: Shell, guarded: Server) -> None:
    """A helper that prints something else, which is not shown, and an entry that is none."""
    helper(shell, f"echo '{SECRET}'")
    config = {"credHelpers": {guarded.address: "lab"}, "auths": {"odd.example": {"auth": "!"}}}
    (shell.folder / "docker-config/config.json").write_text(json.dumps(config))
    run = shell.run("doctor", "--image", f"{guarded.address}/a/b")
    for words in ("docker-credential-lab gives no valid answer", "its entry for odd.example has an"):
        assert words in run.stdout
    assert SECRET not in run.stdout + run.stderr


@pytest.mark.parametrize("by_option", [False, True])
def test_lock_and_doctor_say_what_only_a_mirror_answered(shell: Shell, by_option: bool) -> None:
    """The lock is written; doctor warns of the registry and does not fail for it."""
    with serving(saying(MANIFEST)) as mirror, serving(saying(b"")) as gone:
        gone.close()
        (shell.folder / "puller.toml").write_text(f'[registry."{gone.address}"]\nmirrors = ["{mirror.address}/hub"]\n')
        place = ("--mirror", f"{gone.address}={mirror.address}/hub") if by_option else ("-c", "puller.toml")
        image = f"{gone.address}/a/b:1"
        run = shell.run("lock", *place, "--image", image)
        assert (run.code, run.stdout.splitlines()[-1]) == (0, f"{image}@{DIGEST}")
        assert f"puller: {image}: resolved by the mirror {mirror.address}/hub only" in run.stderr.splitlines()
        run = shell.run("doctor", *place, "--image", image, "--format", "json")
    found = [each for each in json.loads(run.stdout)["checks"] if each["subject"] == gone.address]
    assert {each["status"] for each in found} == {"warning"}
    assert any("a mirror answers for it" in each["message"] for each in found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_configuration_of_another_home_is_left_out(theirs: Path) -> None:
    """As with `sudo -u` and root's HOME: a warning, and the verb goes on."""
    home = theirs.parent / "config-home/puller"
    home.mkdir(parents=True, mode=0o700)
    (home / "puller.toml").write_text("jobs = 'bad'\n")
    (theirs.parent / "config-home").chmod(0o700)
    program = Program(theirs.parent, {})
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    code, stdout, stderr = program.begin("list", "--image", "nginx", prefix=prefix).ended(60)
    assert (code, stdout) == (0, "docker.io/library/nginx:latest\n")
    assert "puller.toml is left out: permission denied" in stderr
