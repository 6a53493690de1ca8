"""The registry on loopback: for those who know its name, read-only, and with nothing for anybody else."""

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.pace import BandwidthLimit
from puller.blobs.store import BlobStore
from puller.errors import RegistryError
from puller.image.manifest import Manifest
from puller.image.reference import ImageReference
from tests.lab import Proxy, Rule, faults
from tests.unit.blobs.conftest import LARGE, SMALL, Fetch

MANIFEST = ("application/vnd.oci.image.manifest.v1+json", b"{}")
DIGEST = "sha256:" + "a" * 64


class Shelf:
    """One manifest, and the blobs that a test puts here."""

    def __init__(self) -> None:
        self.blobs: dict[str, BlobDownload] = {}

    def document(self, name: str) -> Manifest | None:
        """Give the manifest."""
        return Manifest(MANIFEST[1], MANIFEST[0], DIGEST) if name == DIGEST else None

    def referrers(self, digest: str) -> Manifest | None:
        """Have none."""
        return None

    def blob(self, digest: str) -> BlobDownload | None:
        """Give a blob."""
        return self.blobs.get(digest)


class Held(BlobDownload):
    """A blob whose last byte has come, and which is not in the store yet."""

    @property
    def available(self) -> int:
        """Say that all is there at first."""
        asked, self.asked = getattr(self, "asked", False), True
        return super().available if asked else self.size


@pytest.fixture
def shelf() -> Shelf:
    """Begin with no blob."""
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[LoopbackRegistry]:
    """Serve what is on the shelf."""
    server = LoopbackRegistry(shelf)
    yield server
    server.close()


def ask(
    server: LoopbackRegistry, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request."""
    connection = http.client.HTTPConnection(server.address, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_a_tls_hello_is_answered_at_once(server: LoopbackRegistry) -> None:
    """Engines try TLS first, and the containerd store gives up when it gets no answer."""
    with socket.create_connection(server.address.split(":"), 10) as client:  # type: ignore[arg-type]
        client.sendall(b"\x16\x03\x01\x02\x00")
        assert client.makefile("rb").read().startswith(b"HTTP/1.0 400 ")


def test_only_loopback_is_listened_on(server: LoopbackRegistry) -> None:
    """Nobody outside this machine gets there."""
    assert server.address.startswith("127.0.0.1:")


def test_who_does_not_know_the_name_gets_nothing(server: LoopbackRegistry) -> None:
    """The ping tells nothing, and another name finds nothing; that is not even counted as a visit."""
    assert ask(server, "/v2/")[0] == 200
    for path in (f"/v2/{'0' * 32}/n0/manifests/{DIGEST}", f"/v2/n0/manifests/{DIGEST}", "/", "/v2/_catalog"):
        assert ask(server, path)[0] == 404
    assert not server.contacted.is_set()
    assert ask(server, f"/v2/{server.secret}/n0/manifests/none")[0] == 404
    assert server.contacted.is_set()


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_nothing_can_be_written(server: LoopbackRegistry, method: str) -> None:
    """Not even by those who know the name."""
    assert ask(server, f"/v2/{server.secret}/n0/manifests/{DIGEST}", method)[0] == 501


def test_manifests_and_blobs_are_served(server: LoopbackRegistry, shelf: Shelf, store: BlobStore, fetch: Fetch) -> None:
    """With type, digest, length, and from the byte on that was asked for."""
    status, headers, body = ask(server, f"/v2/{server.secret}/n0/manifests/{DIGEST}")
    assert (status, headers["Content-Type"], headers["Docker-Content-Digest"], body) == (
        200,
        MANIFEST[0],
        DIGEST,
        b"{}",
    )
    shelf.blobs[SMALL.digest] = fetch(store, SMALL)
    path = f"/v2/{server.secret}/n0/blobs/{SMALL.digest}"
    assert ask(server, path)[2] == SMALL.data
    status, headers, body = ask(server, path, Range="bytes=1000-")
    assert (status, body) == (206, SMALL.data[1000:])
    status, headers, body = ask(server, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(SMALL.data)), b"")


def test_a_blob_is_sent_while_it_comes(
    server: LoopbackRegistry, shelf: Shelf, store: BlobStore, proxy: Proxy, fetch: Fetch
) -> None:
    """The first bytes do not wait for the last ones."""
    release = threading.Event()
    proxy.use(Rule(LARGE.digest, faults.forward, times=1), Rule(LARGE.digest, faults.hold(release)))
    shelf.blobs[LARGE.digest] = fetch(store, LARGE, wait=False, connections=1)
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("GET", f"/v2/{server.secret}/n0/blobs/{LARGE.digest}")
    answer = connection.getresponse()
    assert answer.read(1 << 20) == LARGE.data[: 1 << 20]
    assert shelf.blobs[LARGE.digest].path is None
    release.set()
    assert answer.read() == LARGE.data[1 << 20 :]
    connection.close()


def test_a_blob_that_cannot_be_had_is_unknown(server: LoopbackRegistry, shelf: Shelf) -> None:
    """An engine gives such a blob up at once; anything else it would try again for a minute."""
    blob = shelf.blobs[SMALL.digest] = BlobDownload(SMALL.digest, 10, ImageReference.parse("app"), (0, 0, 0))
    blob.fail(RegistryError("it is gone"))
    assert ask(server, f"/v2/{server.secret}/n0/blobs/{SMALL.digest}")[0] == 404


def test_a_blob_that_is_being_verified_is_waited_for(
    server: LoopbackRegistry, shelf: Shelf, store: BlobStore, fetch: Fetch
) -> None:
    """For a moment it is neither a part nor complete."""
    blob = fetch(store, SMALL)
    path, blob.path = blob.path, None
    assert path
    held = Held(SMALL.digest, blob.size, blob.source, blob.rank)
    shelf.blobs[SMALL.digest] = held
    threading.Timer(0.3, held.complete, [path]).start()
    assert ask(server, f"/v2/{server.secret}/n0/blobs/{SMALL.digest}")[2] == SMALL.data


def test_a_bandwidth_holds_for_all_that_is_sent(shelf: Shelf, store: BlobStore, fetch: Fetch) -> None:
    """Time stands still: the last byte of several connections waits for the bytes of all, but for a tenth of a second.

    What is asked again, as after a cut, counts again; descriptions of blobs do not.
    """
    rate, naps = 100_000, list[float]()
    server = LoopbackRegistry(shelf, bandwidth=BandwidthLimit(rate, naps.append, now=lambda: 100.0))
    shelf.blobs[SMALL.digest], size = fetch(store, SMALL), len(SMALL.data)
    path, bodies = f"/v2/{server.secret}/n0/blobs/{SMALL.digest}", list[bytes]()
    threads = [threading.Thread(target=lambda: bodies.append(ask(server, path)[2])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ask(server, path, "HEAD")
    bodies.append(ask(server, path, Range=f"bytes={size // 2}-")[2])
    server.close()
    assert bodies == [SMALL.data] * 3 + [SMALL.data[size // 2 :]]
    assert max(naps) == pytest.approx(sum(map(len, bodies)) / rate - 0.1)
    # No connection has the line for long.
    assert len(naps) >= 3 * size / (rate * 0.1) - 1
