"""No name on loopback stays in an engine, whatever becomes of the run that made it."""

import subprocess
import sys
from pathlib import Path

import pytest

from puller.blobs.loopback_names import on_record, remove_leftovers
from puller.cli.commands.prune import _prune
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError
from puller.imagelist.requests import RequestedImages
from puller.settings import Settings
from tests.lab import wait_until
from tests.lab.fakes import FakeBackend, FakeStore, pull_all
from tests.lab.samples import DIGEST, request

PLACE = f"127.0.0.1:4321/{'0' * 32}"
LEFT, TAGGED, OTHER = f"{PLACE}/n0@{DIGEST}", f"{PLACE}/n1:v1", f"127.0.0.1:4321/{'1' * 32}/n0@{DIGEST}"
_KILLED = f"""
import os
from puller.blobs.loopback_names import on_record
from puller.engine.model import EngineInfo
from tests.lab import wait_until
from tests.lab.fakes import FakeStore
with on_record(FakeStore(facts=EngineInfo(identity="one")), {PLACE!r}):
    os.kill(os.getpid(), 9)
"""


class Engine(FakeStore):
    """An engine with images of a run on loopback."""

    def __init__(self, identity: str = "one", *, refuses: bool = False) -> None:
        """With `refuses` it removes no name."""
        image = LocalImage(DIGEST, ("docker.io/library/app:v1", TAGGED), (LEFT, OTHER))
        super().__init__(LocalImages([image]), EngineInfo(identity=identity))
        self.refuses = refuses

    def untag(self, name: str) -> None:
        """Refuse, or remember it."""
        if self.refuses:
            raise EngineError("conflict: the image is in use")
        super().untag(name)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a state directory of this test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "puller/loopback"


@pytest.fixture
def killed(state: Path) -> None:
    """Kill a run while its names are in the engine."""
    assert subprocess.run([sys.executable, "-c", _KILLED], check=False).returncode == -9


def test_a_run_that_ends_leaves_nothing(state: Path) -> None:
    """Neither names nor a record of them."""
    engine = Engine()
    with on_record(engine, PLACE):
        assert len([*state.iterdir()]) == 1
    assert engine.untagged == [TAGGED, LEFT]
    assert not [*state.iterdir()]


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("later", ["pull", "prefetch", "prune"])
def test_a_later_run_removes_what_a_killed_one_left(state: Path, later: str) -> None:
    """Whatever it does, though somebody else may listen on that port now, and only that."""
    engine = Engine()
    if later == "pull":
        pull_all([request()], FakeBackend(store=engine), Settings())
    elif later == "prune":
        options = {"until_free": None, "form": "text", "dry_run": False, "keep_last": 0}
        _prune(RequestedImages((), (), ()), engine, options, asks=False)
    else:
        with on_record(engine, f"127.0.0.1:5000/{'2' * 32}"):
            pass
    assert wait_until(lambda: not [*state.iterdir()], 10)
    assert engine.untagged == [TAGGED, LEFT]


@pytest.mark.usefixtures("killed")
def test_what_cannot_be_removed_stays_on_record(state: Path) -> None:
    """Until a run can."""
    remove_leftovers(Engine(refuses=True))
    remove_leftovers(Engine("another"))
    assert len([*state.iterdir()]) == 1
    remove_leftovers(Engine())
    assert not [*state.iterdir()]


def test_the_names_of_a_run_that_lives_stay(state: Path) -> None:
    """It still needs them."""
    engine = Engine()
    with on_record(engine, PLACE):
        remove_leftovers(engine)
        assert engine.untagged == []
        assert len([*state.iterdir()]) == 1
