"""`--prefetch=auto` on a real engine: puller downloads layers where the network is slow, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from puller.image.digest import sha256
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from tests.engine.conftest import Puller
from tests.engine.test_prefetch import described, notes
from tests.lab import (
    DOCKER,
    HOST_PLATFORM,
    Engine,
    Proxy,
    PushedImage,
    Registry,
    Rule,
    faults,
    layer,
    push_image,
    push_index,
)
from tests.lab.mounts import unmount_below
from tests.lab.process import wait_until
from tests.lab.wire import SlowWire

MB = 1_000_000
SLOW, FAST = MB // 2, 50 * MB
SIZE = 2 * MB
IDLE = Path(__file__).parents[1] / "lab/idle"
LONG = 120
"""Seconds after which something does not happen any more."""


@pytest.fixture
def puller(puller: Puller) -> Puller:
    """Prefetch where the network is slow, whatever else the processors do."""
    puller.environment["PULLER_PREFETCH"] = "auto"
    puller.environment["PYTHONPATH"] = os.pathsep.join((str(IDLE), puller.environment["PYTHONPATH"]))
    return puller


@pytest.fixture
def wire(proxy: Proxy) -> Iterator[SlowWire]:
    """Stand in front of the proxy, with all bytes a second at first."""
    with SlowWire(proxy.address) as wire:
        yield wire


def push(registry: Registry, name: str, count: int = 8) -> list[PushedImage]:
    """Push images of two layers; one layer is in all of them."""
    base = layer(f"{name}-base", SIZE)
    return [
        push_image(registry, f"{name}/app{number}", layers=[base, layer(f"{name}-{number}", SIZE)])
        for number in range(count)
    ]


def to_puller(proxy: Proxy) -> Counter[str]:
    """Count the bytes that puller got of each layer."""
    sent: Counter[str] = Counter()
    for each in proxy.log:
        if "/blobs/" in each.path and each.sent and (each.header("User-Agent") or "").startswith("puller"):
            sent[each.path.rpartition("/")[2]] += each.sent
    return sent


def store(puller: Puller) -> Path:
    """Return the folder of the store."""
    return Path(puller.environment["HOME"], ".cache/puller/blobs")


def sizes(images: list[PushedImage]) -> dict[str, int]:
    """Return the size of each layer."""
    return {each.digest: len(each.data) for image in images for each in image.layers}


@pytest.mark.parametrize(
    ("latency", "loss"),
    [(0.005, 0.0), (0.15, 0.0), (0.03, 0.002)],
    ids=["5 ms", "150 ms", "30 ms and loss"],
)
def test_a_slow_wire_that_changes(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, latency: float, loss: float
) -> None:
    """All images arrive, no layer comes to puller twice, nothing is said, and the store is gone."""
    images = push(registry, f"auto/wire-{round(latency * 1000)}-{round(loss * 1000)}")
    weight = sum(sizes(images).values())
    with SlowWire(proxy.address, SLOW, latency, loss=loss) as wire:
        process = puller.start_pull(puller.list(*(image.at(wire.address) for image in images)))
        for share, rate in ((0.4, FAST), (0.7, SLOW)):
            wait_until(lambda share=share: wire.sent >= share * weight or process.poll() is not None, LONG)  # type: ignore[misc]
            wire.change(rate)
        _, said = process.communicate()
        assert process.returncode == 0, said
        assert [line for line in said.splitlines() if "prefetch" in line] == []
        sent, all_sizes = to_puller(proxy), sizes(images)
        assert sent
        assert all(sent[digest] <= size for digest, size in all_sizes.items())
        for image in images:
            assert engine.inspect(image.at(wire.address))["RootFS"]["Layers"] == [each.diff_id for each in image.layers]
    assert not store(puller).exists()


def test_what_is_shown_meanwhile(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """The bytes are those that came over the wire, each once; no image goes back."""
    images = push(registry, "auto/shown")
    wire.change(SLOW)
    listed = puller.list(*(image.at(wire.address) for image in images))
    process = puller.start_pull("--progress=json", listed)
    assert process.stderr
    came: list[tuple[int, int]] = []
    finished: list[int] = []
    totals: list[int] = []
    shown: dict[str, list[int]] = {}
    for event in map(json.loads, process.stderr):
        match event["event"]:
            case "fetched":
                came.append((event["current"], wire.sent))
            case "finished":
                finished.append(event["current"])
            case "size_known":
                totals.append(event["total"])
            case "progress":
                shown.setdefault(event["id"], []).append(event["current"])
    process.communicate()
    assert process.returncode == 0
    fetched = [current for current, _ in came]
    assert fetched == sorted(fetched)
    assert all(current <= now for current, now in came)
    assert 0.9 * wire.sent < fetched[-1]  # the wire counts what an engine has not read of a pull that is cancelled, too
    assert sum(finished) <= fetched[-1]
    assert totals[-1] == pytest.approx(fetched[-1], rel=0.05)
    assert all(each == sorted(each) for each in shown.values())


def test_it_begins_later_if_a_fast_wire_becomes_slow(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """The engine pulls by itself first; puller downloads what is left from then on."""
    images = push(registry, "auto/later", 8)
    weight = sum(sizes(images).values())
    process = puller.start_pull("-j1", puller.list(*(image.at(wire.address) for image in images)))
    assert wait_until(lambda: wire.sent >= weight / 3, LONG)
    wire.change(SLOW)
    _, said = process.communicate()
    assert process.returncode == 0, said
    sent = to_puller(proxy)
    assert images[0].layers[0].digest not in sent
    assert images[-1].layers[1].digest in sent


def test_the_engine_ends_as_after_a_plain_pull(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire, backend: str
) -> None:
    """Field by field, for an image, an index and a digest; no name of ours is left, and no file."""
    own = f"auto/same-{backend}"  # containerd may keep blobs for a while that no image needs
    stack = [layer(f"{own}-base", 3 * SIZE)]
    many = {HOST_PLATFORM: [layer(f"{own}-many", 2 * SIZE)]}
    names = [
        push_image(registry, own, "one", [*stack, layer(f"{own}-own", SIZE)]).at(wire.address),
        push_index(registry, own, "many", many, attested=True).at(wire.address),
        push_image(registry, own, "", [*stack, layer(f"{own}-pinned", SIZE)]).at(wire.address),
    ]
    listed = puller.list(*names)
    assert puller.pull("--backend", backend, "--prefetch=never", listed).code == 0
    plain, held = [described(engine, name) for name in names], engine.images()
    engine.wipe()
    proxy.forget()
    wire.change(SLOW)
    run = puller.pull("--backend", backend, listed)
    assert (run.code, notes(run), [image["status"] for image in run.images]) == (0, [], ["pulled"] * 3)
    assert to_puller(proxy)
    assert [described(engine, name) for name in names] == plain
    assert {tuple(each["RepoDigests"]) for each in engine.images()} == {tuple(each["RepoDigests"]) for each in held}
    assert not store(puller).parent.exists()


def settled(wire: SlowWire) -> int:
    """Wait until nobody downloads any more, engines of killed runs included, and return what was sent."""
    before = -1
    while before != wire.sent:
        before = wire.sent
        time.sleep(0.5)
    return before


def test_what_a_killed_run_fetched_is_used_once(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """The next run takes it from the disk, although its wire is fast, and then removes it."""
    images = push(registry, "auto/killed", 10)
    weight = sum(sizes(images).values())

    def held() -> int:
        count = 0
        for each in store(puller).rglob("*"):
            with suppress(FileNotFoundError):  # a part that has become a blob
                count += each.stat().st_blocks * 512 if each.is_file() else 0
        return count

    wire.change(SLOW)
    listed = puller.list(*(image.at(wire.address) for image in images))
    process = puller.start_pull(listed)
    try:
        assert wait_until(lambda: held() >= 2 * SIZE, LONG)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept, before = held(), settled(wire)
    wire.change(0)
    run = puller.pull("-v", listed)
    assert run.code == 0
    assert wire.sent - before < 1.05 * weight - kept, run.stderr
    assert not store(puller).exists()


def test_what_an_interrupted_run_fetched_is_reported(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """All bytes that came count, and the next command and `puller doctor` say how much is kept."""
    images = push(registry, "auto/interrupted", 10)
    weight = sum(sizes(images).values())
    wire.change(SLOW)
    listed = puller.list(*(image.at(wire.address) for image in images))
    process = puller.start_pull("--report", "text=report.txt", listed)
    try:
        assert wait_until(lambda: wire.sent >= weight / 2, LONG)
    finally:
        before = wire.sent
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert process.returncode == 130, said
    report, text = json.loads(out), Path(puller.folder, "report.txt").read_text()
    assert before * 0.9 <= report["bytes"] <= wire.sent, said
    assert re.search(r"next: .*; \d+(?:\.\d)?MB of layers are kept for it", text)
    assert "of layers for later runs in" in puller.run("doctor").stdout


def test_a_cache_that_is_asked_for_is_kept(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """With its size given, by whichever option or file, layers stay for later runs."""
    images = push(registry, "auto/cache", 10)
    wire.change(SLOW)
    listed = puller.list(*(image.at(wire.address) for image in images))
    assert puller.pull("--cache-size", "1GB", listed).code == 0
    fetched = set(to_puller(proxy))
    assert fetched
    assert fetched <= {f"sha256:{each.name}" for each in (store(puller) / "blobs/sha256").iterdir()}


@pytest.mark.parametrize("share", [1.0, 0.25], ids=["all of it", "a quarter of it"])
def test_a_kept_cache_is_used_on_a_slow_wire(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire, share: float
) -> None:
    """Images in the cache are taken from there, and the others are downloaded by puller as without a cache."""
    images = push(registry, f"auto/kept-{round(share * 100)}", 20)
    names = [image.at(wire.address) for image in images]
    held = round(share * len(images))
    assert puller.pull("--prefetch=always", puller.list(*names[:held])).code == 0
    engine.wipe()
    proxy.forget()
    wire.change(SLOW // 2)
    run = puller.pull("-v", puller.list(*names))
    assert (run.code, [each["attempts"] for each in run.images]) == (0, [1] * 20), run.stderr
    fetched, by_engine = to_puller(proxy), to_engine(proxy)
    assert not {each.digest for image in images[:held] for each in image.layers} & set(fetched)
    assert sum(by_engine.values()) < sum(sizes(images).values()) / 2, run.stderr
    assert bool(fetched) == (share < 1), run.stderr


def to_engine(proxy: Proxy) -> Counter[str]:
    """Count the bytes that the engine got of each layer."""
    sent: Counter[str] = Counter()
    for each in proxy.log:
        if "/blobs/" in each.path and each.sent and not (each.header("User-Agent") or "").startswith("puller"):
            sent[each.path.rpartition("/")[2]] += each.sent
    return sent


LIMITED = faults.answer(429, {"Retry-After": "600"})


@pytest.mark.parametrize(
    ("path", "act"),
    [
        pytest.param("/blobs/", faults.answer(403), id="blobs refused"),
        pytest.param("/blobs/", LIMITED, id="blobs limited"),
        pytest.param("/blobs/", faults.hang(60), id="blobs held open"),
        pytest.param("/blobs/", faults.drip(2000), id="blobs that drip"),
        pytest.param("/manifests/", faults.answer(403), id="manifests refused"),
        pytest.param("/manifests/", faults.hang(60), id="manifests held open"),
    ],
)
def test_what_only_the_engine_reaches_is_left_to_it(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire, path: str, act: faults.Action
) -> None:
    """No pull that works is broken off: each layer comes to the engine once."""
    images = push(registry, "auto/only-the-engine", 5)
    proxy.use(Rule(path, act, agent="puller"))
    wire.change(SLOW)
    run = puller.pull("-v", puller.list(*(image.at(wire.address) for image in images)))
    assert (run.code, [each["attempts"] for each in run.images]) == (0, [1] * 5), run.stderr
    sent = to_engine(proxy)
    assert {digest: sent[digest] for digest in sizes(images)} == sizes(images), run.stderr
    assert not store(puller).exists()


def test_a_registry_that_fails_later_costs_little(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """It served puller at first, and then holds all requests open: the engine goes on at once."""
    images = push(registry, "auto/later-held", 6)
    proxy.use(
        Rule("/blobs/", faults.forward, agent="puller", times=12), Rule("/blobs/", faults.hang(90), agent="puller")
    )
    wire.change(SLOW)
    run = puller.pull("-v", puller.list(*(image.at(wire.address) for image in images)))
    assert (run.code, [each["attempts"] for each in run.images]) == (0, [1] * 6), run.stderr
    assert not store(puller).exists()


def test_a_registry_that_limits_only_puller_later_is_given_back(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """It is faster for puller at first; the engine, which has its full speed, gets all that is left."""
    images = push(registry, "auto/later-limited", 12)
    layers = f"/blobs/({'|'.join(sizes(images))})"
    forward = Rule(layers, faults.forward, agent="puller", times=8)
    proxy.use(forward, Rule(layers, faults.drip(20_000), agent="puller"))
    wire.change(SLOW)
    run = puller.pull("-v", puller.list(*(image.at(wire.address) for image in images)))
    assert (run.code, [each["attempts"] for each in run.images]) == (0, [1] * 12), run.stderr
    assert f"the engine downloads layers of {wire.address}: " in run.stderr
    assert not store(puller).exists()


def test_wrong_content_is_counted_and_leaves_the_registry_to_the_engine(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """Only puller gets it. No image counts it, and the report of the run does."""
    images = push(registry, "auto/wrong-content", 6)
    proxy.use(Rule(f"/blobs/({'|'.join(sizes(images))})", faults.corrupt, agent="puller"))
    wire.change(SLOW)
    run = puller.pull("-v", puller.list(*(image.at(wire.address) for image in images)))
    assert run.code == 0, run.stderr
    assert f"the engine downloads layers of {wire.address}: " in run.stderr
    of_images, weight = sum(each["bytes"] for each in run.images), sum(sizes(images).values())
    assert run.report["bytes"] == of_images + run.report["other_bytes"]
    assert weight < run.report["bytes"] <= wire.sent < 3 * weight


def test_a_small_disk_is_left_alone(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire, tmp_path: Path
) -> None:
    """No pull is broken off for layers that cannot be stored, and nothing stays there."""
    images = push(registry, "auto/small-disk", 5)
    cache = tmp_path / "cache"
    cache.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "puller", str(cache)], check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted")
    try:
        wire.change(SLOW)
        listed = puller.list(*(image.at(wire.address) for image in images))
        run = puller.pull("-v", listed, environment={"XDG_CACHE_HOME": str(cache)})
        assert run.code == 0, run.stderr
        sent = to_engine(proxy)
        assert {digest: sent[digest] for digest in sizes(images)} == sizes(images), run.stderr
        assert [*cache.glob("puller/*")] == []
    finally:
        unmount_below(cache)


def test_a_size_that_the_manifest_overstates(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """The engine pulls that image by itself; the report has the bytes that came, and no more."""
    if engine.binary.store == "containerd":
        pytest.skip("this engine does not pull such an image at all")
    images = push(registry, "auto/overstated", 3)
    with RegistryClient() as client:
        raw = client.manifest(ImageReference.parse(images[0].reference)).raw
    size = len(images[0].layers[1].data)
    wrong = raw.replace(b": %d" % size, b": 1073741824").replace(b":%d" % size, b":1073741824")
    assert wrong != raw
    head = {"Content-Type": DOCKER.manifest, "Docker-Content-Digest": sha256(wrong)}
    proxy.use(Rule("overstated/app0/manifests/", faults.answer(200, head, wrong)))
    wire.change(SLOW)
    run = puller.pull("-v", puller.list(*(image.at(wire.address) for image in images)))
    assert (run.code, [each["attempts"] for each in run.images]) == (0, [1] * 3), run.stderr
    assert sum(each["bytes"] for each in run.images) <= 3 * sum(sizes(images).values())


def test_what_a_killed_run_left_is_for_its_images(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, wire: SlowWire
) -> None:
    """A run of others neither takes it up nor removes it; a run of the same list does both."""
    images, others = push(registry, "auto/left", 8), push(registry, "auto/left-others", 2)
    wire.change(SLOW)
    process = puller.start_pull(puller.list(*(image.at(wire.address) for image in images)))
    try:
        assert wait_until((store(puller) / "blobs/sha256").exists, LONG)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    wire.change(0)
    left = [path for path in store(puller).rglob("*") if path.is_file()]
    proxy.forget()
    assert puller.pull(puller.list(*(image.at(wire.address) for image in others))).code == 0
    assert not to_puller(proxy)
    assert all(path.exists() for path in left)
    assert puller.pull(puller.list(*(image.at(wire.address) for image in images))).code == 0
    assert not store(puller).exists()


def test_a_fast_pull_knows_nothing_of_it(registry: Registry, puller: Puller) -> None:
    """What serves prefetching is not even loaded."""
    image = push_image(registry, "auto/fast")
    run = puller.run("pull", "--image", image.reference, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert run.code == 0
    assert "puller.blobs.prefetch_auto" in run.stderr
    assert not [
        name for name in ("puller.blobs.prefetch_session", "puller.blobs.store", "http.server") if name in run.stderr
    ]
