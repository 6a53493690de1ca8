"""The contract of `puller.engine.interface.Engine`, which every implementation fulfils.

What an implementation cannot do stands with its reason in `tests.engine.implementations.LACKS`.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import NOTHING, Engine
from puller.errors import CancelledError, EngineError, FailureKind as Kind
from puller.events import Progress
from puller.failure import classify
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from tests import lab
from tests.engine.implementations import IMPLEMENTATIONS, LACKS, OF_BACKEND, WITHOUT_ENGINE, Ability, Place
from tests.engine.test_environment import authorization
from tests.engine.test_signals import processes_naming
from tests.lab import (
    HOST_PLATFORM,
    LAB_ACCOUNT,
    Proxy,
    PushedImage,
    Registry,
    Rule,
    WorldError,
    faults,
    layer,
    wait_until,
)
from tests.lab.podman import Podman

LONG = 60.0
"""Seconds: no test gets that far."""
SOON = 6.0
"""Seconds within which something that is told to end has ended, on a busy machine."""
BLOBS = "/blobs/"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with every implementation that belongs to the backends and the engine of this run."""
    if "implementation" in metafunc.fixturenames:
        backends = metafunc.config.getoption("--backends").split(",")
        names = [name for backend in backends for name in OF_BACKEND[backend]]
        if metafunc.config.getoption("--engine") != "installed":
            names = [name for name in names if name not in WITHOUT_ENGINE]
        metafunc.parametrize("implementation", names)


@pytest.fixture
def place(
    implementation: str,
    engine: lab.Engine,
    registry: Registry,
    proxy: Proxy,
    private: Registry,
    podman: Podman | WorldError,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """Prepare an empty Docker Engine, an empty folder, and an environment in which only these count."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("puller.engine.cli.engine._FACTS_SECONDS", LONG)  # podman takes seconds on a busy machine
    return Place(engine, podman, tmp_path, (registry.address, proxy.address, private.address), monkeypatch)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman | WorldError:
    """Prepare one podman for all tests, whose images have names of their own; or say why there is none."""
    try:
        return Podman(tmp_path_factory.mktemp("podman"))
    except WorldError as error:
        return error


@pytest.fixture(scope="module")
def private() -> Iterator[Registry]:
    """Start a registry that wants a login."""
    with Registry(LAB_ACCOUNT) as registry:
        yield registry


class Opener:
    """Opens the implementation, and closes it as a run does at its end."""

    def __init__(self, implementation: str, place: Place) -> None:
        self._open = IMPLEMENTATIONS[implementation]
        self._place = place
        self._stack = ExitStack()

    def __call__(self, *requests: PullRequest) -> Engine:
        """Open it for these images."""
        engine = self._stack.enter_context(self._open(self._place, requests))
        self._stack.callback(engine.close)
        return engine

    def close(self) -> None:
        """Close what is open."""
        self._stack.close()


@pytest.fixture
def opened(implementation: str, place: Place) -> Iterator[Opener]:
    """Open the implementation under test; it is closed after the test."""
    opener = Opener(implementation, place)
    yield opener
    opener.close()


def needs(implementation: str, *abilities: Ability) -> None:
    """Skip the test for an implementation that lacks one of these abilities, with the reason in the table."""
    for ability in abilities:
        if reason := LACKS[implementation].get(ability):
            pytest.skip(f"{implementation} does not do this: {ability}: {reason}")


def named(text: str, platform: str | None = None) -> PullRequest:
    """Ask for one image."""
    return PullRequest(ImageReference.parse(text), Platform.parse(platform) if platform else None)


def pull(
    engine: Engine,
    request: PullRequest,
    *,
    attempt: float | None = LONG,
    stall: float | None = LONG,
    cancel: Cancellation | None = None,
    heard: list[Progress] | None = None,
) -> EngineResult:
    """Pull one image; a time limit that is not given is long."""
    return engine.pull(
        request,
        cancel=cancel or Cancellation(),
        clocks=Timeouts(attempt, stall, stall),
        progress=(heard if heard is not None else []).append,
    )


def failure_of(engine: Engine, request: PullRequest, **limits: float) -> EngineError:
    """Pull one image, which fails."""
    with pytest.raises(EngineError) as caught:
        pull(engine, request, **limits)  # type: ignore[arg-type]
    return caught.value


def kind_of(error: EngineError) -> Kind:
    """Say which kind of failure puller reports for an error."""
    return error.kind or classify(error.message, error.status).kind


def pushed(registry: Registry, implementation: str, name: str, size: int = 20_000, tag: str = "v1") -> PushedImage:
    """Push an image that no other test has the layers of."""
    own = f"{implementation}-{name}"
    return lab.push_image(registry, f"conformance/{own}", tag, [layer(own, size)])


def assert_nothing_is_left(place: Place, proxy: Proxy) -> None:
    """No process that was started for the pull lives, and the containerd store has let go of the registry."""
    assert processes_naming(proxy.address) == []
    if place.dockerd.binary.store == "containerd":
        assert wait_until(lambda: proxy.in_flight() == 0, 20)


# A pull that succeeds.


def test_a_pull_returns_the_digest_of_the_reference(implementation: str, opened: Opener, registry: Registry) -> None:
    """What was not there has been pulled, and the engine knows it; each step it tells of belongs to the request."""
    image = pushed(registry, implementation, "pull")
    request, heard = named(image.reference), list[Progress]()
    engine = opened(request)
    assert pull(engine, request, heard=heard) == EngineResult(image.digest, up_to_date=False)
    assert {each.request for each in heard} <= {request}
    held = engine.inspect(request.reference, cancel=Cancellation())
    assert held
    assert held.identity
    assert engine.store.holdings().tagged(request.reference)
    if Ability.KEEPS_DIGEST not in LACKS[implementation]:
        assert image.digest in held.digests


def test_the_next_run_is_up_to_date(implementation: str, opened: Opener, registry: Registry) -> None:
    """Its digest is the same."""
    needs(implementation, Ability.UP_TO_DATE)
    image = pushed(registry, implementation, "again")
    request = named(image.reference)
    assert not pull(opened(request), request).up_to_date
    opened.close()
    assert pull(opened(request), request) == EngineResult(image.digest, up_to_date=True)


def test_a_tag_that_has_moved_is_pulled_again(implementation: str, opened: Opener, registry: Registry) -> None:
    """The digest is the new one."""
    needs(implementation, Ability.REGISTRY)
    request = named(pushed(registry, implementation, "moves").reference)
    pull(opened(request), request)
    moved = lab.push_image(registry, f"conformance/{implementation}-moves", layers=[layer("moved")])
    assert pull(opened(request), request) == EngineResult(moved.digest, up_to_date=False)


def test_a_digest_is_pulled_by_itself(implementation: str, opened: Opener, registry: Registry) -> None:
    """No tag is asked for."""
    needs(implementation, Ability.BY_DIGEST)
    image = pushed(registry, implementation, "pinned", tag="")
    request = named(image.reference)
    assert pull(opened(request), request) == EngineResult(image.digest, up_to_date=False)


def test_an_index_is_known_by_its_own_digest(implementation: str, opened: Opener, registry: Registry) -> None:
    """Not by that of the platform's manifest; and when the tag stands for another index, by the new one's."""
    name, host = f"conformance/{implementation}-index", layer(f"{implementation}-host")
    for other in ("one", "another"):
        layers = {HOST_PLATFORM: [host], "linux/s390x": [layer(f"{implementation}-{other}")]}
        index = lab.push_index(registry, name, "v1", layers)
        request = named(index.reference)
        assert pull(opened(request), request).digest == index.digest
        opened.close()


def test_many_threads_pull_at_once(implementation: str, opened: Opener, registry: Registry) -> None:
    """Six images that share a layer, asked about meanwhile; each gets its own digest."""
    shared = layer(f"{implementation}-shared", 200_000)
    images = [
        lab.push_image(
            registry, f"conformance/{implementation}-many{n}", layers=[shared, layer(f"{implementation}{n}")]
        )
        for n in range(6)
    ]
    requests = [named(image.reference) for image in images]
    engine = opened(*requests)

    def pull_and_inspect(request: PullRequest) -> tuple[str | None, bool]:
        result = pull(engine, request)
        return result.digest, engine.inspect(request.reference, cancel=Cancellation()) not in {None, NOTHING}

    with ThreadPoolExecutor(len(requests)) as pool:
        ends = list(pool.map(pull_and_inspect, requests))
    assert ends == [(image.digest, True) for image in images]


# A pull that fails.


@pytest.mark.parametrize("missing", ["tag", "repository"])
def test_what_the_registry_does_not_have_is_not_found(
    implementation: str, opened: Opener, registry: Registry, missing: str
) -> None:
    """The error says it in the engine's words, and puller reads these right."""
    needs(implementation, Ability.REGISTRY)
    image = pushed(registry, implementation, "here")
    wanted = f"{image.address}/{image.repository}:none" if missing == "tag" else f"{image.address}/conformance/none:v1"
    error = failure_of(opened(named(wanted)), named(wanted))
    assert kind_of(error) is Kind.NOT_FOUND, error.message


def test_a_login_that_is_missing_is_said(implementation: str, opened: Opener, private: Registry) -> None:
    """And a login in docker's configuration is used."""
    needs(implementation, Ability.REGISTRY)
    request = named(pushed(private, implementation, "private").reference)
    error = failure_of(opened(request), request)
    assert kind_of(error) is Kind.UNAUTHORIZED, error.message


def test_a_login_is_used(implementation: str, opened: Opener, place: Place, private: Registry, tmp_path: Path) -> None:
    """The one in docker's config.json; podman, which has a file of its own, finds it there, too."""
    needs(implementation, Ability.REGISTRY)
    image = pushed(private, implementation, "login")
    auths = {private.address: {"auth": authorization(LAB_ACCOUNT.user, LAB_ACCOUNT.password)}}
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": auths}))
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
    request = named(image.reference)
    assert pull(opened(request), request).digest == image.digest


def test_a_platform_that_is_missing_is_said(implementation: str, opened: Opener, registry: Registry) -> None:
    """Of an index that has others."""
    needs(implementation, Ability.SAYS_MISSING_PLATFORM)
    index = lab.push_index(registry, f"conformance/{implementation}-platforms", "v1", {"linux/s390x": [layer("s390x")]})
    request = named(index.reference, "linux/ppc64le")
    error = failure_of(opened(request), request)
    assert kind_of(error) is Kind.NO_MATCHING_PLATFORM, error.message


# A pull that is ended.


def test_a_pull_is_cancelled_within_seconds(
    implementation: str, opened: Opener, place: Place, registry: Registry, proxy: Proxy
) -> None:
    """In the middle of a layer; when it has raised, nothing of it goes on, and the image can be pulled again."""
    needs(implementation, Ability.REGISTRY)
    image = pushed(registry, implementation, "cancel", 3_000_000)
    proxy.use(Rule(BLOBS + image.layers[0].digest, faults.stall(1_000_000, LONG), method="GET"))
    request, cancel = named(image.at(proxy.address)), Cancellation()
    engine, ends = opened(request), list[tuple[str, float]]()

    def cancelled() -> None:
        with pytest.raises(CancelledError):
            pull(engine, request, cancel=cancel)
        ends.append(("cancelled", time.monotonic()))

    thread = threading.Thread(target=cancelled)
    thread.start()
    proxy.wait_for("GET", BLOBS + image.layers[0].digest)
    began = time.monotonic()
    cancel.cancel("the test says so")
    thread.join(LONG)
    ((_, ended),) = ends
    assert ended - began < SOON
    opened.close()
    assert_nothing_is_left(place, proxy)
    proxy.use()
    assert pull(opened(request), request).digest == image.digest


def test_what_is_cancelled_already_does_not_begin(implementation: str, opened: Opener, registry: Registry) -> None:
    """The image is not there afterwards."""
    request, cancel = named(pushed(registry, implementation, "late", 1_000_000).reference), Cancellation()
    engine = opened(request)
    cancel.cancel("the test says so")
    with pytest.raises(CancelledError):
        pull(engine, request, cancel=cancel)
    assert engine.store.holdings().tagged(request.reference) is None or implementation == "load"


def test_an_attempt_ends_at_its_limit(
    implementation: str, opened: Opener, place: Place, registry: Registry, proxy: Proxy
) -> None:
    """Bytes that come too slowly are a timeout, not a stall."""
    needs(implementation, Ability.ATTEMPT_LIMIT)
    image = pushed(registry, implementation, "slow", 4_000_000)
    proxy.use(Rule(BLOBS + image.layers[0].digest, faults.drip(50_000, 5_000), method="GET"))
    request = named(image.at(proxy.address))
    engine, began = opened(request), time.monotonic()
    error = failure_of(engine, request, attempt=1.0)
    assert time.monotonic() - began < SOON
    assert (error.kind, error.message) == (Kind.TIMEOUT, "not done within 1s")
    opened.close()
    assert_nothing_is_left(place, proxy)


def test_an_attempt_that_stands_still_is_stalled(
    implementation: str, opened: Opener, place: Place, registry: Registry, proxy: Proxy
) -> None:
    """No byte of a layer comes."""
    needs(implementation, Ability.STALL_LIMIT)
    image = pushed(registry, implementation, "mute")
    proxy.use(Rule(BLOBS + image.layers[0].digest, faults.hang(LONG), method="GET"))
    request = named(image.at(proxy.address))
    engine, began = opened(request), time.monotonic()
    error = failure_of(engine, request, stall=1.0)
    assert time.monotonic() - began < SOON
    assert (error.kind, error.message) == (Kind.STALLED, "stalled: no progress for 1.0s while downloading")
    assert engine.inspect(request.reference, cancel=Cancellation()) == NOTHING
    opened.close()
    assert_nothing_is_left(place, proxy)


# What the engine has.


def test_an_image_that_is_absent_is_nothing(implementation: str, opened: Opener, registry: Registry) -> None:
    """Neither an error nor a guess."""
    request = named(f"{registry.address}/conformance/absent:v1")
    engine = opened()
    assert engine.inspect(request.reference, cancel=Cancellation()) == NOTHING
    assert engine.store.holdings().tagged(request.reference) is None
    assert engine.alive()
    assert engine.engine


def test_everything_that_was_pulled_is_held(implementation: str, opened: Opener, registry: Registry) -> None:
    """By its tag and by its digest."""
    needs(implementation, Ability.KEEPS_DIGEST)
    images = [pushed(registry, implementation, f"held{n}") for n in range(3)]
    requests = [named(image.reference) for image in images]
    engine = opened(*requests)
    for request in requests:
        pull(engine, request)
    holdings = engine.store.holdings()
    for image, request in zip(images, requests, strict=True):
        held, inspected = holdings.tagged(request.reference), engine.inspect(request.reference, cancel=Cancellation())
        assert held
        assert inspected
        assert held.digests_in(request.reference.name) == (image.digest,)
        assert holdings.pinned(ImageReference.parse(f"{request.reference.name}@{image.digest}")) is held
        assert held.identity == inspected.identity
    assert len([held for held in holdings.images if "-held" in str(held.digests)]) == len(images)


def test_names_come_and_go(implementation: str, opened: Opener, registry: Registry) -> None:
    """A second name for an image, and the first one removed: the image stays. A name that is gone is an error."""
    needs(implementation, Ability.NAMES)
    request = named(pushed(registry, implementation, "names").reference)
    engine, other = opened(request), ImageReference.parse(f"example.org/other/{implementation}:v9")
    pull(engine, request)
    engine.store.tag(request.reference.text, other)
    engine.store.untag(request.reference.text)
    holdings = engine.store.holdings()
    assert holdings.tagged(other)
    assert holdings.tagged(request.reference) is None
    with pytest.raises(EngineError, match=r"(?i)no such image|image not known"):
        engine.store.untag(request.reference.text)


def test_images_are_described(implementation: str, opened: Opener, registry: Registry) -> None:
    """By their diff IDs, base first, and the platform; an image that has gone meanwhile is left out."""
    needs(implementation, Ability.NAMES)
    layers = [layer(f"content{n}") for n in range(3)]
    images = [
        lab.push_image(registry, f"conformance/{implementation}-made{n}", layers=layers[: n + 1]) for n in range(3)
    ]
    requests = [named(image.reference) for image in images]
    engine = opened(*requests)
    identities = []
    for request in requests:
        pull(engine, request)
        held = engine.store.holdings().tagged(request.reference)
        assert held
        identities.append(held.identity)
    contents = engine.store.contents(identities)
    assert [content.identity for content in contents] == identities
    assert [content.layers for content in contents] == [
        tuple(each.diff_id for each in layers[: n + 1]) for n in range(3)
    ]
    assert {str(content.platform) for content in contents} == {HOST_PLATFORM}
    assert set(map(str, engine.store.platforms(identities).values())) == {HOST_PLATFORM}
    gone = "sha256:" + "0" * 64
    assert [content.identity for content in engine.store.contents([gone, *identities])] == identities
    assert engine.store.contents([]) == ()


def test_an_engine_says_what_it_is(implementation: str, opened: Opener, place: Place) -> None:
    """Its platform; a Docker Engine also its store, where it keeps images, and whom it trusts without TLS."""
    facts = opened().store.facts()
    assert (str(facts.platform), facts.local) == (HOST_PLATFORM, True)
    if implementation in {"api", "sdk", "docker"}:
        assert facts.keeps_platforms is (place.dockerd.binary.store == "containerd")
        assert facts.data_root == str(place.dockerd.data_root)
        assert "127.0.0.0/8" in facts.insecure


def test_closing_twice_is_harmless(opened: Opener) -> None:
    """Whoever opened it closes it, on whatever way."""
    engine = opened()
    engine.close()
    engine.close()
