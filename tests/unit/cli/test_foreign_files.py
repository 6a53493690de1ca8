"""Files and folders of others where puller looks for its own: no hang, and no error of puller's own."""

import os
from pathlib import Path

import pytest

from tests.lab.fakes import good_pull
from tests.lab.second_user import NOBODY, as_root
from tests.unit.cli.test_main import Shell

SOON = 5
"""Seconds."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own, and a docker that is well."""
    shell = Shell(tmp_path)
    shell.docker(pull=good_pull())
    return shell


@pytest.mark.parametrize("verb", [("list",), ("config",)])
@pytest.mark.parametrize("named", [True, False], ids=["named", "of the user"])
def test_a_configuration_file_that_is_a_fifo_is_refused(shell: Shell, verb: tuple[str, ...], named: bool) -> None:
    """At once, by name, with exit code 2."""
    path = shell.folder / "config-home" / "puller" / "puller.toml"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    images = ("--image", "nginx") if verb == ("list",) else ()
    begun = shell.begin(*verb, *images, *(("--config", str(path)) if named else ()))
    code, stdout, stderr = begun.ended(SOON)
    assert (code, stdout) == (2, "")
    assert f"{path}: " in stderr
    assert "not a regular file" in stderr


def test_dockers_configuration_that_is_a_fifo_costs_no_run(shell: Shell) -> None:
    """There are no logins in it; docker itself decides what it does with it."""
    (shell.folder / "docker-config").mkdir()
    os.mkfifo(shell.folder / "docker-config" / "config.json")
    code, _, stderr = shell.begin("pull", "--image", "nginx", "--backend", "cli", "--no-lock").ended(SOON)
    assert code == 0
    assert "config.json" in stderr


@as_root
@pytest.mark.parametrize(
    "verb", ["history", "report", "pull --failed", "pull -q --image nginx --backend cli --no-lock"]
)
def test_a_state_folder_of_another_user_is_no_error_of_ours(theirs: Path, verb: str) -> None:
    """What cannot be read is said with its path, and a pull goes on without a record."""
    theirs.parent.chmod(0o777)
    shell = Shell(theirs.parent)
    shell.docker(pull=good_pull())
    state = theirs.parent / "state"
    state.mkdir(mode=0o700)
    user = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    code, _, stderr = shell.begin(*verb.split(), prefix=user).ended(60)
    assert "internal error" not in stderr
    assert (code == 0) if "nginx" in verb else (code == 2 and str(state) in stderr)
