"""Forwards with a program `ssh` that does what a test says: what is tried again, and what is given up."""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from puller.cancellation import Cancellation
from puller.errors import CancelledError, EngineUnreachableError, FailureKind
from puller.fleet import folder as folders
from puller.fleet.folder import socket_folder
from puller.fleet.forward import Forward, ReverseForward
from puller.fleet.url import SshTarget
from tests.lab.process import wait_until

SSH = """#!PYTHON -IS
import pathlib, socket, sys, time
folder = pathlib.Path(__file__).parent
steps = (folder / "steps").read_text().splitlines()
count = len((folder / "calls").read_text().splitlines()) if (folder / "calls").exists() else 0
with (folder / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
step = steps[min(count, len(steps) - 1)]
if step.startswith("open"):
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[sys.argv.index("-L") + 1].partition(":")[0])
    server.listen()
    time.sleep(float(step.partition(" ")[2] or 60))
elif step.startswith("port"):
    _, port, seconds = step.split()
    print(f"Allocated port {port} for remote forward to 127.0.0.1:9", file=sys.stderr, flush=True)
    time.sleep(float(seconds))
elif step == "hang":
    time.sleep(60)
else:
    sys.exit(step)
"""
BUSY = "kex_exchange_identification: Connection closed by remote host"
DENIED = "root@web: Permission denied (publickey)."

Start = Callable[..., Forward]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Start]:
    """Make forwards whose ssh does these steps, one at each call, and the last one from then on."""
    forwards = []
    (tmp_path / "ssh").write_text(SSH.replace("PYTHON", sys.executable))
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("puller.fleet.forward._FIRST_PAUSE", 0.01)

    def start(*steps: str) -> Forward:
        (tmp_path / "steps").write_text("\n".join(steps))
        forwards.append(Forward(SshTarget("web", "root", 2222), short))
        return forwards[-1]

    with TemporaryDirectory(prefix="puller-") as made:
        short = Path(made)
        yield start
        for forward in forwards:
            forward.close()


def calls(tmp_path: Path) -> list[str]:
    """Return the command lines of ssh."""
    return (tmp_path / "calls").read_text().splitlines()


def refused(forward: Forward, seconds: float = 20.0) -> EngineUnreachableError:
    """Open a forward that cannot be opened."""
    with pytest.raises(EngineUnreachableError) as caught:
        forward.open(seconds, Cancellation())
    return caught.value


def test_ssh_never_asks_and_gets_the_host_after_all_options(start: Start, tmp_path: Path) -> None:
    """The options that keep it from asking, from accepting keys, and from outliving puller."""
    start("open").open(20, Cancellation())
    (line,) = calls(tmp_path)
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes", "ControlPersist=no"):
        assert f"-o {option}" in line
    assert line.endswith(":/var/run/docker.sock -l root -p 2222 -- web")


def test_a_busy_host_is_asked_again(start: Start, tmp_path: Path) -> None:
    """Sshd refuses logins when there are many at once: three are tried."""
    start(BUSY, BUSY, "open").open(20, Cancellation())
    assert len(calls(tmp_path)) == 3


def test_a_host_that_stays_busy_is_given_up(start: Start, tmp_path: Path) -> None:
    """After three logins."""
    assert "MaxStartups" in str(refused(start(BUSY)))
    assert len(calls(tmp_path)) == 3


def test_a_denied_login_is_not_tried_again(start: Start, tmp_path: Path) -> None:
    """A host that counts failed logins must not lock the user out."""
    assert refused(start(DENIED)).kind is FailureKind.LOGIN_DENIED
    assert len(calls(tmp_path)) == 1


def test_an_open_forward_is_opened_again_until_that_is_denied(start: Start, tmp_path: Path) -> None:
    """It has a problem only while it is down."""
    forward = start("open 0.5", BUSY, BUSY, BUSY, "open 0.5", DENIED)
    forward.open(20, Cancellation())
    assert wait_until(lambda: len(calls(tmp_path)) == 5 and forward.problem is None, 20)
    assert wait_until(lambda: len(calls(tmp_path)) == 6, 20)
    assert wait_until(lambda: forward.problem is not None and forward.problem.is_lasting, 20)
    time.sleep(0.2)
    assert len(calls(tmp_path)) == 6
    assert not forward.path.exists()


def test_a_second_login_that_hangs_is_not_waited_for(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, and another one is tried."""
    forward = start("open 0.5", "hang", "open")
    forward.open(20, Cancellation())
    monkeypatch.setattr("puller.fleet.forward.LOGIN_SECONDS", 0.5)
    assert wait_until(lambda: len(calls(tmp_path)) == 2, 20)
    assert wait_until(lambda: len(calls(tmp_path)) == 3 and forward.problem is None, 20)
    assert forward.path.is_socket()


def test_a_login_that_hangs_is_given_up_and_can_be_cancelled(start: Start) -> None:
    """Whatever ssh waits for."""
    assert refused(start("hang"), seconds=0.5).kind is FailureKind.HOST_UNREACHABLE
    cancel = Cancellation()
    cancel.cancel("enough")
    with pytest.raises(CancelledError):
        start("hang").open(20, cancel)


def test_without_ssh_it_is_named(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install it."""
    forward = start("open")
    monkeypatch.setenv("PATH", "/nonexistent")
    error = refused(forward)
    assert (error.kind, "apt-get install openssh-client" in str(error)) == (FailureKind.CLIENT_MISSING, True)


def test_a_way_back_has_another_port_after_each_login(start: Start, tmp_path: Path) -> None:
    """Who uses the old one learns that it has ended; ssh was asked for a free port on the host's loopback only."""
    start("port 4001 0.3", "port 4002 60")
    way = ReverseForward(SshTarget("web", "root", 2222), 9)
    try:
        way.open(20, Cancellation())
        first = way.now
        assert first
        assert first.port == 4001
        assert wait_until(lambda: first.ended.requested, 20)
        assert wait_until(lambda: way.now is not None and way.now.port == 4002, 20)
    finally:
        way.close()
    assert " -R 127.0.0.1:0:127.0.0.1:9 " in calls(tmp_path)[0]
    assert "-o ControlPath=none" in calls(tmp_path)[0]


def test_a_way_back_that_is_forbidden_says_what_to_change(start: Start) -> None:
    """In the configuration of sshd."""
    start("Error: remote port forwarding failed for listen port 0")
    way = ReverseForward(SshTarget("web"), 9)
    with pytest.raises(EngineUnreachableError, match="set AllowTcpForwarding yes there"):
        way.open(20, Cancellation())
    assert way.over


def test_directories_for_sockets_are_private_and_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A long or odd runtime directory is not used, since ssh could not use it."""
    long = tmp_path / ("x" * 80)
    odd = Path(folders._base()) / "a:b"
    for place in (long, odd):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        with socket_folder() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            assert len(str(folder)) < 90
            assert ":" not in str(folder)
        assert not folder.exists()


def test_only_directories_that_nobody_uses_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once after a run was killed, but not one that another process has locked."""
    with TemporaryDirectory(prefix="puller-") as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        made = {name: Path(base) / f"puller-ssh-{name}" for name in ("left", "used")}
        for path in made.values():
            path.mkdir()
        lock = os.open(made["used"], os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with socket_folder():
                assert {name for name, path in made.items() if path.exists()} == {"used"}
        finally:
            os.close(lock)


def test_a_directory_that_is_removed_before_it_is_locked_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run cannot know that it is not one of a killed run."""
    flock, removed = fcntl.flock, list[Path]()

    def lock(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_SH and not removed:
            removed.extend(Path(base).iterdir())
            removed[0].rmdir()
        flock(descriptor, how)

    monkeypatch.setattr("puller.fleet.folder.fcntl.flock", lock)
    with TemporaryDirectory(prefix="puller-") as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        with socket_folder() as folder:
            assert folder.is_dir()
        assert len(removed) == 1
        assert not [*Path(base).iterdir()]
