"""Prefetching in front of a real engine: it ends as it does after a plain pull, and fetches nothing twice."""

import json
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Puller
from tests.lab import (
    HOST_PLATFORM,
    Engine,
    Layer,
    Proxy,
    PushedImage,
    Registry,
    faults,
    layer,
    push_image,
    push_index,
)
from tests.lab.exchange import Exchange
from tests.lab.faults import Rule
from tests.lab.process import wait_until
from tests.lab.program import Run
from tests.lab.seclusion import secluded

BLOBS = "/blobs/"
BIG = 6 << 20
OF_THE_PULL = {"Metadata", "GraphDriver"}
"""What no two pulls have in common: the moment of the pull, and where the engine has put it."""


@pytest.mark.parametrize("kind", ["oci", "archive"])
def test_images_travel_in_files(engine: Engine, registry: Registry, puller: Puller, kind: str) -> None:
    """Without an engine into a folder or a file, from there into one: the same images, names and, where kept, digests.

    The archive is one that `docker load` takes.
    """
    stack = [layer("files-base", 50_000)]
    image = push_image(registry, "files/app", "v1", [*stack, layer("files-own")])
    platforms = {HOST_PLATFORM: stack, "linux/s390x": [layer("files-other")]}
    index = push_index(registry, "files/many", "v2", platforms, attested=True)
    listed, target = puller.list(image.reference, index.reference), puller.folder / "images"
    nowhere = {"DOCKER_HOST": "unix:///nowhere"}
    run = puller.pull("--to", f"{kind}:{target}", listed, environment=nowhere)
    assert (run.code, [each["digest"] for each in run.images]) == (0, [image.digest, index.digest])
    loaded = puller.run("load", "--format", "json", str(target))
    assert (loaded.code, [each["status"] for each in loaded.images]) == (0, ["pulled", "pulled"])
    keeps_digests = engine.binary.store == "containerd"
    for pushed in (image, index):
        held = engine.inspect(pushed.reference)
        name = pushed.reference.rpartition(":")[0]
        assert held["RepoTags"] == [pushed.reference]
        assert held["RepoDigests"] == ([f"{name}@{pushed.digest}"] if keeps_digests else [])
    assert engine.inspect(image.reference)["RootFS"]["Layers"] == [each.diff_id for each in image.layers]
    if kind == "archive":
        engine.wipe()
        assert engine.cli("load", "-i", str(target)).returncode == 0
        assert engine.inspect(image.reference)["RootFS"]["Layers"] == [each.diff_id for each in image.layers]


@pytest.mark.parametrize("damaged", ["manifest", "config", "layer"])
def test_damaged_files_fail_for_good(engine: Engine, registry: Registry, puller: Puller, damaged: str) -> None:
    """The engine finds it, and no other attempt or run is advised: the files do not change."""
    image = push_image(registry, "files/damaged", "v1", [layer("files-damaged")])
    target = puller.folder / "images"
    nowhere = {"DOCKER_HOST": "unix:///nowhere"}
    assert puller.pull("--to", f"oci:{target}", puller.list(image.reference), environment=nowhere).code == 0
    digest = {"manifest": image.digest, "config": image.config_digest, "layer": image.layers[0].digest}[damaged]
    path = target / "blobs" / digest.replace(":", "/")
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    run = puller.run("load", "--format", "json", str(target))
    (loaded,) = run.images
    assert (run.code, loaded["status"], loaded["attempts"]) == (1, "failed", 1), loaded
    assert loaded["error"]["class"] == "permanent"


def test_a_folder_keeps_what_several_platforms_and_mirrors_are_called(
    registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """One name stands for all platforms of it, and what came from a mirror has the name that was asked for, too."""
    platforms = {HOST_PLATFORM: [layer("files-host")], "linux/s390x": [layer("files-s390x")]}
    index = push_index(registry, "files/both", "v1", platforms)
    image = push_image(registry, "files/mirrored", "v1", [layer("files-mirrored")])
    listed = puller.list(
        *(f"--platform={platform} {index.reference}" for platform in platforms), image.at(proxy.address)
    )
    target = puller.folder / "images"
    mirror = f"--mirror={proxy.address}={registry.address}"
    run = puller.pull("--to", f"oci:{target}", mirror, listed)
    assert (run.code, [each["status"] for each in run.images]) == (0, 3 * ["pulled"])
    names = [
        entry["annotations"]["io.containerd.image.name"]
        for entry in json.loads((target / "index.json").read_text())["manifests"]
    ]
    assert names.count(index.reference) == 1
    assert names.count(image.at(proxy.address)) == 1
    for (layer_of_platform,) in platforms.values():
        assert (target / "blobs" / layer_of_platform.digest.replace(":", "/")).is_file()


def described(engine: Engine, reference: str) -> dict[str, Any]:
    """Say what the engine shows of an image, without what differs between any two pulls of it."""
    image = engine.inspect(reference)
    image["Metadata"] = {"LastTagTime": image.get("Metadata", {}).get("LastTagTime", "")[:4]}
    return {key: value for key, value in image.items() if key != "GraphDriver"}


def test_the_engine_ends_as_after_a_plain_pull(
    engine: Engine, registry: Registry, puller: Puller, backend: str
) -> None:
    """Field by field, for an image, an index and a digest; no name of ours is left, and a second run finds all."""
    stack = [layer("prefetch-base", 100_000)]
    images = [
        push_image(registry, "prefetch/same", "one", [*stack, layer("prefetch-own")]).reference,
        push_index(
            registry, "prefetch/same", "many", {"linux/amd64": stack, "linux/arm64": []}, attested=True
        ).reference,
    ]
    pinned = push_image(registry, "prefetch/pinned", "", [*stack, layer("prefetch-pin")]).reference
    listed = puller.list(*images, pinned)
    assert puller.pull("--backend", backend, listed).code == 0
    plain, held = [described(engine, name) for name in (*images, pinned)], engine.images()
    engine.wipe()
    run = puller.pull("--backend", backend, "--prefetch", listed)
    assert (run.code, notes(run)) == (0, [])
    assert [image["status"] for image in run.images] == ["pulled"] * 3
    assert [described(engine, name) for name in (*images, pinned)] == plain
    assert {tuple(each["RepoDigests"]) for each in engine.images()} == {tuple(each["RepoDigests"]) for each in held}
    again = puller.pull("--backend", backend, "--prefetch", listed)
    assert [image["status"] for image in again.images] == ["up_to_date"] * 3


def test_what_was_fetched_is_not_fetched_again_after_sigkill(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """A run that is killed in the middle of a large layer leaves nearly all of what it had to the next run."""
    image = push_image(registry, "prefetch/killed", layers=[layer("prefetch-killed", BIG)])
    proxy.use(Rule(BLOBS + image.layers[0].digest, faults.stall(1 << 20, 60), times=2))
    listed = puller.list(image.at(proxy.address))
    process = puller.start_pull("--prefetch", listed)
    try:
        assert wait_until(lambda: on_disk(puller) >= 2 << 20, 120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    proxy.use()
    run = puller.pull("--prefetch", listed)
    assert (run.code, notes(run)) == (0, [])
    whole = len(image.layers[0].data)
    assert proxy.sent("GET", BLOBS + image.layers[0].digest) < whole * 1.05


def hang_for_engines(exchange: Exchange) -> None:
    """Serve puller, and keep an engine waiting."""
    if exchange.headers.get("User-Agent", "").startswith("puller"):
        exchange.forward()
    else:
        exchange.pause(60)


@pytest.mark.parametrize("later", ["pull", "prune"])
def test_names_that_a_killed_run_left_are_removed_by_a_later_one(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, later: str
) -> None:
    """A run that is killed between the pull from loopback and the next one leaves a name, but only until then."""

    def names() -> list[str]:
        return [name for each in engine.images() for name in each["RepoDigests"] or () if "/n0@" in name]

    image = push_image(registry, "prefetch/left", "v1", [layer("prefetch-left")])
    other = push_image(registry, "prefetch/left-other", "v1", [layer("prefetch-left-other")])
    proxy.use(Rule("/v2/", hang_for_engines))
    process = puller.start_pull("--prefetch", puller.list(image.at(proxy.address)))
    try:
        assert wait_until(lambda: bool(names()), 120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert names()
    listed = puller.list(other.reference)
    assert (puller.pull(listed) if later == "pull" else puller.run("prune", "--yes", listed)).code == 0
    assert wait_until(lambda: not names(), 60)


def test_layers_that_a_killed_run_left_under_a_name_on_loopback_are_used(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """The next run pulls the image by its own name before it removes the other one, and no layer comes twice."""
    image = push_image(registry, "prefetch/half", "v1", [layer("prefetch-half", 500_000)])
    proxy.use(Rule("/v2/", hang_for_engines))
    listed = puller.list(image.at(proxy.address))
    process = puller.start_pull("--prefetch=always", listed)
    try:
        assert wait_until(lambda: any("/n0@" in name for each in engine.images() for name in each["RepoDigests"]), 120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    proxy.use()
    proxy.forget()
    assert puller.pull("--prefetch=never", listed).code == 0
    assert proxy.count("GET", BLOBS + image.layers[0].digest) == 0
    assert [each["RepoTags"] for each in engine.images()] == [[image.at(proxy.address)]]
    assert not any("/n0@" in name for each in engine.images() for name in each["RepoDigests"])


def slow_for_engines(exchange: Exchange) -> None:
    """Serve puller at once, and an engine little by little."""
    if exchange.headers.get("User-Agent", "").startswith("puller"):
        exchange.forward()
    else:
        faults.drip(300_000, 16 << 10)(exchange)


def test_auto_steps_in_where_the_engine_waits_for_the_wire(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """What the engine has begun is broken off and fetched by puller, and the image is there as after a plain pull."""
    image = push_image(registry, "prefetch/auto", backend, [layer(f"prefetch-auto-{backend}", BIG)])
    small = push_image(registry, "prefetch/auto-small")
    proxy.use(Rule(BLOBS + image.layers[0].digest, slow_for_engines))
    listed = puller.list(small.reference, image.at(proxy.address))
    run = puller.pull("--prefetch=auto", "--backend", backend, listed)
    assert (run.code, notes(run)) == (0, [])
    assert [(each["status"], each["digest"]) for each in run.images] == [
        ("pulled", small.digest),
        ("pulled", image.digest),
    ]
    asked = [each for each in proxy.log if each.path.endswith(image.layers[0].digest)]
    by_us = sum(each.sent for each in asked if (each.header("User-Agent") or "").startswith("puller"))
    assert by_us == len(image.layers[0].data)
    fed = engine.inspect(image.at(proxy.address))
    assert [name for name in fed["RepoDigests"] if not name.startswith(f"{proxy.address}/prefetch/auto@")] == []


def small_buffer(exchange: Exchange) -> None:
    """Forward with little in the kernel of the sender, so that nearly all that was sent has crossed the wire."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
    exchange.forward()


def test_a_limited_bandwidth_is_not_lent_to_the_kernel(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """Bytes beyond the limit stay at the registry, where a run that is killed does not lose them."""
    image = push_image(registry, "prefetch/throttled", layers=[layer("prefetch-throttled", 3 * BIG)])
    proxy.use(Rule(BLOBS + image.layers[0].digest, small_buffer))
    options = ("--prefetch", "--bandwidth", "1MB/s", "--connections", "4")
    process = puller.start_pull(*options, puller.list(image.at(proxy.address)))
    try:
        assert wait_until(lambda: on_disk(puller) >= 1 << 20, 120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    lent = proxy.sent("GET", BLOBS + image.layers[0].digest) - on_disk(puller)
    assert lent < 4_000_000  # for each connection a piece in memory, and what its kernel takes in; the layer has 19 MB


def test_a_bad_blob_in_the_cache_is_fetched_again(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """Whatever happened to files of the cache, corrupted, cut short or swapped: the image that comes of it is right."""
    image = push_image(registry, "prefetch/bad", layers=[layer(f"prefetch-bad-{n}", 50_000) for n in range(4)])
    listed = puller.list(image.at(proxy.address))
    assert puller.pull("--prefetch", listed).code == 0
    blobs = [cached(puller, each) for each in image.layers]
    good = [blob.read_bytes() for blob in blobs]
    for blob, bad in zip(blobs, [b"x" + good[0][1:], good[1][:-1], good[0]], strict=False):
        blob.write_bytes(bad)
    engine.wipe()
    proxy.forget()
    assert puller.pull("--prefetch", listed).code == 0
    assert [blob.read_bytes() for blob in blobs] == good
    assert [proxy.count("GET", BLOBS + each.digest) for each in image.layers] == [1, 1, 1, 0]
    diff_ids = [each.diff_id for each in image.layers]
    assert engine.inspect(image.at(proxy.address))["RootFS"]["Layers"] == diff_ids


def test_a_cache_that_cannot_be_written_costs_no_image(engine: Engine, registry: Registry, puller: Puller) -> None:
    """It is said once, and the image is pulled plainly."""
    image = push_image(registry, "prefetch/nowhere")
    (puller.folder / "file").write_text("")
    environment = {"XDG_CACHE_HOME": str(puller.folder / "file")}
    run = puller.run("pull", "--prefetch", "--image", image.reference, environment=environment)
    assert run.code == 0
    (note,) = notes(run)
    words = f"the directory {puller.folder}/file/puller/blobs cannot be used: Not a directory"
    assert note == f"puller: nothing is prefetched: {words}"


def test_what_the_registry_refuses_to_us_is_pulled_plainly(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """A blob that cannot be prefetched is the engine's own business."""
    image = push_image(registry, "prefetch/refused")
    proxy.use(Rule(BLOBS, refuse_us))
    run = puller.pull("--prefetch", "--image", image.at(proxy.address))
    assert (run.code, [image["status"] for image in run.images]) == (0, ["pulled"]), json.dumps(run.report)


def test_an_engine_with_a_network_of_its_own_pulls_plainly(engine: Engine, puller: Puller) -> None:
    """Docker-in-Docker and rootless engines do not reach our loopback: it is said, and costs no image."""
    with ExitStack() as inside:

        def arrive() -> tuple[Engine, PushedImage]:
            own, registry = inside.enter_context(Engine(engine.binary)), inside.enter_context(Registry())
            return own, push_image(registry, "prefetch/inside")

        own, image = secluded(arrive)
        run = puller.pull("--prefetch", "--image", image.reference, environment={"DOCKER_HOST": own.host})
        assert (run.code, [each["digest"] for each in run.images]) == (0, [image.digest])
        assert notes(run) == ["puller: nothing is prefetched: the engine cannot reach puller's registry on 127.0.0.1"]
        assert own.inspect(image.reference)["RepoTags"] == [image.reference]


def test_images_of_a_registry_with_mirrors_are_pulled_plainly(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller
) -> None:
    """The mirror has its turn as without prefetching, and it is said once for the registry."""
    images = [push_image(registry, f"prefetch/mirrored-{number}") for number in range(2)]
    mirror = f"--mirror={proxy.address}={registry.address}"
    run = puller.pull("--prefetch", mirror, puller.list(*(image.at(proxy.address) for image in images)))
    assert (run.code, [each["mirror"] for each in run.images]) == (0, 2 * [registry.address])
    assert notes(run) == [f"puller: images of {proxy.address} are not prefetched: they may come from its mirrors"]


def refuse_us(exchange: Exchange) -> None:
    """Serve engines, and not puller."""
    if exchange.headers.get("User-Agent", "").startswith("puller"):
        exchange.reply(404, {}, b"")
    else:
        exchange.forward()


def notes(run: Run) -> list[str]:
    """Give what puller says beside the progress."""
    return [line for line in run.stderr.splitlines() if line.startswith("puller: ")]


def on_disk(puller: Puller) -> int:
    """Count the bytes of parts of blobs."""
    count = 0
    for part in Path(puller.environment["HOME"], ".cache/puller/blobs/parts").glob("*.part"):
        with suppress(FileNotFoundError):  # it is complete, and has its name
            count += part.stat().st_blocks * 512
    return count


def cached(puller: Puller, layer: Layer) -> Path:
    """Give the file that has a layer."""
    digest = layer.digest.removeprefix("sha256:")
    return Path(puller.environment["HOME"], ".cache/puller/blobs/blobs/sha256", digest)
