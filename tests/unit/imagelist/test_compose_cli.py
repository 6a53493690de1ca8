"""The compose plugin, found without starting anything and asked with an end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from puller.imagelist import compose_cli
from puller.imagelist.compose_cli import Compose

JSON = '{"services": {}}'


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give docker a folder of plugins of our own, and nothing else; the plugin is yet to be written."""
    monkeypatch.setattr(compose_cli, "_SYSTEM", ())
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = tmp_path / "cli-plugins" / "docker-compose"
    path.parent.mkdir()
    return path


def write(path: Path, script: str) -> Path:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def refusal(ask: Compose) -> str:
    """Ask, and take the complaint."""
    with pytest.raises(ValueError, match="docker compose") as caught:
        ask([Path("f.yaml")], ())
    return str(caught.value)


def test_it_is_asked_about_these_files_and_profiles(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON, by paths that cannot be taken for options or addresses, offline, and with the user's variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAG", "7")
    write(plugin, f'printf "%s\\n" "$@" "$TAG" "$COMPOSE_EXPERIMENTAL_GIT_REMOTE" >asked; cat >>asked; echo \'{JSON}\'')
    assert Compose()([Path("-"), Path("sub/g.yaml")], ("a", "-b")) == f"{JSON}\n"
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"--file={tmp_path}/-", f"--file={tmp_path}/sub/g.yaml", "--profile=a", "--profile=-b", "config", "--format",
        "json", "7", "false",
    ]  # fmt: skip


def test_its_reason_is_told_without_the_warnings_before_it(plugin: Path) -> None:
    """Compose logs first, and says then what it does not like."""
    write(plugin, "echo 'time=\"x\" level=warning msg=\"version\"' >&2; echo 'no such' >&2; echo ' key' >&2; exit 15")
    assert refusal(Compose()) == "docker compose reports an error: no such key"
    write(plugin, "exit 3")
    assert refusal(Compose()) == "docker compose reports an error: exit code 3"


def test_one_that_hangs_is_asked_no_more(plugin: Path) -> None:
    """The time limit is waited for once, and the program is ended."""
    write(plugin, "exec sleep 600")
    ask = Compose(seconds=0.2)
    assert refusal(ask) == "docker compose did not answer within 0.2s"
    assert ask([Path("f.yaml")], ()) is None


def test_one_that_cannot_run_is_named(plugin: Path) -> None:
    """Such as a plugin for another machine."""
    plugin.write_bytes(b"\x7fELF nonsense")
    plugin.chmod(0o755)
    assert refusal(Compose()) == f"docker compose cannot be run: Exec format error: {plugin}"


def test_version_1_is_no_compose_to_ask(plugin: Path) -> None:
    """It knows no JSON, and says how it wants to be used."""
    write(plugin, "printf 'Validate and view the Compose file.\\n\\nUsage: config [options]\\n' >&2; exit 1")
    assert Compose()([Path("f.yaml")], ()) is None


def test_where_it_is_looked_for(plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the user's plugins, the system's, then by its name on the PATH; what cannot be executed is not taken."""
    environment = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}/bin"}
    assert compose_cli.find(environment) is None
    assert compose_cli.find({"HOME": str(tmp_path)}) is None
    system, alone = tmp_path / "lib/docker/cli-plugins/docker-compose", tmp_path / "bin/docker-compose"
    for path in (system, alone):
        path.parent.mkdir(parents=True)
    monkeypatch.setattr(compose_cli, "_SYSTEM", (str(tmp_path / "lib"),))
    write(alone, "exit 0")
    assert compose_cli.find(environment) == alone
    write(system, "exit 0")
    assert compose_cli.find(environment) == system
    plugin.write_text("not executable")
    assert os.access(plugin, os.X_OK) is False
    assert compose_cli.find(environment) == system
    plugin.chmod(0o755)
    assert compose_cli.find(environment) == plugin
