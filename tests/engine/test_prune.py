"""Pruning a real engine: only what puller brought goes, and of that only what nobody names or uses."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, PushedImage, Registry, layer, push_image, wait_until
from tests.lab.program import Run

BASE = layer("prune base", 1 << 20)
NOTHING = ("--image", "example.org/nothing/here")
"""An empty list is no list."""
QUIET = 50
"""How many looks at a disk must say the same."""


def push(registry: Registry, name: str, version: str = "", size: int = 1000) -> PushedImage:
    """Push an image of a shared layer and one of its own, with another content for each version."""
    return push_image(registry, f"prune/{name}", layers=[BASE, layer(f"prune {name} {version} {size}", size)])


def names(engine: Engine) -> set[str]:
    """Give all tags that the engine has, without the registry."""
    tags = (tag for image in engine.images() for tag in image["RepoTags"] or () if "@" not in tag)
    return {tag.partition("/")[2] if tag.startswith("127.0.0.1") else tag for tag in tags}


def identities(engine: Engine) -> set[str]:
    """Give the IDs of all images."""
    return {image["Id"] for image in engine.images()}


def images(run: Run) -> dict[str, dict[str, Any]]:
    """Give the images of a JSON document by their first name."""
    return {image["names"][0].partition("/")[2]: image for image in json.loads(run.stdout)["images"]}


@pytest.fixture
def tidy(engine: Engine) -> Iterator[Engine]:
    """Hand over the empty engine, and remove all containers in the end."""
    yield engine
    if containers := engine.cli("ps", "--all", "--quiet").stdout.split():
        engine.cli("rm", *containers).check_returncode()


def test_only_the_right_ones_go(tidy: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """A container that was only created, another tag, another's pull, a digest, a moved tag: each as it should."""
    engine = tidy
    every = {name: push(registry, name) for name in ("listed", "used", "twice", "gone", "moved", "mine")}
    pinned, theirs = push(registry, "pinned"), push(registry, "theirs")
    engine.cli("pull", theirs.reference).check_returncode()
    kept, lost = (
        f"{image.at(registry.address).rpartition(':')[0]}@{image.digest}" for image in (pinned, every["gone"])
    )
    first = puller.list(*(image.reference for image in (*every.values(), theirs)), kept, lost)
    run = puller.pull(first, "--backend", backend)
    assert run.code == 0, run.stderr
    engine.cli("create", every["used"].reference, "/none").check_returncode()
    engine.cli("tag", every["twice"].reference, "by/hand:v1").check_returncode()
    old = {name: engine.inspect(every[name].reference)["Id"] for name in ("moved", "mine", "listed", "twice")}
    moved, mine = push(registry, "moved", "new"), push(registry, "mine", "new")
    engine.cli("pull", mine.reference).check_returncode()
    assert puller.pull(puller.list(moved.reference), "--backend", backend).report["counts"]["pulled"] == 1

    listed = puller.list(every["listed"].reference, kept, name="now.txt")
    arguments = ("prune", listed, "--backend", backend)
    before = (names(engine), identities(engine))
    dry = puller.run(*arguments, "--dry-run", "--format", "json")
    assert (names(engine), identities(engine)) == before
    assert dry.code == 0, dry.stderr

    run = puller.run(*arguments, "--yes", "--format", "json")
    assert run.code == 0, run.stdout + run.stderr
    assert names(engine) == {"prune/listed:v1", "prune/used:v1", "by/hand:v1", "prune/theirs:v1", "prune/mine:v1"}
    left = identities(engine)
    assert {old["listed"], old["twice"]} < left
    assert {old["moved"], old["mine"]}.isdisjoint(left)
    assert engine.inspect(kept)
    document = json.loads(run.stdout)
    assert [image["names"] for image in json.loads(dry.stdout)["images"]] == [
        image["names"] for image in document["images"]
    ]
    assert {name: image["reason"] for name, image in images(run).items() if image["action"] == "stays"} == {
        "prune/listed:v1": "listed",
        "prune/used:v1": "in_use",
        kept.partition("/")[2]: "listed",
    }
    assert images(run)["prune/twice:v1"]["action"] == "untagged"


def free(engine: Engine) -> int:
    """Say how many bytes are free at the engine's data root."""
    seen = os.statvfs(engine.data_root)
    return seen.f_bavail * seen.f_frsize


def settled(engine: Engine) -> int:
    """Wait until the engine, which tidies up for a while, lets what is free at its data root alone; say how much."""
    seen: list[int] = []

    def rests() -> bool:
        seen.append(free(engine))
        return seen[-QUIET:] == [seen[-1]] * QUIET

    assert wait_until(rests, 10)
    return seen[-1]


def test_the_oldest_go_until_enough_is_free(small: Engine, registry: Registry, cramped: Puller, backend: str) -> None:
    """Shared layers are counted once, what is said to be freed is, and nothing goes beyond what was asked for."""
    size = 1 << 20
    three = [push(registry, f"until{number}", size=size) for number in range(3)]
    assert cramped.pull(cramped.list(*(image.reference for image in three))).code == 0
    before = settled(small)
    wanted = str(before + size // 2)
    run = cramped.run("prune", *NOTHING, "--until-free", wanted, "--yes", "--backend", backend, "--format", "json")
    assert (run.code, names(small)) == (0, {"prune/until1:v1", "prune/until2:v1"}), run.stderr
    document = json.loads(run.stdout)
    assert [image["action"] for image in document["images"]] == ["removed", "may_go", "may_go"]
    assert document["freed"] >= size
    assert abs(document["freed"] - (settled(small) - before)) <= 100_000  # the engine writes for itself, too
    assert document["freed"] <= document["images"][0]["bytes_at_most"] + 100_000  # folders have a size, too
    if small.binary.store == "graph":
        assert [image["bytes_at_most"] for image in document["images"]] == [size, size, size + (1 << 20)]


def test_the_newest_of_a_repository_stay(engine: Engine, registry: Registry, puller: Puller) -> None:
    """What a tag stood for before counts, too; a person is asked, and may say no."""
    for version in ("old", "new"):
        image = push(registry, "last", version)
        assert puller.pull("--image", image.reference).code == 0
    assert len(identities(engine)) == 2
    for answer, left in (("n", 2), ("y", 1)):
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            puller.argv("prune", *NOTHING, "--keep-last", "1"),
            env=puller.environment, stdin=theirs, capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.close(ours)
        os.close(theirs)
        assert (done.returncode, len(identities(engine))) == (0, left), done.stderr
        assert "1 image can be removed, up to" in done.stdout
    assert "removed 1 image" in done.stdout
    assert names(engine) == {"prune/last:v1"}


def test_a_pull_makes_room_and_no_more(small: Engine, registry: Registry, cramped: Puller) -> None:
    """What would not fit does, once the oldest that the list does not name has gone."""
    unit = (1 << 20) // (2 if small.binary.store == "containerd" else 1)
    three = [push_image(registry, f"prune/room{n}", layers=[layer(f"prune room{n}", 2 * unit)]) for n in range(3)]
    big = push_image(registry, "prune/big", layers=[layer("prune big", 3 << 20)])
    with (small.data_root / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, free(small) - (11 << 20))
    assert cramped.pull(cramped.list(*(image.reference for image in three)), "-j", "1").code == 0
    now = cramped.list(big.reference, three[0].reference)
    run = cramped.pull(now, "--make-room")
    assert run.code == 0, run.stderr
    assert names(small) == {"prune/big:v1", "prune/room0:v1", "prune/room2:v1"}
    assert "puller: removed" in run.stderr
    assert "prune/room1:v1, to make room" in run.stderr
    (small.data_root / "ballast").unlink()
