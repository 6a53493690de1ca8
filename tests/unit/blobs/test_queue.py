"""Which blobs are fetched ahead of the engine, and how many threads there are."""

from pathlib import Path
from threading import Thread

import pytest

from puller.blobs import download_pool, queue as download_queue
from puller.blobs.connections import FIRST
from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.journal import Segment
from puller.blobs.queue import DownloadQueue
from puller.blobs.store import BlobStore
from puller.errors import FailureKind
from puller.failure import failure
from puller.image.manifest import Descriptor
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.health import RegistryHealth
from puller.settings import PrefetchSettings


def task(place: int, size: int) -> DownloadTask:
    """Want a blob of an image."""
    blob = BlobDownload(f"sha256:{place:064}", size, ImageReference.parse("app"), (place, 0, 0))
    return DownloadTask(blob.rank, blob)


def test_a_blob_that_the_engine_has_makes_room_for_the_next() -> None:
    """Each blob by itself, not only a whole image: what follows is fetched as soon as it fits."""
    started = list[int]()
    queue = DownloadQueue(9, 100, RegistryHealth, lambda: started.append(1))
    tasks = [task(place, 50) for place in range(4)]
    for each in tasks:
        queue.add(each)
    assert [queue.take(), queue.take()] == tasks[:2]
    started.clear()
    queue.done(tasks[0])
    assert not started
    queue.forget({tasks[1].blob.digest})
    assert started
    assert queue.take() is tasks[2]
    started.clear()
    queue.done(tasks[2])
    assert not started


def test_a_look_into_the_store_is_no_connection() -> None:
    """A registry whose blobs are all there is not taken for one that sends nothing, however long the look takes."""
    queue = DownloadQueue(9, 100, RegistryHealth)
    look = task(0, 50)
    queue.add(look)
    assert queue.take() is look
    assert queue.traffic(look.blob.source.registry) == (0, 0)
    fetch = DownloadTask(look.rank, look.blob, Segment(0, 0, 50, 0))
    queue.add(fetch)
    assert queue.take() is fetch
    assert queue.traffic(look.blob.source.registry) == (0, 1)
    for each in (look, fetch):
        queue.done(each)
    assert queue.traffic(look.blob.source.registry) == (0, 0)


def test_no_thread_starts_without_work() -> None:
    """A run of few blobs has few threads, however many connections it may open."""
    started = list[int]()
    queue = DownloadQueue(48, 100, RegistryHealth, lambda: started.append(1))
    only = task(0, 1)
    queue.add(only)
    assert queue.take() is only
    queue.done(only)
    assert len(started) == 1


def test_a_rate_limit_that_was_there_first_delays_downloads_and_no_more() -> None:
    """The first blob starts when the limit ends, although nothing else happens then."""
    health, taken = RegistryHealth("docker.io"), list[DownloadTask | None]()
    health.rate_limit.extend(0.1, failure(FailureKind.RATE_LIMITED, "slow down"))
    threads = list[Thread]()

    def more() -> None:
        threads.append(Thread(target=lambda: taken.append(queue.take())))
        threads[-1].start()

    queue = DownloadQueue(48, 100, lambda _: health, more)
    only = task(0, 1)
    queue.add(only)
    for each in threads:
        each.join(20)
    assert taken == [only]


def test_a_host_that_gives_no_thread_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blob fails at once, and the engine pulls the image by itself."""
    monkeypatch.setattr(download_pool, "start", lambda _function, _name: None)
    store = BlobStore(tmp_path / "cache", 1 << 30)
    with RegistryClient() as client:
        pool = DownloadPool(client, store, PrefetchSettings())
        reference = ImageReference.parse("127.0.0.1:1/app")
        (blob,) = pool.fetch([Descriptor(f"sha256:{0:064}", 1)], reference, 0)
        assert blob.failure
        assert blob.failure.message == "no thread can be started"
        pool.close()
    store.close()


def run_of(registry: str, count: int, at: int) -> list[DownloadTask]:
    """Want so many blobs of a registry, from a place of the list on."""
    tasks = []
    for place in range(at, at + count):
        reference = ImageReference.parse(f"{registry}/app")
        blob = BlobDownload(f"sha256:{place:064}", 1, reference, (place, 0, 0))
        tasks.append(DownloadTask(blob.rank, blob))
    return tasks


def test_registries_share_the_connections() -> None:
    """Sixty that never answer leave some to the one whose bytes come, and none takes all."""
    queue = DownloadQueue(48, 1000, RegistryHealth, total=24)
    silent = [run_of(f"silent{number}.example", 9, 10 * number) for number in range(60)]
    (healthy,) = [run_of("healthy.example", 9, 900)]
    for task in healthy:
        queue.add(task)
    first = queue.take()
    assert first is healthy[0]
    queue.received(first, 1)
    for tasks in silent:
        for task in tasks:
            queue.add(task)
    held = [queue.take() for _ in range(12)]
    assert len({each.blob.source.registry for each in held if each}) >= 11
    queue.done(first)
    assert queue.take() is healthy[1]


def test_small_blobs_over_a_long_way_get_more_connections_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response brings 8 KiB after 150 ms: a second shows as much as megabytes would."""
    now, started = 1000.0, list[float]()
    monkeypatch.setattr(download_queue, "monotonic", lambda: now)
    queue = DownloadQueue(48, 1000, RegistryHealth, lambda: started.append(now))
    for task in run_of("far.example", 2 * FIRST, 0):
        queue.add(task)
    held = [taken for _ in range(FIRST) if (taken := queue.take())]
    started.clear()
    while not started and now < 1003:
        for taken in held:
            queue.received(taken, 8 << 10, 0.15)
        now += 0.15
    assert started
    assert started[0] < 1001.5


def test_each_registry_is_asked_in_turn() -> None:
    """With more registries than connections the last of the list is served, too, before any is a second time."""
    queue = DownloadQueue(48, 1000, RegistryHealth, total=2)
    for number in range(5):
        for task in run_of(f"r{number}.example", 3, 10 * number):
            queue.add(task)
    seen = []
    for _ in range(5):
        taken = queue.take()
        assert taken
        seen.append(taken.blob.source.registry)
        queue.done(taken)
    assert sorted(seen) == [f"r{number}.example" for number in range(5)]
