"""How fast prefetching may be, and in which order it downloads."""

from threading import Thread

import pytest

from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.pace import BandwidthLimit
from puller.blobs.queue import DownloadQueue
from puller.errors import FailureKind
from puller.failure import failure
from puller.image.reference import ImageReference
from puller.registry.health import RegistryHealth
from tests.lab.process import wait_until

MB = 1_000_000


def test_a_bandwidth_is_shared() -> None:
    """What comes too soon waits; after a silence little is made up for."""
    now, naps = [100.0], list[float]()
    throttle = BandwidthLimit(10 * MB, naps.append, now=lambda: now[0])
    throttle.take(MB)
    throttle.take(MB)
    throttle.take(MB)
    assert naps == pytest.approx([0.1, 0.2])
    now[0] += 60
    throttle.take(2 * MB)
    assert naps[-1] == pytest.approx(0.1)


LIMITED = failure(FailureKind.RATE_LIMITED, "slow down")


def blob(name: str, size: int, place: int) -> BlobDownload:
    """Want a blob of an image."""
    return BlobDownload(f"sha256:{place:064}", size, ImageReference.parse(name), (place, 0, 0))


def take(agenda: DownloadQueue) -> BlobDownload:
    """Take a task that must be there."""
    task = agenda.take()
    assert task
    return task.blob


def test_the_list_gives_the_order_and_each_registry_its_limit() -> None:
    """A registry whose connections are all in use, or that wants to rest, holds up no other."""
    one = RegistryHealth("one.example")
    agenda = DownloadQueue(1, 100, lambda name: one if name == "one.example" else RegistryHealth(name))
    blobs = [blob("one.example/a", 1, 0), blob("one.example/b", 1, 1), blob("two.example/c", 1, 2)]
    blobs.append(blob("two.example/d", 1, 3))
    for each in reversed(blobs):
        agenda.add(DownloadTask(each.rank, each))
    assert [take(agenda), take(agenda)] == [blobs[0], blobs[2]]
    one.rate_limit.extend(60, LIMITED)
    agenda.done(DownloadTask(blobs[0].rank, blobs[0]))
    agenda.done(DownloadTask(blobs[2].rank, blobs[2]))
    assert take(agenda) is blobs[3]


def test_idle_threads_hear_of_work_that_becomes_possible() -> None:
    """Threads that waited before it was there, and before its registry had to rest, do all of it."""
    one, done = RegistryHealth("one.example"), list[BlobDownload]()
    agenda = DownloadQueue(1, 1000, lambda name: one if name == "one.example" else RegistryHealth(name))

    def work() -> None:
        while task := agenda.take():
            if not done:
                one.rate_limit.extend(0.2, LIMITED)
            done.append(task.blob)
            agenda.done(task)

    threads = [Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    blobs = [blob(f"{name}.example/{place}", 1, place) for place, name in enumerate(["one", "one", "two", "one"])]
    for each in blobs:
        agenda.add(DownloadTask(each.rank, each))
    wait_until(lambda: len(done) == len(blobs), 20)
    agenda.close()
    for thread in threads:
        thread.join(20)
    assert {each.digest for each in done} == {each.digest for each in blobs}
    assert not any(thread.is_alive() for thread in threads)


def test_no_more_is_fetched_ahead_than_fits() -> None:
    """A blob beyond the limit waits until others are used up, or somebody waits for it."""
    agenda = DownloadQueue(9, 100, RegistryHealth)
    first, second, third = blob("a", 60, 0), blob("b", 60, 1), blob("ghcr.io/c", 30, 2)
    for each in (first, second, third):
        agenda.add(DownloadTask(each.rank, each))
    assert [take(agenda), take(agenda)] == [first, third]
    fourth = blob("d", 60, 3)
    agenda.add(DownloadTask(fourth.rank, fourth))
    agenda.prioritize(fourth)
    assert take(agenda) is fourth
