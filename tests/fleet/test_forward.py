"""The road to a host: one login for all that is asked, opened again when it ends, and gone at the end."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import EngineError
from puller.model import PullRequest
from puller.settings import Timeouts
from tests.fleet.conftest import Open
from tests.lab import layer, push_image, wait_until
from tests.lab.fleet import Fleet, cannot_shape, nothing_left, ssh_processes
from tests.lab.samples import request

PATIENCE = 30.0


def pull(engine: Engine, wanted: PullRequest) -> str | None:
    """Pull an image and return its digest."""
    return engine.pull(wanted, cancel=Cancellation(), clocks=Timeouts(), progress=lambda _: None).digest


def reason(engine: Engine, wanted: PullRequest) -> str:
    """Try to pull, and return why that fails."""
    with pytest.raises(EngineError) as caught:
        pull(engine, wanted)
    return caught.value.message


def test_many_pulls_at_once_share_one_login(fleet: Fleet, open_: Open) -> None:
    """Twenty images come over one login, which starts no program on the host, and nothing is left of it."""
    host = fleet.hosts[0]
    images = [push_image(fleet.registry, f"forward/app{number}") for number in range(20)]
    logins, sessions = host.logins, host.sessions
    with open_(host) as engine, ThreadPoolExecutor(20) as pool:
        assert not engine.store.facts().local
        digests = [*pool.map(lambda image: pull(engine, request(image.reference)), images)]
        assert len(ssh_processes(host.address)) == 1
    assert digests == [image.digest for image in images]
    assert (host.logins - logins, host.sessions - sessions) == (1, 0)
    assert nothing_left(host.address)


def test_a_killed_ssh_is_started_again(fleet: Fleet, open_: Open) -> None:
    """The engine answers again by itself; in between an error says why it does not."""
    host = fleet.hosts[1]
    image = push_image(fleet.registry, "forward/again")
    with open_(host) as engine:
        (pid,) = ssh_processes(host.address)
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: ssh_processes(host.address) not in ([], [pid]), PATIENCE)
        assert wait_until(engine.alive, PATIENCE)
        assert pull(engine, request(image.reference)) == image.digest
    assert nothing_left(host.address)


def test_a_killed_sshd_is_waited_for(fleet: Fleet, open_: Open) -> None:
    """While the host is away, pulls fail with ssh's reason; when it is back, they succeed."""
    host = fleet.hosts[1]
    image = push_image(fleet.registry, "forward/sshd")
    with open_(host) as engine:
        host.kill_sshd()
        assert wait_until(lambda: not engine.alive(), PATIENCE)

        wanted = request(image.reference)
        assert wait_until(lambda: "no sshd answers at the port" in reason(engine, wanted), PATIENCE)
        host.start_sshd()
        assert wait_until(engine.alive, PATIENCE)
        assert pull(engine, request(image.reference)) == image.digest


def test_a_link_that_was_cut_is_noticed_and_opened_again(fleet: Fleet, open_: Open) -> None:
    """A connection over which nothing comes ends, although nobody closed it."""
    host = fleet.hosts[2]
    with open_(host) as engine:
        before = ssh_processes(host.address)
        host.set_link(up=False)
        assert wait_until(lambda: ssh_processes(host.address) != before, PATIENCE)
        host.set_link(up=True)
        assert wait_until(engine.alive, PATIENCE)


def test_a_slow_link_is_slow_for_pulls(fleet: Fleet, open_: Open) -> None:
    """The laboratory can shape links: what a host receives went through the bucket."""
    if why := cannot_shape():
        pytest.skip(why)
    host = fleet.hosts[3]
    image = push_image(fleet.registry, "forward/slow", layers=[layer("slow", size=300_000)])
    host.shape("50mbit")
    try:
        with open_(host) as engine:
            assert pull(engine, request(image.reference)) == image.digest
        sent = subprocess.run(["tc", "-s", "qdisc"], capture_output=True, text=True, check=True).stdout
        assert "tbf" in sent
    finally:
        host.unshape()


def test_a_key_that_changed_meanwhile_ends_the_forward(fleet: Fleet, open_: Open) -> None:
    """Another host with the same address gets no login, and ssh is not started again and again."""
    host = fleet.hosts[2]
    with open_(host) as engine:
        host.kill_sshd()
        host.renew_key()
        host.start_sshd()
        nowhere = request(f"{fleet.registry_address}/forward/none")
        assert wait_until(lambda: "the host's key is not the known one" in reason(engine, nowhere), PATIENCE)
        assert nothing_left(host.address, PATIENCE)
        time.sleep(1)
        assert ssh_processes(host.address) == []
