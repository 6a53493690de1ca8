"""Limits of the cache: what others claim, send or put there."""

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from puller.blobs.download_pool import DownloadPool
from puller.blobs.export_targets import LayoutIndex
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.missing import ImageBlobs
from puller.blobs.store import BlobStore
from puller.errors import FailureKind
from puller.image.digest import sha256
from puller.image.manifest import Descriptor, ImageManifest, Manifest
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings
from tests.lab import OCI, Proxy, Rule, wait_until
from tests.lab.exchange import Exchange
from tests.lab.second_user import NOBODY, as_root
from tests.unit.blobs.conftest import LARGE, SMALL, Fetch
from tests.unit.blobs.test_loopback_registry import DIGEST, Shelf, ask

MIB = 1 << 20


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let every new file be open to everybody, as far as its creator does not say otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_cache_is_its_owners_whatever_the_umask(tmp_path: Path) -> None:
    """All its folders, and those above it that it makes."""
    root = tmp_path / "cache" / "puller" / "blobs"
    BlobStore(root, 1 << 30).close()
    folders = [
        tmp_path / "cache",
        tmp_path / "cache/puller",
        *(path for path in root.rglob("*") if path.is_dir()),
        root,
    ]
    assert {f"{path}: {path.stat().st_mode & 0o777:o}" for path in folders} == {f"{path}: 700" for path in folders}


@pytest.mark.parametrize("folder", ["", "blobs", "parts"])
def test_a_cache_that_others_may_write_into_is_refused(tmp_path: Path, folder: str) -> None:
    """With a word about why."""
    BlobStore(tmp_path, 1 << 30).close()
    (tmp_path / folder).chmod(0o777)
    with pytest.raises(OSError, match=r"others may write|by other users"):
        BlobStore(tmp_path, 1 << 30)


@as_root
def test_a_cache_of_another_user_is_refused(theirs: Path) -> None:
    """Its owner could replace every file between the check and the use."""
    root = theirs / "blobs"
    root.mkdir(mode=0o700)
    os.chown(root, NOBODY, NOBODY)
    with pytest.raises(OSError, match="another user"):
        BlobStore(root, 1 << 30)


@pytest.mark.parametrize("kind", ["foreign", "linked", "symbolic"])
@as_root
def test_an_entry_that_is_not_ours_alone_is_fetched_again(store: BlobStore, tmp_path: Path, kind: str) -> None:
    """Who owns a file or has a second name for it can change it after the check."""
    path = store.path(SMALL.digest)
    store.add(SMALL.digest, SMALL.data)
    if kind == "foreign":
        os.chown(path, NOBODY, NOBODY)
    elif kind == "linked":
        os.link(path, tmp_path / "second-name")
    else:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    assert store.find(SMALL.digest, len(SMALL.data)) is None


@pytest.mark.parametrize("link", ["blobs", "blobs/sha256"])
def test_an_export_goes_through_no_link(tmp_path: Path, link: str) -> None:
    """Who owns a folder that root exports into must not choose where a file with their content is made."""
    elsewhere = tmp_path / "cron.d"
    (elsewhere / "sha256").mkdir(parents=True)
    path = tmp_path / "images" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    store = BlobStore(tmp_path / "images", None)
    with pytest.raises(OSError, match="is a symbolic link"):
        store.add(SMALL.digest, SMALL.data)
    store.close()
    assert [each for each in elsewhere.rglob("*") if each.is_file()] == []


def test_a_part_goes_through_no_link(store: BlobStore, tmp_path: Path, fetch: Fetch) -> None:
    """A link in the place of a part leads to nobody's file."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (store.parts / f"{LARGE.digest.replace(':', '-')}.part").symlink_to(victim)
    fetch(store)
    assert victim.read_bytes() == b"mine"


def test_a_size_is_a_claim(store: BlobStore, proxy: Proxy) -> None:
    """Nothing is allocated by it: a blob that no disk could hold fails at once, by name."""
    client = RegistryClient(read=5)
    pool = DownloadPool(client, store, PrefetchSettings(connections=2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    try:
        reference = ImageReference.parse(f"{proxy.address}/prefetch/app:v1")
        (blob,) = pool.fetch([Descriptor(LARGE.digest, 1 << 40)], reference, 0)
        assert wait_until(lambda: blob.failure is not None, 10)
    finally:
        pool.close()
        client.close()
    assert blob.failure
    assert blob.failure.kind is FailureKind.TOO_LARGE
    assert f"{LARGE.digest} has 1.1TB, larger than the cache" in blob.failure.message
    assert proxy.count("GET", "/blobs/") == 0
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_blob_is_no_larger_than_its_cache(tmp_path: Path, proxy: Proxy, fetch: Fetch) -> None:
    """The limit holds for a single blob, and not only for what is kept at the end."""
    store = BlobStore(tmp_path / "small", 2 * MIB)
    blob = fetch(store)
    assert blob.path is None
    assert blob.failure
    assert "larger than the cache" in blob.failure.message
    assert proxy.sent("GET", "/blobs/") <= 2 * MIB
    store.close()


def test_a_blob_without_end_is_cut(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """What counts is what comes, and that is no more than was announced, whatever the registry goes on to send."""
    sent = 0

    def flood(exchange: Exchange) -> None:
        nonlocal sent
        exchange.send_response_only(200)
        exchange.end_headers()
        exchange.close_connection = True
        with suppress(OSError):
            while sent < 1 << 30:
                sent += exchange.connection.send(bytes(1 << 16))

    proxy.use(Rule(SMALL.digest, flood))
    blob = fetch(store, SMALL)
    assert blob.failure
    assert blob.failure.kind is FailureKind.DIGEST_MISMATCH
    assert sent < 64 * MIB
    assert sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file()) < MIB


@contextmanager
def idle(server: LoopbackRegistry, number: int) -> Iterator[list[socket.socket]]:
    """Open so many connections to the registry on loopback, and send nothing on them."""
    host, _, port = server.address.partition(":")
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((host, int(port)), 10)) for _ in range(number)]


def test_idle_connections_keep_nobody_out() -> None:
    """Another local user may open connections as they like: the engine is served, and threads stay few."""
    server = LoopbackRegistry(Shelf())
    before = threading.active_count()
    try:
        with idle(server, 300) as connections:
            for _ in range(3):
                assert ask(server, f"/v2/{server.secret}/n0/manifests/{DIGEST}")[0] == 200
            assert threading.active_count() - before < 150
            # The oldest ones have been dropped: reading from them returns at once.
            connections[0].settimeout(10)
            assert connections[0].recv(1) == b""
    finally:
        server.close()


def test_a_connection_without_a_request_is_dropped() -> None:
    """Half a request line is no request either."""
    server = LoopbackRegistry(Shelf())
    try:
        with idle(server, 2) as (silent, slow):
            slow.sendall(b"GET /v2/")
            for connection in (silent, slow):
                connection.settimeout(7)
                assert connection.recv(1) in (b"", b"H")
    finally:
        server.close()


def test_who_does_not_know_the_secret_is_dropped() -> None:
    """The connection is closed after the answer: nothing is spent on guesses."""
    server = LoopbackRegistry(Shelf())
    host, _, port = server.address.partition(":")
    try:
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.settimeout(10)
            connection.sendall(b"GET /v2/wrong/n0/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 404 " in connection.makefile("rb").read()
    finally:
        server.close()


def image(number: int) -> tuple[ImageReference, ImageBlobs]:
    """Make up an image."""
    raw = b'{"number": %d}' % number
    manifest, config = Manifest(raw, OCI.manifest, sha256(raw)), Descriptor(SMALL.digest, len(SMALL.data))
    parts = ImageManifest((), config, ())
    return ImageReference.parse(f"a.io/app{number}:v1"), ImageBlobs((manifest,), parts, ())


def test_several_runs_add_to_one_index_at_once(tmp_path: Path) -> None:
    """Each has read what the others wrote; no image is lost."""
    indexes = [LayoutIndex(BlobStore(tmp_path, None)) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda at=at, index=index: [index.replace(*image(10 * at + n)) for n in range(10)])
        for at, index in enumerate(indexes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(indexes[0].images()) == 40


_OPEN = """
import sys
from pathlib import Path
from puller.blobs.store import BlobStore
for _ in range(40):
    BlobStore(Path(sys.argv[1]), None).close()
"""


def test_several_runs_open_and_leave_one_folder_at_once(tmp_path: Path) -> None:
    """None fails because another one creates or removes a folder of runs at that moment."""
    processes = [
        subprocess.Popen([sys.executable, "-c", _OPEN, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
