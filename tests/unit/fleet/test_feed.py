"""Fed engines with an engine and a feed that are made up: which pull is made when, and what a failure is said to be."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import InspectedImage
from puller.engine.model import EngineInfo
from puller.errors import EngineError, FailureKind, RegistryError
from puller.fleet.feed import Feed
from puller.fleet.feed_engine import FedEngine, FedImage
from puller.fleet.forward import OpenPort, ReverseForward
from puller.fleet.ssh import SshProblem
from puller.image.reference import Platform
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings, Timeouts
from tests.lab.fakes import FakeBackend, FakeStore, Result
from tests.lab.samples import DIGEST, request

IMAGE = "a.io/x:1"
NO_ROUTE = EngineError("dial tcp 10.0.0.9:443: connect: no route to host")
GOT = EngineResult(DIGEST, up_to_date=False)
FED = f"127.0.0.1:4000/{'5' * 32}/n0@{DIGEST}"


class FakeForward:
    """A forward that is open at the port 4000, or down for good."""

    def __init__(self, problem: SshProblem | None = None) -> None:
        self.problem, self.over = problem, problem is not None
        self.now = None if problem else OpenPort(4000, Cancellation())
        self.opened = 0

    def open(self, seconds: float, cancel: Cancellation) -> None:
        """Count."""
        self.opened += 1


class FakeFeed:
    """One image, or an error of its registry."""

    def __init__(self, error: RegistryError | None = None, lost: RegistryError | None = None) -> None:
        self.server = cast(Any, SimpleNamespace(secret="5" * 32))
        self._error, self._lost = error, lost

    def image(self, request: PullRequest, platform: Platform) -> FedImage:
        """Know it."""
        if self._error:
            raise self._error
        return FedImage("n0", DIGEST, "sha256:config", frozenset())

    @contextmanager
    def pulling(self, image: FedImage, cancel: Cancellation) -> Iterator[None]:
        """Cancel nothing."""
        yield

    def failure(self, image: FedImage) -> RegistryError | None:
        """Tell what was lost."""
        return self._lost


class Fed:
    """A fed engine, and what was done with it."""

    def __init__(
        self, script: dict[str, Result], feed: FakeFeed | None = None, forward: FakeForward | None = None, **more: Any
    ) -> None:
        self.store = FakeStore(facts=EngineInfo(platform=Platform("linux", "amd64"), identity="e"))
        self.backend = FakeBackend(script, store=self.store, **more)
        self.forward, self.notes = forward or FakeForward(), list[str]()
        stack = ExitStack()
        way = cast(ReverseForward, self.forward)
        self.engine = FedEngine(self.backend, feed or FakeFeed(), way, stack, self.notes.append)

    def pull(self, image: str = IMAGE) -> EngineResult:
        """Pull an image."""
        return self.engine.pull(request(image), cancel=Cancellation(), clocks=Timeouts(), progress=lambda _: None)

    @property
    def tried(self) -> list[str]:
        """The references that the engine was asked for."""
        return [*self.backend.attempts]


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep names on loopback on record in a directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_an_image_is_pulled_from_loopback_and_then_by_the_digest_of_its_registry() -> None:
    """The tag is set, as the list says, and the name on loopback is removed."""
    fed = Fed({})
    assert fed.pull() == GOT._replace(up_to_date=False)
    assert [name.rpartition("/")[2] for name in fed.tried] == [f"n0@{DIGEST}", "x:1"]
    assert fed.store.tagged == [(f"a.io/x@{DIGEST}", IMAGE)]
    assert fed.store.untagged == [FED]


def test_a_host_without_a_route_gets_the_tag_and_is_asked_once() -> None:
    """The second image of that registry is not even tried by name; the warning says what the engine does not know."""
    has = {"a.io/x:1": InspectedImage("i"), "a.io/y:1": InspectedImage("i")}
    fed = Fed({IMAGE: NO_ROUTE, "a.io/y:1": NO_ROUTE}, has=has)
    first, second = fed.pull(), fed.pull("a.io/y:1")
    assert (first.by_tag, second.by_tag, first.digest) == (True, True, DIGEST)
    assert "gets nothing from a.io (network unreachable): the image is the right one" in first.warning
    assert fed.store.tagged == [(FED, IMAGE), (FED, "a.io/y:1")]
    assert "a.io/y:1" not in fed.tried


def test_a_store_that_has_the_digest_from_the_tag_needs_no_warning() -> None:
    """As the containerd store."""
    fed = Fed({IMAGE: NO_ROUTE}, has={IMAGE: InspectedImage("i", (DIGEST,))})
    assert fed.pull().warning == ""


def test_what_this_machine_cannot_get_is_pulled_by_the_host() -> None:
    """With a note; if the host cannot get it either, both reasons are told, and the kind is this machine's."""
    denied = FakeFeed(RegistryError("a.io: status 401", status=401))
    fed = Fed({}, denied)
    assert fed.pull().digest == DIGEST
    assert fed.notes == ["images were pulled without --feed: a.io: status 401"]
    fed = Fed({IMAGE: NO_ROUTE}, denied)
    with pytest.raises(EngineError, match=r"a.io: status 401; the host itself: dial tcp .* no route to host") as caught:
        fed.pull()
    assert caught.value.kind is FailureKind.UNAUTHORIZED


def test_a_host_that_is_lost_is_not_the_fault_of_what_cannot_be_fed() -> None:
    """Its own error is told, so that it is a host that cannot be reached, and is waited for."""
    gone = EngineError("the engine closed the connection", kind=FailureKind.ENGINE_DISCONNECTED)
    fed = Fed({IMAGE: gone}, FakeFeed(RegistryError("a.io: status 401", status=401)))
    with pytest.raises(EngineError, match=r"^the engine closed the connection$") as caught:
        fed.pull()
    assert caught.value.kind is FailureKind.ENGINE_DISCONNECTED


def test_a_forward_that_sshd_forbids_is_no_fault_of_a_registry() -> None:
    """The kind is none that lets a registry count as down for all hosts."""
    forward = FakeForward(SshProblem(FailureKind.LOGIN_DENIED, "ssh: the host's sshd forbids forwards"))
    fed = Fed({IMAGE: NO_ROUTE}, forward=forward)
    with pytest.raises(EngineError, match="--feed: ssh: the host's sshd forbids forwards; the host itself") as caught:
        fed.pull()
    assert (caught.value.kind, forward.opened) == (FailureKind.ENGINE_DISCONNECTED, 1)


def test_an_engine_with_a_network_of_its_own_pulls_by_itself() -> None:
    """As a rootless one: nothing listens at its 127.0.0.1, although the forward is open."""
    refused = EngineError('Get "http://127.0.0.1:4000/v2/": dial tcp 127.0.0.1:4000: connect: connection refused')
    fed = Fed({FED: refused})
    assert fed.pull().digest == DIGEST
    (note,) = fed.notes
    assert note.startswith("images were pulled without --feed: the engine does not reach 127.0.0.1 of its host: ")


def test_a_full_disk_is_told_at_once() -> None:
    """The host is not asked to pull the same image again."""
    fed = Fed({FED: EngineError("no space left on device")})
    with pytest.raises(EngineError) as caught:
        fed.pull()
    assert caught.value.kind is FailureKind.DISK_FULL
    assert fed.tried == [FED]


def test_a_digest_without_a_tag_needs_the_registry() -> None:
    """There is no tag to set, and the message says what to do."""
    pinned = f"a.io/x@{DIGEST}"
    fed = Fed({pinned: NO_ROUTE})
    with pytest.raises(EngineError, match="only a tag can be set there: add one to the list"):
        fed.pull(pinned)
    assert not fed.store.tagged


def test_an_image_that_an_earlier_run_left_is_up_to_date() -> None:
    """The store has it under its tag, without a digest: it is only asked for by name, and no forward is opened."""
    fed = Fed({IMAGE: NO_ROUTE}, has={IMAGE: InspectedImage("sha256:config")})
    pulled = fed.pull()
    assert (pulled.up_to_date, pulled.by_tag, fed.forward.opened) == (True, True, 0)
    assert (fed.tried, fed.store.tagged, fed.store.untagged) == ([IMAGE], [], [])


def test_the_bandwidth_is_that_of_what_is_sent_too(tmp_path: Path) -> None:
    """All hosts get their layers through one limit, of which a tenth of a second passes at once."""
    with RegistryClient() as client, closing(BlobStore(tmp_path / "cache", 1 << 30)) as store:
        for bandwidth, share in ((None, 1 << 30), (50_000.0, 5_000)):
            with closing(Feed(client, store, PrefetchSettings(bandwidth=bandwidth))) as feed:
                assert feed.server.bandwidth.share(1 << 30) == share
