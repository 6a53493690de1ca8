"""Engines that pull from loopback, in front of an engine in memory."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from puller.blobs.export import open_layout
from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.prefetch import Prefetch
from puller.blobs.prefetch_engine import PrefetchEngine
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import CancelledError, EngineError, FailureKind
from puller.image.reference import Platform
from puller.model import EngineResult, PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings, Settings, Timeouts
from tests.lab import HOST_PLATFORM, OCI, Proxy, Registry, Rule, layer, push_image, push_index, wait_until
from tests.lab.exchange import Exchange
from tests.lab.fakes import PULLED, FakeBackend
from tests.lab.samples import request
from tests.unit.blobs.conftest import LARGE, SMALL
from tests.unit.blobs.test_loopback_registry import ask


@pytest.fixture
def registries() -> Iterator[RegistryClient]:
    """Open a client of registries."""
    with RegistryClient(read=5) as client:
        yield client


def wanted(proxy: Proxy) -> PullRequest:
    """Ask for the image behind the proxy."""
    return request(f"{proxy.address}/prefetch/app:v1", HOST_PLATFORM)


def pull(engine: Engine, request: PullRequest, cancel: Cancellation | None = None) -> EngineResult:
    """Pull one image, within a minute."""
    limits = Timeouts(attempt=60)
    return engine.pull(request, cancel=cancel or Cancellation(), clocks=limits, progress=lambda _: None)


def test_the_time_on_loopback_counts_for_the_attempt(
    proxy: Proxy, store: BlobStore, registries: RegistryClient
) -> None:
    """The limit is for both pulls of an image together."""

    def slow(_: Cancellation) -> EngineResult:
        time.sleep(0.1)
        return PULLED

    engine = FakeBackend(otherwise=slow)
    prefetch = Prefetch(registries, store, EngineInventory(engine.store), Settings())
    with closing(prefetch):
        prefetch.begin([wanted(proxy)])
        pull(PrefetchEngine(engine, prefetch, lambda _: None), wanted(proxy))
    first, second = sorted(each.spent for each in engine.clocks)
    assert (len(engine.attempts), first) == (2, 0)
    assert second >= 0.1


def test_a_pull_that_waits_for_a_layer_from_loopback_does_not_fail_with_it(
    proxy: Proxy, store: BlobStore, registries: RegistryClient
) -> None:
    """It is tried again when the pull from loopback has ended; at no other time is a failure repeated."""
    on_loopback, over, tries = threading.Event(), threading.Event(), list[bool]()

    def wait(_: Cancellation) -> EngineResult:
        on_loopback.set()
        assert over.wait(10)
        return PULLED

    def plain() -> EngineResult:
        tries.append(over.is_set())
        if not over.is_set():
            threading.Timer(0.2, over.set).start()
            raise EngineError("unknown blob")
        return PULLED

    def refused() -> EngineResult:
        tries.append(False)
        raise EngineError("manifest unknown")

    prefetch = Prefetch(registries, store, EngineInventory(FakeBackend().store), Settings())
    with closing(prefetch):
        prefetch.begin([wanted(proxy)])
        engine = PrefetchEngine(FakeBackend(otherwise=wait), prefetch, lambda _: None)
        other = threading.Thread(target=pull, args=(engine, wanted(proxy)))
        other.start()
        assert on_loopback.wait(10)
        assert engine.beside_loopback(plain, Cancellation()) == PULLED
        other.join()
        assert tries == [False, True]
        with pytest.raises(EngineError, match="manifest unknown"):
            engine.beside_loopback(refused, Cancellation())
    assert tries == [False, True, False]


@pytest.mark.parametrize("cache", [None, 1 << 30], ids=["temporary", "cache"])
def test_what_the_engine_has_taken_is_removed_unless_a_cache_is_asked_for(
    proxy: Proxy, tmp_path: Path, registries: RegistryClient, cache: int | None
) -> None:
    """Once no image needs it any more."""
    settings = PrefetchSettings(cache=cache)
    store = BlobStore(tmp_path / "cache", settings.cache_size, keep=settings.keeps)
    inventory = EngineInventory(FakeBackend().store)
    with closing(Prefetch(registries, store, inventory, Settings(prefetch=settings))) as prefetch:
        prefetch.begin([wanted(proxy)])
        image = prefetch.image(wanted(proxy), Cancellation())
        assert image
        for blob in image.blobs:
            assert ask(prefetch.server, f"/v2/{prefetch.server.secret}/n0/blobs/{blob.digest}")[0] == 200
            blob.wait(blob.size, 60)
        paths = [blob.path for blob in image.blobs if blob.path]
        assert len(paths) == 3
        prefetch.finished(wanted(proxy))
        assert [path.exists() for path in paths] == [cache is not None] * 3
    store.close()


@contextmanager
def prefetched(
    images: Sequence[PullRequest], registries: RegistryClient, folder: Path
) -> Iterator[tuple[Prefetch, BlobStore]]:
    """Have all blobs of images in a store that keeps none."""
    store = BlobStore(folder, 1 << 30, keep=False)
    inventory = EngineInventory(FakeBackend().store)
    with closing(store), closing(Prefetch(registries, store, inventory, Settings())) as prefetch:
        prefetch.begin(images)
        for each in images:
            image = prefetch.image(each, Cancellation())
            assert image
            for blob in image.blobs:
                blob.wait(blob.size, 60)
        yield prefetch, store


def test_a_layer_of_several_images_does_not_stay_on_the_disk_twice(
    registry: Registry, proxy: Proxy, tmp_path: Path, registries: RegistryClient
) -> None:
    """It is removed once the engine has it, and fetched again for an engine that lost it."""
    other = push_image(registry, "prefetch/shares", layers=[LARGE])
    images = [wanted(proxy), request(other.at(proxy.address), HOST_PLATFORM)]
    with prefetched(images, registries, tmp_path / "cache") as (prefetch, store):
        path, name = store.path(LARGE.digest), f"/v2/{prefetch.server.secret}/n0/blobs/{LARGE.digest}"
        assert path.exists()
        assert ask(prefetch.server, name)[0] == 200
        assert wait_until(lambda: not path.exists(), 10)
        assert ask(prefetch.server, name)[2] == LARGE.data


def test_a_layer_that_stands_on_different_layers_is_downloaded_once(
    registry: Registry, proxy: Proxy, tmp_path: Path, registries: RegistryClient
) -> None:
    """As of `COPY --link`: an engine with a graph driver asks for it again, so it stays until then."""
    other = push_image(registry, "prefetch/stands", layers=[layer("prefetch-base"), LARGE])
    images = [wanted(proxy), request(other.at(proxy.address), HOST_PLATFORM)]
    with prefetched(images, registries, tmp_path / "cache") as (prefetch, store):
        for taken in (LARGE, SMALL):
            assert ask(prefetch.server, f"/v2/{prefetch.server.secret}/n0/blobs/{taken.digest}")[0] == 200
        assert wait_until(lambda: not store.path(SMALL.digest).exists(), 10)
        assert store.path(LARGE.digest).exists()


def test_a_folder_that_is_cancelled_already_asks_no_registry(
    proxy: Proxy, registries: RegistryClient, tmp_path: Path
) -> None:
    """Neither for a manifest nor for a blob."""
    cancel = Cancellation()
    cancel.cancel("enough")
    with open_layout(tmp_path / "images", Settings(), registries, archive=False) as layout:
        with pytest.raises(CancelledError, match="enough"):
            pull(layout, wanted(proxy), cancel)
        assert proxy.log == []


def test_files_take_no_image_of_another_platform(proxy: Proxy, registries: RegistryClient, tmp_path: Path) -> None:
    """The manifest of one image names no platform; its config does."""
    with open_layout(tmp_path / "images", Settings(), registries, archive=False) as layout:
        with pytest.raises(EngineError, match=f"the image is for {HOST_PLATFORM}, not for linux/s390x"):
            pull(layout, wanted(proxy)._replace(platform=Platform("linux", "s390x")))
        assert layout.holdings().images == ()
        pull(layout, wanted(proxy))
        seen = layout.inspect(wanted(proxy).reference, cancel=Cancellation())
        assert seen
        assert str(seen.platform) == HOST_PLATFORM


def test_what_the_files_do_not_have_is_not_found(proxy: Proxy, registries: RegistryClient, tmp_path: Path) -> None:
    """An engine that loads is asked for an image that is not in its files."""
    with open_layout(tmp_path / "images", Settings(), registries, archive=False) as layout:
        pull(layout, wanted(proxy))
    images = LayoutImages(tmp_path / "images")
    with closing(LoopbackRegistry(images)) as server:
        engine = LoadEngine(FakeBackend(), images.requests(None), server)
        with pytest.raises(EngineError, match=r"the files have no image example\.org/other:v1") as caught:
            pull(engine, request("example.org/other:v1"))
        assert caught.value.kind is FailureKind.NOT_FOUND


def test_what_hangs_on_an_index_is_served(
    registry: Registry, proxy: Proxy, store: BlobStore, registries: RegistryClient
) -> None:
    """Attestations and what refers to an image, as engines ask for them, once; nothing that the index does not name."""
    index = push_index(registry, "prefetch/attested", "v1", {HOST_PLATFORM: [SMALL]}, attested=True)
    other = push_image(registry, "prefetch/attested", "other")
    attestation = index.images[f"attestation of {HOST_PLATFORM}"]
    fallback = push_image(registry, "prefetch/attested", attestation.digest.replace(":", "-"))

    def list_referrers(exchange: Exchange) -> None:
        exchange.reply(200, {"Content-Type": OCI.index}, b'{"schemaVersion": 2, "manifests": []}')

    proxy.use(Rule("/referrers/", list_referrers))
    wanted = request(index.at(proxy.address), HOST_PLATFORM)
    with closing(Prefetch(registries, store, EngineInventory(FakeBackend().store), Settings())) as prefetch:
        prefetch.begin([wanted])
        image = prefetch.image(wanted, Cancellation())
        assert image
        assert image.name.digest == index.digest

        def status(path: str) -> int:
            return ask(prefetch.server, f"/v2/{prefetch.server.secret}/n0/{path}")[0]

        for path in (
            f"manifests/{index.digest}",
            f"manifests/{index.images[HOST_PLATFORM].digest}",
            f"manifests/{attestation.digest}",
            f"blobs/{attestation.config_digest}",
            f"blobs/{attestation.layers[0].digest}",
            f"referrers/{attestation.digest}",
            f"manifests/{attestation.digest.replace(':', '-')}",
            f"blobs/{fallback.config_digest}",
        ):
            assert (path, status(path), status(path)) == (path, 200, 200)
        for path in (f"manifests/{other.digest}", f"blobs/{other.config_digest}", "manifests/v1", "tags/list"):
            assert (path, status(path)) == (path, 404)
    assert proxy.count("GET", f"manifests/{attestation.digest}") == 1
    assert proxy.count("GET", attestation.layers[0].digest) == 1
