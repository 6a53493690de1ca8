"""`puller fleet pull --feed`: hosts without a route to the registry get every image from this machine."""

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import environment
from tests.fleet.test_pull import pull
from tests.lab import Registry, layer, wait_until
from tests.lab.fleet import Fleet, nothing_left, ssh_processes
from tests.lab.images import family, push_image
from tests.lab.program import Program, Run

_BLOB = re.compile(r'"GET /v2/\S+/blobs/(sha256:[0-9a-f]{64})\S* HTTP/1\.1" 20')


@pytest.fixture
def far(fleet: Fleet) -> Iterator[Registry]:
    """Start a registry that this machine reaches and no host does."""
    with fleet.hidden_registry() as registry:
        yield registry


@pytest.fixture
def puller(fleet: Fleet, far: Registry, tmp_path: Path) -> Program:
    """Run puller with the fleet's key, a cache of its own, and the word that this registry has no TLS."""
    for host in fleet.hosts:
        host.engine.wipe()
    program = Program(tmp_path, {**environment(fleet, fleet.ssh()), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    config = tmp_path / "puller.toml"
    config.write_text(f'[registry."{far.address}"]\ninsecure = true\n')
    program.environment["PULLER_CONFIG"] = str(config)
    return program


def listed(fleet: Fleet, folder: Path, number: int = 4) -> str:
    """Write a file of the first hosts."""
    path = folder / "hosts.txt"
    path.write_text("".join(f"{host.url} name={host.name}\n" for host in fleet.hosts[:number]))
    return str(path)


def asked(registry: Registry) -> list[str]:
    """Return the digest of each blob that was fetched, by the registry's own log."""
    return _BLOB.findall(registry.log.read_text())


def test_hosts_without_a_route_have_every_image_and_each_blob_is_asked_for_once(
    fleet: Fleet, far: Registry, puller: Program
) -> None:
    """The tags have the right images, no name of loopback and no ssh is left, and outcomes say what is not recorded."""
    pushed = family(far, 6, prefix="fed/app")
    images = puller.list(*(image.reference for image in pushed))
    run = pull(puller, listed(fleet, puller.folder), images, "--feed")
    assert (run.code, run.report["counts"]["pulled"]) == (0, 24), run.stderr
    assert [image["digest"] for image in run.images] == [image.digest for image in pushed] * 4
    blobs = asked(far)
    assert len(blobs) == len(set(blobs)) > 6
    for host in fleet.hosts:
        there = [host.engine.inspect(image.reference)["Id"] for image in pushed]
        assert there in ([image.config_digest for image in pushed], [image.digest for image in pushed])
        assert not [each for each in host.engine.images() if "127.0.0.1" in str(each)]
        assert nothing_left(host.address)
    again = pull(puller, listed(fleet, puller.folder), images, "--feed")
    assert (again.code, again.report["counts"]["up_to_date"], asked(far)) == (0, 24, blobs), again.stderr
    # The containerd store has the digest from the tag.
    known = fleet.hosts[0].engine.inspect(pushed[0].reference)["RepoDigests"]
    assert known or "the engine records no digest of the registry" in run.images[0]["warning"]
    assert not (known and run.images[0]["warning"])


def test_a_host_with_a_route_knows_the_digests_of_the_registry(fleet: Fleet, puller: Program) -> None:
    """Its layers came from this machine, its names are as after a plain pull: the next run has nothing to do."""
    image = push_image(fleet.registry, "fed/near")
    config = Path(puller.environment["PULLER_CONFIG"])
    config.write_text(config.read_text() + f'[registry."{fleet.registry_address}"]\ninsecure = true\n')
    before = len(asked(fleet.registry))
    hosts = listed(fleet, puller.folder, 2)
    run = pull(puller, hosts, "--feed", "--image", image.reference)
    assert (run.code, [each["warning"] for each in run.images]) == (0, [None, None]), run.stderr
    blobs = asked(fleet.registry)[before:]
    assert len(blobs) == len(set(blobs)) > 1
    for host in fleet.hosts[:2]:
        name = image.reference.rpartition(":")[0]
        assert host.engine.inspect(image.reference)["RepoDigests"] == [f"{name}@{image.digest}"]
    again = pull(puller, hosts, "--feed", "--image", image.reference)
    assert (again.code, again.report["counts"]["up_to_date"]) == (0, 2), again.stderr


def test_what_cannot_be_fed_is_told_with_both_reasons(fleet: Fleet, far: Registry, puller: Program) -> None:
    """A host whose sshd forbids the way back is named with what to change there; the other host has the image.

    A digest without a tag, and an image that does not exist, fail with a reason of their own.
    """
    image = push_image(far, "fed/odd")
    forbids = fleet.hosts[1]
    forbids.kill_sshd()
    forbids.start_sshd("AllowTcpForwarding local")
    hosts = listed(fleet, puller.folder, 2)
    run = pull(puller, hosts, "--feed", "--retries", "0", "--no-second-pass", "--image", image.reference)
    assert run.code in (1, 75), run.stderr
    assert [each["status"] for each in run.images] == ["pulled", "failed"]
    assert "sshd forbids forwards from there to here" in run.images[1]["error"]["message"]
    forbids.kill_sshd()
    forbids.start_sshd()
    other = push_image(far, "fed/pinned")
    missing, pinned = f"{far.address}/fed/none:1", f"{far.address}/fed/pinned@{other.digest}"
    run = pull(puller, hosts, "--feed", "--retries", "0", "--image", missing, "--image", pinned)
    assert run.code == 1, run.stderr
    first, second = [each["error"] for each in run.images[:2]]
    assert (first["kind"], "add one to the list" in second["message"]) == ("not_found", True), run.images[:2]


def test_a_forward_that_is_killed_is_opened_again(fleet: Fleet, far: Registry, puller: Program) -> None:
    """Pulls in flight are tried again, by the new port, and nothing is fetched from the registry a second time."""
    host = fleet.hosts[2]
    pushed = [push_image(far, f"fed/cut{at}", layers=[layer(f"cut {at}", size=400_000)]) for at in range(3)]
    images, runs = puller.list(*(image.reference for image in pushed)), list[Run]()
    hosts = puller.folder / "one.txt"
    hosts.write_text(f"{host.url} name=one\n")
    host.shape("2mbit")
    try:
        thread = threading.Thread(target=lambda: runs.append(pull(puller, str(hosts), images, "--feed")))
        thread.start()
        assert wait_until(lambda: bool(asked(far)) and len(ssh_processes("127.0.0.1:0:")) == 1, 30)
        (pid,) = ssh_processes("127.0.0.1:0:")
        os.kill(pid, signal.SIGKILL)
        thread.join()
    finally:
        host.unshape()
    (run,) = runs
    assert (run.code, run.report["counts"]["pulled"]) == (0, 3), run.stderr
    assert max(image["attempts"] for image in run.images) > 1
    blobs = asked(far)
    assert len(blobs) == len(set(blobs))
    assert nothing_left(host.address)


def test_a_link_that_is_cut_in_a_layer_and_comes_back_costs_nothing(
    fleet: Fleet, far: Registry, puller: Program
) -> None:
    """Both connections of the host end and are opened again: all hosts have every image, nothing is left there."""
    puller.environment |= environment(fleet, fleet.ssh("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"))
    large = layer("cut/back", size=600_000)
    pushed = [push_image(far, f"fed/back{at}", layers=[large, layer(f"back {at}")]) for at in range(2)]
    images, runs, host = puller.list(*(image.reference for image in pushed)), list[Run](), fleet.hosts[1]
    hosts = listed(fleet, puller.folder)
    thread = threading.Thread(target=lambda: runs.append(pull(puller, hosts, images, "--feed")))
    host.shape("1mbit")
    try:
        thread.start()
        assert wait_until(lambda: large.digest in asked(far), 60)
        begun = host.received
        assert wait_until(lambda: host.received - begun > len(large.data) // 4, 60)
        before = ssh_processes(host.address)
        assert len(before) == 2
        host.set_link(up=False)
        assert wait_until(lambda: not {*before}.intersection(ssh_processes(host.address)), 60)
    finally:
        host.unshape()
        host.set_link(up=True)
        thread.join()
    (run,) = runs
    assert (run.code, run.report["counts"]["pulled"]) == (0, 8), run.stderr
    assert max(image["attempts"] for image in run.images if image["host"] == host.name) > 1
    blobs = asked(far)
    assert len(blobs) == len(set(blobs))
    assert nothing_left(host.address)
    assert not [each for each in host.engine.images() if "127.0.0.1" in str(each)]
