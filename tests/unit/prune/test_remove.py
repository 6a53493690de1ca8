"""What is removed, and where that ends, with images in memory."""

from pathlib import Path

import pytest

from puller.engine.disk import DiskShortage
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.prune.pull_record import PulledName, PullRecord
from puller.prune.remove import make_room
from tests.lab.fakes import FakeStore


def test_no_more_room_is_made_once_the_free_space_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the data root goes away meanwhile: then nothing says when to end, and everything would be removed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    root, images = tmp_path / "data", []
    root.mkdir()
    for number in "12":
        name, identity = f"a.io/x:{number}", f"sha256:{number * 64}"
        images.append(LocalImage(identity, (name,), (), size=1000))
        known = PulledName(name, identity, identity, "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", new=True)
        PullRecord("one").update(lambda before, known=known: (*before, known))  # type: ignore[misc]

    class Vanishing(FakeStore):
        def untag(self, name: str) -> None:
            super().untag(name)
            root.rename(tmp_path / "gone")

    store = Vanishing(LocalImages(tuple(images)), EngineInfo(identity="one", data_root=str(root), local=True))
    told: list[str] = []
    assert make_room(DiskShortage(str(root), 1 << 60, 0, 1), store, (), told.append)
    assert len(store.untagged) == 1, told
