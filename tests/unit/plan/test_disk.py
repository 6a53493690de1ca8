"""When the disk check asks whom: what it costs where nothing is wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from puller.cancellation import Cancellation
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, RegistryError
from puller.image.reference import Platform
from puller.plan.disk import check_disk
from puller.plan.inventory import EngineInventory
from puller.pull.disk_check import DiskCheck
from puller.registry.client import RegistryClient
from tests.lab.fakes import FakeStore
from tests.lab.samples import request

HELD = LocalImages([LocalImage("sha256:1", ("docker.io/library/nginx:1.27",))])
AMD64 = Platform("linux", "amd64")


@pytest.fixture
def unasked() -> Iterator[RegistryClient]:
    """Make a client that no registry answers."""
    with RegistryClient() as client:
        yield client


def facts(folder: Path, *, local: bool = True) -> EngineInfo:
    """Keep images in a folder."""
    return EngineInfo(AMD64, data_root=str(folder), local=local)


def free(mocker: MockerFixture, count: int) -> None:
    """Let so many bytes be free."""
    seen = os.statvfs_result((4096, 4096, 1 << 25, 1 << 25, count // 4096, 0, 0, 0, 0, 255))
    mocker.patch("os.statvfs", return_value=seen)


def test_where_nothing_is_absent_no_registry_is_asked(
    tmp_path: Path, mocker: MockerFixture, unasked: RegistryClient
) -> None:
    """Only the list of images is; and that is not asked for where it is known already."""
    free(mocker, 1 << 20)
    store = FakeStore(HELD, facts(tmp_path))
    assert check_disk([request("nginx:1.27")], EngineInventory(store), unasked, print) is None
    assert store.questions == 1
    assert check_disk([request("nginx:1.27")], EngineInventory(store, lambda: HELD), unasked, print) is None
    assert store.questions == 1


def admit(check: DiskCheck, *images: str) -> None:
    """Let the check admit these images."""
    check.admit([*map(request, images)], Cancellation())
    assert check.why is None


def test_a_wide_disk_is_not_measured(tmp_path: Path, mocker: MockerFixture, unasked: RegistryClient) -> None:
    """Where there is room for the largest of images, not even the engine is asked what it has."""
    free(mocker, 60 << 30)
    store, said = FakeStore(HELD, facts(tmp_path)), list[str]()
    admit(check := DiskCheck(store, store.holdings, unasked, said.append), "redis")
    assert (check.over(), store.questions) == (True, 0)
    quick = mocker.patch.object(unasked, "quick", side_effect=RegistryError("asked"))
    admit(check := DiskCheck(store, store.holdings, unasked, said.append), *(f"redis:{n}" for n in range(9)))
    assert check.over(10)
    assert (quick.call_count, said) == (1, ["disk not checked: asked"])


def test_what_cannot_be_seen_is_said(tmp_path: Path, unasked: RegistryClient) -> None:
    """An engine elsewhere, one that does not say where, and a folder that is not there."""
    said: list[str] = []
    for known in (facts(tmp_path, local=False), EngineInfo(AMD64), facts(tmp_path / "gone")):
        store = FakeStore(HELD, known)
        admit(DiskCheck(store, store.holdings, unasked, said.append), "redis")
    assert [words.partition(": ")[2] for words in said] == [
        "the engine is not known to be on this host",
        "the engine does not report its data root",
        f"the data root {tmp_path / 'gone'} cannot be examined: No such file or directory",
    ]


def test_an_engine_in_trouble_is_said(tmp_path: Path, mocker: MockerFixture, unasked: RegistryClient) -> None:
    """The pull will find out for itself."""
    said: list[str] = []
    store = FakeStore(facts=facts(tmp_path))
    free(mocker, 1 << 20)
    mocker.patch.object(store, "holdings", side_effect=EngineError("gone"))
    admit(DiskCheck(store, store.holdings, unasked, said.append), "redis")
    assert said == ["disk not checked: gone"]


def test_free_room_is_what_the_system_says(tmp_path: Path) -> None:
    """In bytes, as df tells it."""
    inventory = EngineInventory(FakeStore(facts=facts(tmp_path)))
    assert inventory.disk(1).free
    assert (inventory.disk(1).enough, inventory.disk(1 << 60).enough) == (True, False)
    assert EngineInventory(FakeStore(facts=EngineInfo())).disk(1).enough is None
