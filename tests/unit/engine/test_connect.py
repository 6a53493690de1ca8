"""Which way to the engine is taken, and what is said when there is none."""

import os
import socket
from pathlib import Path

import pytest

from puller.engine import connect, locate
from puller.engine.interface import Engine
from puller.errors import EngineUnreachableError, UsageError
from puller.settings import BackendChoice
from tests.lab.fakes import FakeProgram, complain


@pytest.fixture(autouse=True)
def _no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point everything at an engine that is not there."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def reach(choice: BackendChoice, docker_command: str = "docker", context: str | None = None) -> Engine:
    """Reach the engine that these options mean."""
    address = locate(choice, docker_command=docker_command, context=context)
    return connect(address, choice, docker_command=docker_command)


def test_auto_falls_back_to_the_command(tmp_path: Path) -> None:
    """A docker command that reaches an engine is good enough when the API does not answer."""
    FakeProgram(tmp_path)
    assert reach(BackendChoice.AUTO).engine == "engine 28.5.2 through the docker command"


def test_the_api_is_not_replaced(tmp_path: Path) -> None:
    """Who asks for the API gets it or a reason, which names where it was looked for."""
    program = FakeProgram(tmp_path)
    with pytest.raises(EngineUnreachableError, match=r"none\.sock: No such file or directory"):
        reach(BackendChoice.API)
    assert program.calls == []


def test_cli_does_not_ask_the_api(tmp_path: Path) -> None:
    """Who asks for the command gets the command."""
    FakeProgram(tmp_path)
    assert reach(BackendChoice.CLI).engine == "engine 28.5.2 through the docker command"


def test_without_any_engine_the_first_reason_is_told(tmp_path: Path) -> None:
    """When neither way leads to an engine, where it was looked for says more than the command's words."""
    FakeProgram(tmp_path, version=complain("the command's words"))
    with pytest.raises(EngineUnreachableError, match=r"cannot connect to the engine at unix://.*none\.sock"):
        reach(BackendChoice.AUTO)


def test_another_command_means_the_command(tmp_path: Path) -> None:
    """`--docker-command podman` goes through podman."""
    program = FakeProgram(tmp_path, name="podman", version="echo 4.3.1")
    assert reach(BackendChoice.AUTO, docker_command="podman").engine == "engine 4.3.1 through the podman command"
    assert program.calls[0][0] == "info"


@pytest.mark.parametrize("choice", BackendChoice)
def test_a_misspelt_context_is_never_another_engine(tmp_path: Path, choice: BackendChoice) -> None:
    """There is no falling back from a name that does not exist."""
    program = FakeProgram(tmp_path)
    with pytest.raises(UsageError, match="context 'prodd' not found"):
        reach(choice, context="prodd")
    assert program.calls == []


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "unix://", "nonsense", "tcp://", "http+x://y", "tcp://[::1"])
def test_a_host_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Whatever DOCKER_HOST says, there is a reason and no crash."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineUnreachableError) as caught:
        reach(BackendChoice.API)
    assert str(caught.value).isprintable()
    assert host in str(caught.value)


@pytest.mark.parametrize("name", ["docker.sock", "podman/podman.sock"])
def test_the_socket_of_another_engine_is_named_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A rootless engine's socket exists, and the configuration names one that does not."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (path := tmp_path / name).parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(EngineUnreachableError, match=f"none.sock: .*DOCKER_HOST=unix://{path} "):
            reach(BackendChoice.API)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_file_is_no_socket_of_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a socket can be an engine's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "docker.sock").touch()
    with pytest.raises(EngineUnreachableError) as caught:
        reach(BackendChoice.API)
    assert str(tmp_path / "docker.sock") not in str(caught.value)
