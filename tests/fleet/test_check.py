"""`puller fleet check` on real hosts: each is described, or has the right word for why it cannot be reached."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from puller.engine.api.client import SECONDS
from tests.fleet.conftest import environment, sockets
from tests.lab import wait_until
from tests.lab.fleet import Fleet, nothing_left, ssh_processes
from tests.lab.program import Program
from tests.lab.schemas import assert_fits

PATIENCE = 30.0


def check(puller: Program, *urls: str, code: int = 3) -> dict[str, dict[str, Any]]:
    """Check hosts, and return the results by name."""
    run = puller.run("fleet", "check", "--format", "json", *(word for url in urls for word in ("--host", url)))
    assert run.code == code, run.stderr
    assert_fits(run.report, "fleet-check")
    return {each["host"]: each for each in run.report["hosts"]}


def reason(puller: Program, url: str) -> tuple[str, str]:
    """Return the kind and the message for one host that cannot be reached."""
    (found,) = check(puller, url).values()
    assert found["status"] == "unreachable"
    assert "\n" not in found["error"]["message"]
    return found["error"]["kind"], found["error"]["message"]


@contextmanager
def silent(address: str) -> Iterator[int]:
    """Listen at a port and never say anything."""
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


def test_hosts_are_described_with_one_login_each(fleet: Fleet, puller: Program) -> None:
    """Version, store, platform, free space and clock; nothing is left running, nor any file."""
    lines = [f"{host.url} name={host.name}" for host in fleet.hosts]
    before = [host.logins for host in fleet.hosts]
    run = puller.run("fleet", "check", "--hosts", puller.list(*lines, name="hosts.txt"), "--format", "json")
    assert run.code == 0, run.stderr
    assert_fits(run.report, "fleet-check")
    for host, found in zip(fleet.hosts, run.report["hosts"], strict=True):
        assert (found["host"], found["version"]) == (host.name, host.engine.version())
        assert found["data_root"] == str(host.engine.data_root)
        assert abs(found["free_bytes"] - shutil.disk_usage(host.engine.data_root).free) < 1 << 30
        assert abs(found["clock_difference"]) < 60
        assert nothing_left(host.address)
    assert [host.logins for host in fleet.hosts] == [number + 1 for number in before]
    assert sockets(puller) == []
    table = puller.run("fleet", "check", "--hosts", str(puller.folder / "hosts.txt"), "--parallel-hosts", "2").stdout
    assert table.splitlines()[0].split() == ["HOST", "ENGINE", "STORE", "PLATFORM", "FREE", "CLOCK"]
    assert table.endswith("\n4 hosts: 4 reached\n")


def test_names_of_ssh_config_work(fleet: Fleet, tmp_path: Path) -> None:
    """Address, user and the way over another host come from the user's configuration."""
    first, second = fleet.hosts[:2]
    config = (
        f"Host far\n HostName {second.address}\n User root\n ProxyJump root@{first.address}\n"
        f"Host *\n IdentityFile {fleet.folder}/key\n UserKnownHostsFile {fleet.folder}/known_hosts\n"
    )
    puller = Program(tmp_path, environment(fleet, fleet.ssh(config=config)))
    found = check(puller, f"ssh://far{second.engine.socket}", code=0)
    assert found["far"]["status"] == "reached"
    assert nothing_left(first.address)


def test_two_names_of_one_engine_are_told(fleet: Fleet, puller: Program) -> None:
    """It would pull every image twice."""
    host = fleet.hosts[0]
    run = puller.run("fleet", "check", "--host", host.url, "--host", host.engine.host)
    assert run.code == 0
    assert f"the same engine: {host.address}:22, {host.engine.socket}" in run.stdout


def test_a_wrong_key_harms_no_other_host(fleet: Fleet, puller: Program) -> None:
    """Another key than the known one, and one that nobody knows, are both refused, each with its word."""
    changed, unknown, well, _ = fleet.hosts
    changed.kill_sshd()
    changed.renew_key()
    changed.start_sshd()
    known = fleet.folder / "known_hosts"
    kept = [line for line in known.read_text().splitlines() if unknown.address not in line]
    known.write_text("".join(f"{line}\n" for line in kept))
    found = check(puller, *(f"{host.url}" for host in (changed, unknown, well)))
    texts = [each["error"] and (each["error"]["kind"], each["error"]["message"]) for each in found.values()]
    assert [each and each[0] for each in texts] == ["host_key", "host_key", None]
    assert "the host's key is not the known one" in texts[0][1]
    assert "the host's key is not known: log in once by hand" in texts[1][1]
    assert unknown.address not in known.read_text()


@pytest.mark.parametrize("prompt", ["PasswordAuthentication yes", "KbdInteractiveAuthentication yes"])
def test_a_login_prompt_is_not_waited_for(fleet: Fleet, puller: Program, prompt: str) -> None:
    """A host that wants a password fails at once, and says what to do."""
    host = fleet.hosts[0]
    host.kill_sshd()
    host.start_sshd(prompt, "UsePAM yes", "AuthorizedKeysFile none")
    kind, message = reason(puller, host.url)
    assert kind == "login_denied"
    assert f"ssh-copy-id -p 22 root@{host.address}" in message


def test_a_host_that_forbids_forwards_is_told(fleet: Fleet, puller: Program) -> None:
    """The setting of sshd is named, although sshd says the same as when no engine runs."""
    host = fleet.hosts[0]
    host.kill_sshd()
    host.start_sshd("AllowStreamLocalForwarding no")
    kind, message = reason(puller, host.url)
    assert (kind, "AllowStreamLocalForwarding yes" in message) == ("daemon_unreachable", True)


def test_sockets_have_the_right_words(fleet: Fleet, puller: Program) -> None:
    """None there, one for a user without a shell and permission, and one at which nobody listens any more."""
    host = fleet.hosts[0]
    kind, message = reason(puller, f"ssh://root@{host.address}/none/docker.sock")
    assert (kind, "no engine's socket /none/docker.sock there" in message) == ("daemon_unreachable", True)
    closed = fleet.folder / "closed.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(closed))
    closed.chmod(0o600)  # and not removed when it is closed
    kind, message = reason(puller, f"ssh://nobody@{host.address}{closed}")
    assert (kind, "usermod -aG docker" in message) == ("daemon_unreachable", True)
    kind, message = reason(puller, f"ssh://root@{host.address}{closed}")
    assert (kind, "nothing answers at the engine's socket" in message) == ("daemon_unreachable", True)


def test_addresses_have_the_right_words(fleet: Fleet, puller: Program) -> None:
    """A closed port, an unknown name, a misspelt context, and TCP that anybody could read."""
    host = fleet.hosts[0]
    assert reason(puller, f"ssh://root@{host.address}:2")[1].startswith("ssh: no sshd answers at the port")
    assert reason(puller, "ssh://nosuch.invalid")[1].startswith("ssh: the name nosuch.invalid is unknown")
    assert reason(puller, "context:typo")[0] == "context_not_found"
    assert reason(puller, f"tcp://{host.address}:2375")[0] == "tls_config"


def test_what_looks_like_an_option_is_refused_before_anything_is_asked(fleet: Fleet, puller: Program) -> None:
    """The other hosts of the list are not asked either."""
    before = fleet.hosts[0].logins
    run = puller.run("fleet", "check", "--host", fleet.hosts[0].url, "--host=-oProxyCommand=touch x")
    assert (run.code, fleet.hosts[0].logins) == (2, before)
    assert "begins like an option of ssh" in run.stderr


def test_a_host_that_never_answers_is_given_up(fleet: Fleet, tmp_path: Path) -> None:
    """By ssh's own time limit, and the others are described."""
    puller = Program(tmp_path, environment(fleet, fleet.ssh("-o", "ConnectTimeout=2")))
    with silent(f"{fleet.prefix}.1") as port:
        found = check(puller, f"ssh://root@{fleet.prefix}.1:{port}", fleet.hosts[0].url)
    first, second = found.values()
    assert (first["error"]["kind"], second["status"]) == ("host_unreachable", "reached")
    assert "does not answer in time" in first["error"]["message"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_can_be_ended_while_an_engine_is_silent(
    fleet: Fleet, puller: Program, number: signal.Signals, code: int
) -> None:
    """The forward is open, and ends with puller; Ctrl-C is not kept waiting for the engine."""
    path = fleet.folder / "silent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        process = puller.start("fleet", "check", "--host", f"ssh://root@{fleet.hosts[0].address}{path}")
        with server.accept()[0]:
            process.send_signal(number)
            began = time.monotonic()
            _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    assert time.monotonic() - began < SECONDS, "it waited for the engine"
    assert nothing_left(fleet.hosts[0].address)
    path.unlink()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_run_that_is_ended(fleet: Fleet, puller: Program, number: signal.Signals) -> None:
    """No ssh goes on; the directory of a killed run is removed by the next one."""
    host = fleet.hosts[0]
    with silent(f"{fleet.prefix}.1") as port:
        process = puller.start("fleet", "check", "--host", f"ssh://root@{fleet.prefix}.1:{port}")
        assert wait_until(lambda: bool(ssh_processes(f"{fleet.prefix}.1")), PATIENCE)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE)
        assert nothing_left(f"{fleet.prefix}.1")
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), stderr
    left = sockets(puller)
    assert bool(left) == (number == signal.SIGKILL)
    for folder in left:
        assert folder.stat().st_mode & 0o777 == 0o700
        os.utime(folder, (time.time() - 3600,) * 2)
    check(puller, host.url, code=0)
    assert sockets(puller) == []
