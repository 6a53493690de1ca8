"""Engine 29, as it was recorded: one queue of downloads over all pulls, and platforms in the list of images only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HOST_PLATFORM, Proxy, Registry, layer, push_attested, push_image, push_index
from tests.lab.engine29 import Engine29
from tests.lab.program import Program, Run

IMAGES = 8
RATE = 500_000
OTHER = "linux/s390x"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Start one registry for all tests here."""
    with Registry() as registry:
        yield registry


def run(engine: Engine29, folder: Path, verb: str, *arguments: str) -> Run:
    """Run a verb on the engine."""
    environment = {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder / "docker"), "HOME": str(folder)}
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    return Program(folder, environment).run(verb, "--backend", "api", "--format", "json", *arguments)


def named(*references: str) -> list[str]:
    """Name images on the command line."""
    return [word for each in references for word in ("--image", each)]


def test_images_in_the_queue_of_the_engine_are_not_stalled(tmp_path: Path, registry: Registry) -> None:
    """Most of them are silent for longer than the stall limit, and none is tried twice."""
    images = [push_image(registry, f"queue/app{number}", layers=[layer(number, 600_000)]) for number in range(IMAGES)]
    with Engine29(tmp_path, downloads=1, rate=RATE) as engine:
        each = (image.reference for image in images)
        ended = run(engine, tmp_path, "pull", "-j8", "--per-registry", "8", "--stall-timeout", "6s", *named(*each))
    assert [(image["status"], image["attempts"]) for image in ended.images] == [("pulled", 1)] * IMAGES
    longest = max(ended.images, key=lambda image: float(image["seconds"]))
    assert float(longest["seconds"]) > 6
    assert "queued" in [phase["phase"] for phase in longest["tries"][0]["phases"]]


def test_a_queue_that_does_not_move_is_stalled(tmp_path: Path, registry: Registry) -> None:
    """Nobody fetches anything, so waiting is no explanation."""
    images = [push_image(registry, f"stall/app{number}") for number in range(2)]
    with Engine29(tmp_path, downloads=1) as engine:
        engine.slots.acquire()
        once = ("--stall-timeout", "1s", "--retries", "0", "--no-second-pass")
        ended = run(engine, tmp_path, "pull", *once, *named(*(image.reference for image in images)))
        engine.slots.release()
    assert [image["error"]["kind"] for image in ended.images] == ["stalled"] * 2
    assert "while resolving" in ended.images[0]["error"]["message"]


@pytest.mark.skipif(HOST_PLATFORM == OTHER, reason="the other platform is this host's")
def test_the_platform_of_an_image_is_in_the_list_of_images(tmp_path: Path, registry: Registry) -> None:
    """The description of an image of another platform is empty; verify, newer and plan do not believe it."""
    index = push_index(registry, "platform/app", "v1", {name: [layer(name)] for name in (HOST_PLATFORM, OTHER)})
    image, other = named(index.reference), ("--platform", OTHER)
    with Engine29(tmp_path) as engine:
        assert run(engine, tmp_path, "pull", *other, *image).images[0]["status"] == "pulled"
        wrong = run(engine, tmp_path, "verify", *image)
        assert (wrong.code, run(engine, tmp_path, "verify", *other, *image).code) == (1, 0)
        (difference,) = wrong.report["differences"]
        assert (difference["kind"], difference["found"]) == ("other_platform", OTHER)
        assert run(engine, tmp_path, "pull", *other, *image).images[0]["status"] == "up_to_date"
        assert run(engine, tmp_path, "plan", *other, *image).images[0]["change"] == "up_to_date"
        assert run(engine, tmp_path, "plan", *image).images[0]["change"] == "would_pull"
        assert run(engine, tmp_path, "pull", *image).images[0]["status"] == "pulled"
        assert [run(engine, tmp_path, "verify", *each, *image).code for each in ((), other)] == [0, 0]


def test_an_attested_image_is_pulled(tmp_path: Path, registry: Registry) -> None:
    """The engine fetches the attestation with it; the image is what counts afterwards."""
    image = named(push_attested(registry, "attested/app").reference)
    with Engine29(tmp_path) as engine:
        assert run(engine, tmp_path, "pull", *image).images[0]["status"] == "pulled"
        assert run(engine, tmp_path, "verify", *image).code == 0
        assert run(engine, tmp_path, "pull", *image).images[0]["status"] == "up_to_date"


def test_attested_images_are_prefetched_whole(tmp_path: Path, registry: Registry) -> None:
    """The engine finds the attestations on loopback too: no image is pulled plainly, and no blob is fetched twice."""
    images = [push_attested(registry, f"prefetched/app{number}") for number in range(6)]
    with Proxy(registry) as proxy, Engine29(tmp_path) as engine:
        each = (image.at(proxy.address) for image in images)
        ended = run(engine, tmp_path, "pull", "--prefetch=always", "-v", *named(*each))
        blobs = [request.path for request in proxy.log if request.method == "GET" and "/blobs/" in request.path]
    assert [(image["status"], image["attempts"]) for image in ended.images] == [("pulled", 1)] * 6
    assert "without prefetching" not in ended.stderr
    assert len(blobs) == len(set(blobs)) > 6
