"""Files of this host that others control: none of them hangs a verb, and none is an internal error."""

import os
from pathlib import Path

import pytest

from tests.lab.program import Program
from tests.lab.second_user import NOBODY, as_root
from tests.unit.cli.test_main import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    return Shell(tmp_path)


@pytest.mark.parametrize("arguments", [("list", "-c", "fifo"), ("list",)], ids=["named", "found"])
def test_a_configuration_that_is_a_fifo_is_refused(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Nobody waits for a writer."""
    (shell.folder / "config-home/puller").mkdir(parents=True)
    os.mkfifo(shell.folder / ("fifo" if "-c" in arguments else "config-home/puller/puller.toml"))
    run = shell.run(*arguments, "--image", "nginx")
    assert run.code == 2
    assert "cannot be read: not a regular file" in run.stderr


def test_dockers_configuration_that_is_a_fifo_is_named(shell: Shell) -> None:
    """It counts as one that cannot be read."""
    (shell.folder / "docker-config").mkdir()
    os.mkfifo(shell.folder / "docker-config/config.json")
    run = shell.run("pull", "--image", "nginx", "--backend", "cli", "--no-lock")
    assert "docker-config/config.json cannot be read: not a regular file" in run.stderr


@as_root
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "{closed}/images.txt"), 2, "ermission denied"),
        (("lock", "--image", "nginx", "-o", "{closed}/images.lock"), 2, "ermission denied"),
        (("list", "compose.yaml"), 2, "compose"),
        (("list", "-c", "{closed}/puller.toml", "--image", "nginx"), 2, "ermission denied"),
        (("list", "-c", "puller.toml", "--image", "nginx"), 2, "authority.pem cannot be read: permission denied"),
        (("pull", "--image", "nginx", "--backend", "cli", "--no-lock"), 69, "config.json cannot be read"),
    ],
)
def test_a_directory_of_another_user_is_no_internal_error(
    theirs: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """As with `sudo -u` and root's HOME, or a path that leads there."""
    closed = theirs.parent / "closed"
    closed.mkdir(mode=0o700)
    (theirs.parent / "compose.yaml").write_text("services: {a: {image: nginx, extends: {file: b.yaml, service: b}}}\n")
    (theirs.parent / "puller.toml").write_text(f'registry."a.example".ca = "{closed}/authority.pem"\n')
    environment = {"HOME": str(closed), "PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{closed}/x.sock"}
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    program = Program(theirs.parent, environment)
    program.environment.pop("XDG_CONFIG_HOME")
    named = [argument.format(closed=closed) for argument in arguments]
    ended, _, stderr = program.begin(*named, prefix=prefix).ended(60)
    assert "internal error" not in stderr
    assert (ended, words in stderr) == (code, True), stderr


@as_root
@pytest.mark.parametrize("verb", [("history",), ("report",), ("pull", "--failed"), ("list", "--image", "nginx")])
def test_the_state_of_another_user_is_named(theirs: Path, verb: tuple[str, ...]) -> None:
    """As with `sudo -u` and root's XDG_STATE_HOME: one line and an exit code, where the verb needs it."""
    runs = theirs.parent / "state/puller/runs"
    runs.mkdir(parents=True)
    runs.chmod(0o700)
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    code, _, stderr = Program(theirs.parent, {}).begin(*verb, prefix=prefix).ended(60)
    assert "internal error" not in stderr
    assert "Traceback" not in stderr
    assert (code, "runs cannot be read: Permission denied" in stderr) == (
        (0, False) if verb[0] == "list" else (2, True)
    )
