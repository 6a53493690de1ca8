"""The store keeps what is used, and no more than it may."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puller.blobs.leftovers import claims_in, only_old, wanted_by_killed_runs, write_claims
from puller.blobs.store import BlobStore
from tests.lab import Layer, layer
from tests.unit.blobs.conftest import LARGE, SMALL


def put(store: BlobStore, blob: Layer, age: int = 0) -> Path:
    """Keep a blob that was last used so many seconds ago."""
    store.add(blob.digest, blob.data)
    path = store.path(blob.digest)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_it_is_an_oci_layout_of_its_owner(store: BlobStore) -> None:
    """Other programs can read it; other users cannot."""
    assert (store.root / "oci-layout").read_text() == '{"imageLayoutVersion": "1.0.0"}'
    assert store.root.joinpath("blobs").stat().st_mode & 0o077 == 0


def test_a_blob_is_found_as_long_as_it_is_right(store: BlobStore) -> None:
    """One that is not is removed."""
    path = put(store, SMALL)
    assert store.find(SMALL.digest, len(SMALL.data)) == path
    path.write_bytes(b"x" + SMALL.data[1:])
    assert store.find(SMALL.digest, len(SMALL.data)) is None
    assert not path.exists()


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    """A run ends with a store within its limit; what the run still needs stays."""
    store = BlobStore(tmp_path, 250_000)
    oldest, older, newest = (put(store, layer(f"store-{age}", 100_000), age) for age in (3, 2, 1))
    store.trim({"sha256:" + oldest.name})
    assert [path.exists() for path in (oldest, older, newest)] == [True, False, True]
    store.close()


def test_nothing_goes_while_another_run_lives(tmp_path: Path) -> None:
    """It may be about to use it; the last one to leave tidies up."""
    first, second = BlobStore(tmp_path, 0), BlobStore(tmp_path, 0)
    path = put(first, SMALL)
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_run_that_was_killed_keeps_nothing(tmp_path: Path) -> None:
    """The next run tidies up after it."""
    holds = "import sys, os; from pathlib import Path; from puller.blobs.store import BlobStore; "
    holds += "store = BlobStore(Path(sys.argv[1]), 0); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", holds, str(tmp_path)], check=False).returncode == -9
    store = BlobStore(tmp_path, 0)
    path = put(store, SMALL)
    store.close()
    assert not path.exists()


def test_a_folder_of_images_is_no_cache(tmp_path: Path) -> None:
    """Without a limit nothing is ever removed, and nothing of ours is left beside the images."""
    store = BlobStore(tmp_path / "images", None)
    path = put(store, SMALL)
    (store.parts / f"{SMALL.digest.replace(':', '-')}.0123abcd").touch()  # a killed run was writing a manifest
    store.close()
    assert path.exists()
    assert {each.name for each in store.root.iterdir()} == {"blobs", "index.json", "oci-layout"}


def temporary(root: Path) -> BlobStore:
    """Open a store that is not to be kept."""
    return BlobStore(root, 1 << 30, keep=False)


def test_a_temporary_folder_is_removed_by_the_last_run(tmp_path: Path) -> None:
    """Also with what another run left in it that was killed."""
    root = tmp_path / "blobs"
    holds = "import sys, os; from pathlib import Path; from puller.blobs.store import BlobStore; "
    holds += (
        "store = BlobStore(Path(sys.argv[1]), 9, keep=False); store.add('sha256:ab', b'x'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", holds, str(root)], check=False).returncode == -9
    first, second = temporary(root), temporary(root)
    path = put(first, SMALL)
    assert first.path("sha256:ab").exists()
    first.close()
    assert path.exists()
    second.close()
    assert not root.exists()


def test_an_interrupted_run_leaves_what_the_next_can_use(tmp_path: Path) -> None:
    """That one removes it; a folder without blobs is of no use."""
    store = temporary(tmp_path / "blobs")
    store.close(resumable=True)
    assert not store.root.exists()
    store = temporary(tmp_path / "blobs")
    path = put(store, SMALL)
    store.close(resumable=True)
    assert path.exists()
    temporary(tmp_path / "blobs").close()
    assert not store.root.exists()


ONE, TWO = "docker.io/library/one:v1", "docker.io/library/two:v1"


def killed(root: Path, image: str, seconds_ago: float = 0) -> Path:
    """Leave what a killed run for an image leaves; return its blob."""
    store = BlobStore(root, 1 << 30, keep=False, images=[image])
    path = put(store, SMALL)
    os.close(store._in_use)  # as the end of a process does
    write_claims(root, [each._replace(since=each.since - seconds_ago) for each in claims_in(root)])
    return path


def test_what_a_killed_run_left_is_for_its_images(tmp_path: Path) -> None:
    """A run of others leaves it alone; a run of them removes it at its end."""
    root = tmp_path / "blobs"
    path = killed(root, ONE)
    assert wanted_by_killed_runs(root, [ONE, TWO]) == {ONE}
    other = BlobStore(root, 1 << 30, keep=False, images=[TWO])
    own = put(other, LARGE)
    other.close()
    assert path.exists()
    assert not own.exists()
    assert wanted_by_killed_runs(root, [ONE, TWO]) == {ONE}
    BlobStore(root, 1 << 30, keep=False, images=[TWO, ONE]).close()
    assert not root.exists()


def test_what_is_old_is_for_nobody(tmp_path: Path) -> None:
    """After a week any run removes it."""
    root = tmp_path / "blobs"
    killed(root, ONE, 8 * 24 * 3600)
    assert not wanted_by_killed_runs(root, [ONE])
    assert only_old(root)
    BlobStore(root, 0, keep=False).close()
    assert not root.exists()


def test_nothing_is_removed_while_its_run_lives(tmp_path: Path) -> None:
    """Whatever the other run is for."""
    root = tmp_path / "blobs"
    first, second = (BlobStore(root, 1 << 30, keep=False, images=[image]) for image in (ONE, TWO))
    path = put(first, SMALL)
    second.close()
    assert path.exists()
    first.close()
    assert not root.exists()


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half of a store nor its mark."""

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        BlobStore(tmp_path / "blobs", 1 << 30, keep=False, images=[ONE])
    assert not (tmp_path / "blobs").exists()


def test_a_run_that_keeps_the_folder_makes_it_a_cache(tmp_path: Path) -> None:
    """Runs that do not need a cache leave its blobs there."""
    crashed = temporary(tmp_path)
    path = put(crashed, SMALL)
    cache = BlobStore(tmp_path, 1 << 30)
    for store in (crashed, cache, temporary(tmp_path)):
        store.close()
    assert path.exists()
