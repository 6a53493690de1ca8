"""What keeps docker's logins from being found: a helper that cron's PATH does not reach, a file, a home."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from puller.system.docker_config import directory, login_problems

BARE = "/usr/bin:/bin"


class Home:
    """A docker configuration directory, and a folder for helpers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()

    def helper(self, name: str) -> None:
        """Install a credential helper."""
        program = self.bin / f"docker-credential-{name}"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    def says(self, *registries: str, path: str = BARE, **config: Any) -> list[str]:
        """Tell what is wrong for these registries."""
        (self.folder / "config.json").write_text(json.dumps(config))
        return list(login_problems(registries, {"DOCKER_CONFIG": str(self.folder), "PATH": path}))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give an empty one."""
    return Home(tmp_path)


def test_a_helper_that_is_not_on_the_path_is_named_with_the_cure(home: Home) -> None:
    """The file, the helper, the registries that it is for, the PATH, and what to do, in one line."""
    home.helper("ecr-login")
    helpers = {"1.ecr.aws": "ecr-login", "2.ecr.aws": "ecr-login", "ghcr.io": "gh"}
    (line,) = home.says("docker.io", "1.ecr.aws", "2.ecr.aws", credHelpers=helpers)
    assert line == (
        f"docker-credential-ecr-login is not on the PATH (/usr/bin:/bin), and {home.folder}/config.json keeps the "
        "logins for 1.ecr.aws, 2.ecr.aws in it: add its directory to the PATH, in a crontab with a line PATH=…"
    )
    assert home.says("1.ecr.aws", path=f"{BARE}:{home.bin}", credHelpers=helpers) == []


def test_only_registries_of_the_list_count(home: Home) -> None:
    """Who pulls from elsewhere is not bothered."""
    assert home.says("quay.io", credHelpers={"ghcr.io": "gh"}) == []
    assert home.says(credsStore="pass") == []


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io"])
def test_docker_hub_has_many_names(home: Home, key: str) -> None:
    """A helper for any of them is Docker Hub's."""
    (line,) = home.says("docker.io", credHelpers={key: "hub"})
    assert "docker-credential-hub" in line


def test_a_store_is_for_where_somebody_has_logged_in(home: Home) -> None:
    """Docker lists those beside it; a store without such a list may know every registry that has no helper."""
    auths: dict[str, Any] = {"https://index.docker.io/v1/": {}}
    (line,) = home.says("docker.io", "quay.io", auths=auths, credsStore="pass")
    assert line.startswith("docker-credential-pass is not on the PATH")
    assert "the logins for docker.io in it" in line
    assert home.says("quay.io", auths=auths, credsStore="pass") == []
    store, helper = home.says("quay.io", "ghcr.io", credsStore="ecr-login", credHelpers={"ghcr.io": "gh"})
    assert store.startswith("docker-credential-ecr-login ")
    assert "the logins for quay.io in it" in store
    assert helper.startswith("docker-credential-gh ")
    assert "the logins for ghcr.io in it" in helper


def test_a_file_that_cannot_be_read_is_named(home: Home) -> None:
    """What is not JSON, or no object, is told; odd values in it, and no file at all, mean that nobody has logged in."""
    environment = {"DOCKER_CONFIG": str(home.folder)}
    assert list(login_problems(["docker.io"], environment)) == []
    for broken in ("{", "[]"):
        (home.folder / "config.json").write_text(broken)
        (line,) = login_problems(["docker.io"], environment)
        assert line.startswith(f"{home.folder}/config.json cannot be read: it is not a JSON object")
    for odd in ('{"credHelpers": []}', '{"credsStore": null}', '{"auths": 1, "credHelpers": {"docker.io": null}}'):
        (home.folder / "config.json").write_text(odd)
        assert list(login_problems(["docker.io"], environment)) == []


def test_nobody_without_a_home_is_an_error(mocker: MockerFixture) -> None:
    """A user whom the system does not know, and no HOME: no traceback, and a line that says what to set."""
    mocker.patch.object(Path, "expanduser", side_effect=RuntimeError)
    assert not directory({}).exists()
    (line,) = login_problems(["docker.io"], {})
    assert "set HOME or DOCKER_CONFIG" in line
    assert list(login_problems(["docker.io"], {"DOCKER_CONFIG": "/elsewhere"})) == []
