"""Which blobs are fetched ahead of the engine."""

from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.queue import DownloadQueue
from puller.image.reference import ImageReference
from puller.registry.health import RegistryHealth


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


def test_no_thread_starts_without_work() -> None:
    """A run of few blobs has few threads, however many connections it may open."""
    started = list[int]()
    queue = DownloadQueue(48, 100, RegistryHealth, lambda: started.append(1))
    only = task(0, 1)
    queue.add(only)
    assert queue.take() is only
    queue.done(only)
    assert len(started) == 1
