"""A registry with one image of several segments, and a store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.partial import SEGMENT
from puller.blobs.store import BlobStore
from puller.image.manifest import Descriptor
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings
from tests.lab import Layer, Proxy, PushedImage, Registry, layer, push_image

SECONDS = 60
LARGE = layer("prefetch-large", 2 * SEGMENT + 100_000)
SMALL = layer("prefetch-small", 50_000)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """Start one registry for all tests here."""
    with Registry() as registry:
        yield registry


@pytest.fixture(scope="session")
def image(registry: Registry) -> PushedImage:
    """Push one image of a large and a small layer."""
    return push_image(registry, "prefetch/app", layers=[LARGE, SMALL])


@pytest.fixture
def proxy(registry: Registry, image: PushedImage) -> Iterator[Proxy]:
    """Stand in front of the registry, to count and to do harm."""
    with Proxy(registry) as proxy:
        yield proxy


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    """Open an empty store."""
    store = BlobStore(tmp_path / "cache", 1 << 30)
    yield store
    store.close()


Fetch = Callable[..., BlobDownload]


@pytest.fixture
def fetch(proxy: Proxy) -> Iterator[Fetch]:
    """Fetch one layer through the proxy, to the end, with a fetcher of its own."""
    fetchers: list[DownloadPool] = []
    client = RegistryClient(read=5)

    def begin(
        store: BlobStore, layer: Layer = LARGE, *, wait: bool = True, connections: int = 24, read: float = 5
    ) -> BlobDownload:
        fetchers.append(DownloadPool(client.with_limits(read=read), store, PrefetchSettings(connections=connections)))
        reference = ImageReference.parse(f"{proxy.address}/prefetch/app:v1")
        (blob,) = fetchers[-1].fetch([Descriptor(layer.digest, len(layer.data))], reference, 0)
        if wait:
            blob.wait(blob.size, SECONDS)
        return blob

    yield begin
    for fetcher in fetchers:
        fetcher.close()
    client.close()
