"""The time limits of an attempt on a real engine: what stalls is ended as stalled, what is merely slow is not.

What every implementation has in common is in test_conformance.py.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.engine import connect, locate
from puller.engine.interface import NOTHING, Engine as EngineClient
from puller.errors import EngineError, FailureKind
from puller.events import Phase, Progress
from puller.failure import classify
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import BackendChoice, Timeouts
from tests.engine.test_environment import authorization
from tests.engine.test_signals import processes_naming
from tests.lab import (
    LAB_ACCOUNT,
    Engine,
    Proxy,
    PushedImage,
    Registry,
    Rule,
    faults,
    layer,
    parse,
    push_image,
    wait_until,
)
from tests.lab.samples import request

LONG = 90.0
"""Seconds: as good as for ever."""
GONE = {FailureKind.ENGINE_DISCONNECTED, FailureKind.UNEXPECTED_EOF, FailureKind.DAEMON_UNREACHABLE}
Connect = Callable[[Engine], EngineClient]


@pytest.fixture
def reach(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connect to an engine with the backend under test, and with no configuration of this machine's."""
    (tmp_path / "docker-config").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    connected: list[EngineClient] = []

    def reach(engine: Engine) -> EngineClient:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        connected.append(connect(locate(), BackendChoice(backend)))
        return connected[-1]

    yield reach
    for each in connected:
        each.close()


def pull(
    backend: EngineClient,
    text: str,
    *,
    attempt: float | None = LONG,
    stall: float | None = LONG,
    heard: list[Progress] | None = None,
) -> EngineResult:
    """Pull one image; a clock that is not named does not run out."""
    clocks, progress = Timeouts(attempt, stall, stall and LONG), [] if heard is None else heard
    return backend.pull(request(text), cancel=Cancellation(), clocks=clocks, progress=progress.append)


def failure_of(
    backend: EngineClient, text: str, *, attempt: float | None = LONG, stall: float | None = LONG
) -> EngineError:
    """Pull one image, which fails."""
    with pytest.raises(EngineError) as caught:
        pull(backend, text, attempt=attempt, stall=stall)
    return caught.value


def large(registry: Registry, name: str, size: int = 4_000_000) -> PushedImage:
    """Push an image with one layer of several of the pieces (1 MiB) in which the containerd store counts."""
    return push_image(registry, f"clocks/{name}", layers=[layer(f"clocks-{name}", size)])


def blob_of(image: PushedImage) -> str:
    """Return what the path of its layer looks like."""
    return f"/blobs/{image.layers[0].digest}"


def assert_nothing_is_left(engine: Engine, proxy: Proxy) -> None:
    """No command of ours runs, and the engine has let go of the registry.

    The graph store notices only when a byte comes that nobody wants to know any more.
    """
    assert processes_naming(proxy.address) == []
    if engine.binary.store == "containerd":
        assert wait_until(lambda: proxy.in_flight() == 0, 20)


# What stalls.


def test_a_blob_that_stops_in_the_middle_is_a_stall(
    engine: Engine, registry: Registry, proxy: Proxy, reach: Connect, backend: str
) -> None:
    """The message says what was under way, and how far it had come; the next try finds nothing in its way."""
    image = large(registry, f"stall-{backend}")
    proxy.use(Rule(blob_of(image), faults.stall(2_500_000, LONG), method="GET", times=1))
    way = reach(engine)
    error = failure_of(way, image.at(proxy.address), stall=1.5)
    assert error.kind is FailureKind.STALLED
    assert re.fullmatch(r"stalled: no progress for 1\.5s while downloading \([\d.]+[kM]B/4\.0MB\)", error.message)
    assert_nothing_is_left(engine, proxy)
    assert engine.images() == []


@pytest.mark.parametrize("path", ["/manifests/", "/v2/$", "/token"])
def test_a_registry_that_does_not_answer_is_a_stall(
    engine: Engine, registry: Registry, proxy: Proxy, reach: Connect, backend: str, path: str
) -> None:
    """A manifest, a greeting or a token that never comes: nothing was heard of the image yet."""
    image = large(registry, f"silent-{backend}", 1000)
    realm = {"WWW-Authenticate": f'Bearer realm="{proxy.url}/token",service="lab"'}
    bearer = Rule("/v2/", faults.answer(401, realm))
    if path == "/v2/$" and engine.binary.store == "containerd":
        pytest.skip("the containerd store does not greet a registry")
    proxy.use(Rule(path, faults.hang(LONG)), *([bearer] if path == "/token" else []))
    error = failure_of(reach(engine), image.at(proxy.address), stall=1.0)
    assert (error.kind, error.message) == (
        FailureKind.STALLED,
        "stalled: no progress for 1.0s while resolving",
    )
    assert proxy.count(path=path) > 0
    assert_nothing_is_left(engine, proxy)


# What is slow.


def test_a_slow_drip_succeeds(engine: Engine, registry: Registry, proxy: Proxy, reach: Connect, backend: str) -> None:
    """A download that takes longer than the stall limit, but never stands still, arrives; its bytes are told."""
    image = large(registry, f"drip-{backend}", 8_000_000)
    proxy.use(Rule(blob_of(image), faults.drip(2_000_000, 50_000), method="GET"))
    heard: list[Progress] = []
    assert pull(reach(engine), image.at(proxy.address), heard=heard, stall=2.5) == EngineResult(
        image.digest, up_to_date=False
    )
    downloading = [event for event in heard if event.phase is Phase.DOWNLOADING]
    assert len({event.current for event in downloading}) > 4
    assert heard[-1].total == pytest.approx(len(image.layers[0].data), rel=0.001)


@pytest.fixture
def narrow_engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Start an engine that downloads one layer at a time."""
    with Engine(parse(pytestconfig.getoption("--engine")), options=["--max-concurrent-downloads=1"]) as engine:
        yield engine


def test_an_image_in_the_queue_is_not_stalled(
    narrow_engine: Engine, registry: Registry, proxy: Proxy, reach: Connect, backend: str
) -> None:
    """Its layers wait for the engine's only slot longer than the stall limit, while the other's bytes come."""
    slow, queued = large(registry, f"slow-{backend}", 8_000_000), large(registry, f"queued-{backend}", 1000)
    proxy.use(Rule(blob_of(slow), faults.drip(2_000_000, 50_000), method="GET"))
    way, ends = reach(narrow_engine), dict[str, EngineResult]()
    other = threading.Thread(target=lambda: ends.update(slow=pull(way, slow.at(proxy.address), stall=2.5)))
    other.start()
    proxy.wait_for("GET", blob_of(slow))
    assert pull(way, queued.at(proxy.address), stall=2.5).digest == queued.digest
    other.join()
    assert ends["slow"].digest == slow.digest


def test_a_queue_that_does_not_move_is_a_stall(
    narrow_engine: Engine, registry: Registry, proxy: Proxy, reach: Connect, backend: str
) -> None:
    """Who waits for a slot that a silent registry holds ends as stalled, soon after the one that holds it."""
    holder, queued = large(registry, f"holder-{backend}"), large(registry, f"behind-{backend}")
    proxy.use(*(Rule(blob_of(image), faults.hang(LONG), method="GET") for image in (holder, queued)))
    way, ends = reach(narrow_engine), list[EngineError]()
    other = threading.Thread(target=lambda: ends.append(failure_of(way, holder.at(proxy.address), stall=3)))
    other.start()
    proxy.wait_for("GET", blob_of(holder))
    ends.append(failure_of(way, queued.at(proxy.address), stall=3))
    other.join()
    assert [error.kind for error in ends] == [FailureKind.STALLED] * 2
    waits = narrow_engine.binary.store == "graph"
    assert sum("while waiting" in error.message for error in ends) == int(waits)


# Logins, and engines that go away.


def test_a_login_prompt_ends_at_once(engine: Engine, reach: Connect, tmp_path: Path) -> None:
    """Without any clock a wrong password is a failure of its own kind, although some commands would wait for ever."""
    with Registry(LAB_ACCOUNT) as private:
        image = push_image(private, "clocks/private")
        auth = {"auth": authorization(LAB_ACCOUNT.user, "wrong")}
        (tmp_path / "docker-config/config.json").write_text(json.dumps({"auths": {private.address: auth}}))
        error = failure_of(reach(engine), image.reference, attempt=None, stall=None)
    assert (error.kind or classify(error.message, error.status).kind) is FailureKind.UNAUTHORIZED
    assert processes_naming(image.reference) == []


def test_an_engine_that_dies_is_not_taken_for_a_registry(
    pytestconfig: pytest.Config, registry: Registry, proxy: Proxy, reach: Connect, backend: str
) -> None:
    """The API says that the engine broke off; of the command's words it can be told that it may have been so."""
    image = large(registry, f"dying-{backend}")
    proxy.use(Rule(blob_of(image), faults.hang(LONG), method="GET"))
    with Engine(parse(pytestconfig.getoption("--engine"))) as engine:
        way, ends = reach(engine), list[EngineError]()
        thread = threading.Thread(target=lambda: ends.append(failure_of(way, image.at(proxy.address))))
        thread.start()
        proxy.wait_for("GET", blob_of(image))
        assert way.alive()
        engine.kill()
        thread.join()
        assert not way.alive()
        assert failure_of(way, image.reference).kind in {FailureKind.DAEMON_UNREACHABLE, None}
        engine.start()
        assert way.alive()
        assert pull(way, image.reference).digest == image.digest
    (error,) = ends
    if backend == "api":
        assert error.kind is FailureKind.ENGINE_DISCONNECTED
        assert error.message.startswith("the engine closed the connection: ")
    assert (error.kind or classify(error.message, error.status).kind) in GONE


# What the engine has in the end.


def test_every_digest_of_a_name_is_told(engine: Engine, registry: Registry, reach: Connect, backend: str) -> None:
    """An image that is known by two digests of one repository is known by both; what is not there is nothing."""
    name = f"clocks/known-{backend}"
    image = push_image(registry, name, layers=[layer(name)])
    way, cancel = reach(engine), Cancellation()
    reference = ImageReference.parse(image.reference)
    assert way.inspect(reference, cancel=cancel) == NOTHING
    pull(way, image.reference)
    found = way.inspect(reference, cancel=cancel)
    assert found
    assert found.digests == (image.digest,)
    pinned = PullRequest(ImageReference.parse(f"{image.reference}@{image.digest}"))
    way.pull(pinned, cancel=cancel, clocks=Timeouts(), progress=lambda _: None)
    assert way.inspect(pinned.reference, cancel=cancel) == found
