"""Pulls into the engines of several hosts: two real engines with different stores stand for two hosts."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Proxy, Registry, Rule, family, faults, layer, push_image, unpacked
from tests.lab.fakes import FakeEngine
from tests.lab.program import Run


@pytest.fixture(scope="module")
def second_engine() -> Iterator[Engine]:
    """Start an engine of a newer release, with the containerd store."""
    with Engine(unpacked()) as engine:
        yield engine


@pytest.fixture
def second(second_engine: Engine) -> Engine:
    """Hand over the second engine, empty."""
    second_engine.wipe()
    return second_engine


class Hosts:
    """A file of hosts, and puller on it."""

    def __init__(self, puller: Puller, **urls: str) -> None:
        self.puller, self.file = puller, puller.folder / "hosts.txt"
        self.file.write_text("".join(f"{url} name={name}\n" for name, url in urls.items()))

    def pull(self, *arguments: str) -> Run:
        """Run `puller fleet pull` with a JSON report on standard output."""
        return self.puller.run("fleet", "pull", "--format", "json", "--hosts", str(self.file), *arguments)


def states(run: Run) -> dict[str, Any]:
    """Return the state of each host."""
    return {host["name"]: host["state"] for host in run.report["fleet"]["hosts"]}


def test_every_host_has_every_image_within_the_limit_of_the_registry(
    engine: Engine, second: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """Same digests on both, each tag asked once, and by the log of the registry never more than two images at once."""
    pushed = family(registry, 8, prefix="fleet/app")
    proxy.use(Rule("/blobs/", faults.delay(0.2)))
    images = puller.list(*(image.at(proxy.address) for image in pushed))
    hosts = Hosts(puller, one=engine.host, two=second.host)

    run = hosts.pull(images, "--registry-limit", f"{proxy.address}=2")
    assert (run.code, run.report["counts"]["pulled"]) == (0, 16), run.stderr
    assert states(run) == {"one": "done", "two": "done"}
    digests = [image.digest for image in pushed]
    assert [image["digest"] for image in run.images] == [*digests, *digests]
    assert [image["host"] for image in run.images] == ["one"] * 8 + ["two"] * 8
    for each in (engine, second):
        for image in pushed:
            name = f"{proxy.address}/{image.repository}"
            described = each.inspect(f"{name}:{image.tag}")
            assert f"{name}@{image.digest}" in described["RepoDigests"]
    assert proxy.max_in_flight(r"/v2/(.+)/blobs/") == 2
    assert proxy.count(path="/manifests/v1$") == 8

    proxy.forget()
    again = hosts.pull(images)
    assert (again.code, again.report["counts"]["up_to_date"]) == (0, 16), again.stderr
    assert proxy.count(path="/manifests/") == 8


def test_a_tag_that_moves_during_the_run_is_the_same_on_all_hosts(
    engine: Engine, second: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """The tag gets another image while the canary pulls: the second host has the first image under the tag, too."""
    old, release = push_image(registry, "moves/app", layers=[layer("old")]), threading.Event()
    proxy.use(Rule("/blobs/", faults.hold(release)))
    hosts, runs = Hosts(puller, one=engine.host, two=second.host), list[Run]()
    thread = threading.Thread(target=lambda: runs.append(hosts.pull("--image", old.at(proxy.address), "--canary", "1")))
    thread.start()
    proxy.wait_for(path="/blobs/")
    new = push_image(registry, "moves/app", layers=[layer("new")])
    release.set()
    thread.join()

    (run,) = runs
    assert run.code == 0, run.stderr
    assert old.digest != new.digest
    assert [image["digest"] for image in run.images] == [old.digest, old.digest]
    for each in (engine, second):
        assert any(old.digest in name for name in each.inspect(old.at(proxy.address))["RepoDigests"])


def test_a_failed_canary_touches_no_other_host(
    engine: Engine, registry: Registry, puller: Puller, tmp_path: Path
) -> None:
    """The other host's engine was asked for nothing, not even whether it is there."""
    with FakeEngine(tmp_path, {}) as other:
        hosts = Hosts(puller, one=engine.host, two=other.host)
        run = hosts.pull("--image", f"{registry.address}/no/such:v1", "--canary", "1")
        assert not other.asked
    assert run.code == 4, run.stderr
    assert states(run) == {"one": "failed", "two": "not_started"}
    assert "halted: the canary one failed; 1 host not started" in run.stderr


def test_unreachable_hosts_are_a_file_for_the_next_run(
    engine: Engine, second: Engine, registry: Registry, puller: Puller
) -> None:
    """The one that was down gets its images with that file, and the other is left alone."""
    image = push_image(registry, "later/app").reference
    later, socket = puller.folder / "later.txt", puller.folder / "gone.sock"
    hosts = Hosts(puller, one=engine.host, gone=f"unix://{socket}")
    run = hosts.pull("--image", image, "--unreachable", str(later))
    assert (run.code, states(run)) == (3, {"one": "done", "gone": "unreachable"}), run.stderr

    socket.symlink_to(second.socket)
    hosts.file = later
    again = hosts.pull("--image", image)
    assert (again.code, states(again)) == (0, {"gone": "done"}), again.stderr
    assert len(second.images()) == 1


def test_a_few_hosts_without_a_file(engine: Engine, second: Engine, registry: Registry, puller: Puller) -> None:
    """`puller pull --host URL --host URL`."""
    image = push_image(registry, "few/app").reference
    run = puller.pull("--image", image, "--host", engine.host, "--host", second.host)
    assert (run.code, run.report["run"]["hosts"]) == (0, 2), run.stderr
    assert len(engine.images()) == len(second.images()) == 1


def test_an_engine_that_is_killed_is_unreachable_and_the_other_host_goes_on(
    second: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """The first engine goes while it pulls; the second has all images."""
    pushed, release = family(registry, 3, prefix="killed/app"), threading.Event()
    proxy.use(Rule("/blobs/", faults.hold(release)))
    images, runs = puller.list(*(image.at(proxy.address) for image in pushed)), list[Run]()
    with Engine() as doomed:
        hosts = Hosts(puller, one=doomed.host, two=second.host)
        thread = threading.Thread(target=lambda: runs.append(hosts.pull(images, "--engine-wait", "1s")))
        thread.start()
        proxy.wait_for(path="/blobs/", count=2)
        doomed.kill()
        release.set()
        thread.join()
    (run,) = runs
    assert (run.code, states(run)) == (3, {"one": "unreachable", "two": "done"}), run.stderr
