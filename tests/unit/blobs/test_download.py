"""Blobs come whole and right, whatever the registry does on the way."""

import os
from pathlib import Path

import pytest

from puller.blobs import download, journal
from puller.blobs.partial import SEGMENT, open_part
from puller.blobs.store import BlobStore
from puller.errors import FailureKind
from tests.lab import Layer, Proxy, Rule, faults
from tests.lab.exchange import Exchange
from tests.unit.blobs.conftest import LARGE, SMALL, Fetch

BLOB = f"/blobs/{LARGE.digest}"


def without_ranges(exchange: Exchange) -> None:
    """Answer as a registry that takes no ranges."""
    del exchange.headers["Range"]
    exchange.forward()


def test_a_large_blob_comes_in_ranges(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """Over several connections at once, each byte once, and the result is the blob."""
    blob = fetch(store)
    assert blob.path == store.path(LARGE.digest)
    assert blob.path.read_bytes() == LARGE.data
    assert proxy.count("GET", BLOB) == 3
    assert proxy.sent("GET", BLOB) == blob.fetched == len(LARGE.data)
    assert not list(store.parts.glob("sha256*"))


@pytest.mark.parametrize(
    ("act", "times"),
    [
        pytest.param(faults.close(100_000), 4, id="cut"),
        pytest.param(faults.reset(100_000), 2, id="reset"),
        pytest.param(faults.short(100_000), 2, id="short"),
        pytest.param(faults.answer(503), 2, id="503"),
        pytest.param(faults.answer(403), 2, id="an address that has expired"),
        pytest.param(faults.answer(429, {"Retry-After": "1"}), 1, id="429"),
        pytest.param(faults.corrupt, 1, id="wrong bytes, once"),
    ],
)
def test_harm_on_the_wire_is_made_good(
    store: BlobStore, proxy: Proxy, fetch: Fetch, act: faults.Action, times: int
) -> None:
    """The blob comes all the same."""
    proxy.use(Rule(BLOB, act, times=times))
    blob = fetch(store)
    assert not blob.failure
    assert store.path(LARGE.digest).read_bytes() == LARGE.data


def test_what_was_cut_off_goes_on_where_it_ended(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """Bytes that came before a connection broke are not asked for again."""
    proxy.use(Rule(BLOB, faults.close(1 << 20), times=3))
    assert fetch(store).fetched == len(LARGE.data)


def test_a_registry_without_ranges_serves_in_one_stream(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """It is noticed once, and the blob is right."""
    proxy.use(Rule(BLOB, without_ranges))
    blob = fetch(store)
    assert store.path(LARGE.digest).read_bytes() == LARGE.data
    assert blob.fetched <= len(LARGE.data) + SEGMENT


def test_a_redirect_is_followed_anew_for_each_segment(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """An object store's address that was good once need not be so again."""
    elsewhere = f"/signed{BLOB}"

    def redirect(exchange: Exchange) -> None:
        exchange.reply(307, {"Location": f"http://localhost:{proxy.address.rpartition(':')[2]}{elsewhere}"}, b"")

    def serve(exchange: Exchange) -> None:
        assert "Authorization" not in exchange.headers
        exchange.path = f"/v2/prefetch/app{BLOB}"
        exchange.forward()

    proxy.use(Rule(elsewhere, faults.answer(403), times=1), Rule(elsewhere, serve), Rule(BLOB, redirect))
    assert not fetch(store).failure
    assert proxy.count("GET", f"app{BLOB}") == proxy.count("GET", elsewhere) == 4


def test_what_stays_wrong_is_given_up(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """After a second try nothing is kept, and the blob says why."""
    proxy.use(Rule(f"/blobs/{SMALL.digest}", faults.corrupt))
    blob = fetch(store, SMALL)
    assert blob.failure
    assert "sends wrong content" in blob.failure.message
    assert blob.failure.kind is FailureKind.DIGEST_MISMATCH
    assert proxy.count("GET", SMALL.digest) == 2
    assert not list(store.parts.glob("sha256*"))


def test_what_is_not_there_is_given_up_at_once(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """The engine's own pull will tell."""
    proxy.use(Rule(BLOB, faults.answer(404)))
    blob = fetch(store, connections=1)
    assert blob.failure
    assert (blob.failure.status, "404" in blob.failure.message) == (404, True)
    assert proxy.count("GET", BLOB) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_size_that_is_too_large_is_found_at_once(
    store: BlobStore, proxy: Proxy, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, *, ranges: bool
) -> None:
    """A manifest says more than the registry has: the blob fails, and the engine gets it by itself."""
    monkeypatch.setattr(download, "_BACKOFF", 60)
    if not ranges:
        proxy.use(Rule(SMALL.digest, without_ranges))
    claim = Layer(SMALL.data + bytes(3 * SEGMENT), SMALL.digest, SMALL.diff_id)
    blob = fetch(store, claim)
    assert blob.failure
    assert "is shorter than its manifest says" in blob.failure.message
    assert blob.fetched <= len(SMALL.data)
    assert proxy.count("GET", SMALL.digest) <= 5


def test_what_drips_is_given_up(store: BlobStore, proxy: Proxy, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then holds no connection."""
    monkeypatch.setattr(download, "_BACKOFF", 0)
    proxy.use(Rule(SMALL.digest, faults.drip(20, 2)))
    blob = fetch(store, SMALL, read=0.3)
    assert blob.failure
    assert blob.failure.kind is FailureKind.TIMEOUT


def test_two_runs_fetch_a_blob_once(store: BlobStore, proxy: Proxy, fetch: Fetch) -> None:
    """One waits for what the other one is fetching, and finds it."""
    proxy.use(Rule(BLOB, faults.drip(4_000_000, 64 << 10)))
    first, second = fetch(store, wait=False), fetch(BlobStore(store.root, 1 << 30), wait=False)
    for blob in (first, second):
        blob.wait(blob.size, 30)
    assert first.path == second.path == store.path(LARGE.digest)
    assert proxy.sent("GET", BLOB) == len(LARGE.data)


def test_a_run_that_is_stopped_holds_no_other(store: BlobStore, fetch: Fetch) -> None:
    """One that has been stopped by a signal, for example, keeps its part, and the blob fails after a while."""
    part = open_part(store, SMALL.digest, len(SMALL.data))
    assert part
    os.utime(part.path, (1e9, 1e9))
    blob = fetch(BlobStore(store.root, 1 << 30), SMALL)
    part.close()
    assert blob.failure
    assert blob.failure.kind is FailureKind.STALLED


def test_a_full_disk_gives_its_room_back(store: BlobStore, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written whole is removed, and nothing more is begun."""
    write = os.pwritev

    def full(descriptor: int, data: list[bytes], place: int) -> int:
        if place > 1 << 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, data, place)

    monkeypatch.setattr(os, "pwritev", full)
    blob = fetch(store)
    assert blob.failure
    assert blob.failure.message == "cannot store it: No space left on device"
    assert blob.failure.kind is FailureKind.DISK_FULL
    assert not list(store.parts.glob("sha256*"))


@pytest.mark.parametrize(("boot", "kept"), [("same", 2 << 20), ("another", 0)])
def test_a_part_is_believed_as_far_as_it_must_be(
    store: BlobStore, boot: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a killed process every byte counts; after a power loss only what had reached the disk."""
    begun = open_part(store, LARGE.digest, len(LARGE.data))
    assert begun
    begun.write(begun.segments[0], [LARGE.data[: 2 << 20]])
    assert open_part(store, LARGE.digest, len(LARGE.data)) is None
    begun.close()
    if boot == "another":
        monkeypatch.setattr(journal, "_boot", lambda: b"b" * 36)
    resumed = open_part(store, LARGE.digest, len(LARGE.data))
    assert resumed
    assert resumed.resumed == kept
    resumed.close()


def test_a_part_that_was_cut_begins_anew(store: BlobStore) -> None:
    """A journal that says more than the file has is not believed."""
    begun = open_part(store, LARGE.digest, len(LARGE.data))
    assert begun
    begun.write(begun.segments[0], [LARGE.data[: 2 << 20]])
    begun.close()
    os.truncate(Path(begun.path), 1 << 20)
    resumed = open_part(store, LARGE.digest, len(LARGE.data))
    assert resumed
    assert resumed.resumed == 0
    resumed.close()
