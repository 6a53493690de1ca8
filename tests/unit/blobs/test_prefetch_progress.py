"""What is told of a pull from loopback: the downloads, whatever the engine takes and says."""

from pathlib import Path

import pytest

from puller.blobs.download_task import BlobDownload
from puller.blobs.prefetch_progress import Downloads, DownloadWatch, PullProgress
from puller.events import Phase, Progress
from tests.lab.process import wait_until
from tests.lab.samples import request

NGINX = request("nginx")
LOOPBACK = request("127.0.0.1:1/n0")


def blob(letter: str) -> BlobDownload:
    """Return a download of 100 bytes that has begun."""
    download = BlobDownload(f"sha256:{letter * 64}", 100, NGINX.reference, (0, 0, 0))
    download.opened = True
    return download


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.WAITING])
def test_an_image_is_downloaded_while_the_engine_waits(phase: Phase) -> None:
    """It waits for the engine only when puller has its layers."""
    seen: list[Progress] = []
    one = blob("a")
    pull = PullProgress(NGINX, [one], [one], seen.append)
    pull.feed(Progress(LOOPBACK, phase, 3, 100))
    one.received(40)
    pull.refresh()
    pull.refresh()
    one.received(60)
    one.complete(Path("a"))
    pull.refresh()
    pull.end()
    one.received(1)
    pull.refresh()
    assert [(each.request, each.phase, each.current, each.total) for each in seen] == [
        (NGINX, Phase.DOWNLOADING, 0, 100),
        (NGINX, Phase.DOWNLOADING, 40, 100),
        (NGINX, phase, 100, 100),
    ]


def test_layers_that_came_with_other_images_are_present() -> None:
    """The bytes of an image are those that come for it, also of a layer that it shares while that is in flight."""
    seen: list[Progress] = []
    own, shared, before = blob("a"), blob("b"), blob("c")
    before.received(100)
    before.complete(Path("c"))
    shared.received(50)
    PullProgress(NGINX, [own, shared, before], [own], seen.append).feed(Progress(LOOPBACK, Phase.DOWNLOADING))
    assert (seen[0].current, seen[0].total, seen[0].present) == (50, 200, {"c" * 12})


def test_all_downloads_are_told_also_of_images_that_have_not_started() -> None:
    """Several times a second what has changed, and at the end what came last."""
    told: list[Downloads] = []
    one, other = blob("a"), blob("b")
    watch = DownloadWatch(lambda: [one, other], told.append)
    assert wait_until(lambda: bool(told), 10)
    one.received(10)
    assert wait_until(lambda: len(told) > 1, 10)
    watch.close()
    assert told == [{one.digest: (0, 100), other.digest: (0, 100)}, {one.digest: (10, 100)}, {}]
