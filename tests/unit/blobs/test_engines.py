"""Engines that pull from loopback, in front of an engine in memory."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from puller.blobs.export import open_layout
from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.prefetch import Prefetch, PrefetchEngine
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import CancelledError, EngineError, FailureKind
from puller.model import EngineResult, PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import Settings, Timeouts
from tests.lab import HOST_PLATFORM, Proxy
from tests.lab.fakes import PULLED, FakeBackend
from tests.lab.samples import request


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
