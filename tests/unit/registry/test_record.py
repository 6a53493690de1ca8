"""One record for each registry: what one request learns holds for all others, whoever makes them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from puller.errors import FailureKind, RegistryError
from puller.failure import failure
from puller.image.digest import sha256
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.health import LONGEST_WAIT, RegistryHealth
from tests.lab import Proxy, PushedImage, Registry, Rule, faults, push_image
from tests.lab.tokens import TokenServer
from tests.unit.registry.conftest import named

LIMIT = faults.answer(429, {"Retry-After": "2"})


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """Stand in front of the registry."""
    with Proxy(registry) as proxy:
        yield proxy


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    """Make a client as a run has it."""
    with RegistryClient() as client:
        yield client


def read_blob(client: RegistryClient, reference: ImageReference) -> None:
    """Ask for a blob."""
    with client.blob(reference, sha256(b"any")):
        pass


QUESTIONS: dict[str, Callable[[RegistryClient, ImageReference], object]] = {
    "HEAD": RegistryClient.head,
    "manifest": RegistryClient.manifest,
    "blob": read_blob,
}


@pytest.mark.parametrize("first", QUESTIONS)
def test_a_limit_met_by_one_request_holds_for_all(
    registry: Registry, proxy: Proxy, image: PushedImage, client: RegistryClient, first: str
) -> None:
    """Whatever met it: nothing reaches that registry until it ends; others are asked as ever."""
    proxy.use(Rule("", LIMIT, times=1))
    with pytest.raises(RegistryError):
        QUESTIONS[first](client, named(image, proxy.address))
    other = ImageReference.parse(f"{proxy.address}/other/app:v2")
    for ask in QUESTIONS.values():
        for asking in (client, client.with_limits(rate_limit=1)):
            with pytest.raises(RegistryError, match="it has set a rate limit") as raised:
                ask(asking, other)
            assert raised.value.status == 429
            assert 1 < (raised.value.wait or 0) <= 2
    assert len(proxy.log) == 1
    assert client.head(named(image)).digest == image.digest


def test_a_patient_request_waits_for_the_end_of_a_limit(
    proxy: Proxy, image: PushedImage, client: RegistryClient
) -> None:
    """And then gets its answer; it is the first that comes after it."""
    proxy.use(Rule("", LIMIT, times=1))
    reference = named(image, proxy.address)
    with pytest.raises(RegistryError):
        client.head(reference)
    assert client.quick().head(reference).digest == image.digest
    first, second = proxy.log
    assert second.started - (first.ended or 0) > 1.9


def test_a_wait_ends_when_the_client_is_closed(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """At once, and nothing is asked."""
    proxy.use(Rule("", faults.answer(429, {"Retry-After": "60"}), times=1))
    reference = named(image, proxy.address)
    with pytest.raises(RegistryError):
        client.head(reference)
    patient = client.with_limits(rate_limit=100)
    threading.Timer(0.2, patient.close).start()
    began = time.monotonic()
    with pytest.raises(RegistryError, match="cancelled"):
        patient.head(reference)
    assert time.monotonic() - began < 5
    assert len(proxy.log) == 1


def test_a_limit_of_the_token_server_holds_for_its_registry(
    registry: Registry, image: PushedImage, client: RegistryClient
) -> None:
    """Nobody gets in meanwhile."""
    with TokenServer(registry) as tokens:
        tokens.use(Rule("^/token", LIMIT, times=1))
        for _ in range(3):
            with pytest.raises(RegistryError) as raised:
                client.head(named(image, tokens.address))
            assert raised.value.status == 429
        assert len(tokens.log) == 2  # the question, and the token


@pytest.mark.parametrize(
    ("status", "header", "limited"),
    [(503, "5", True), (403, "5", True), (503, None, False), (404, "5", False), (500, "5", False), (429, None, True)],
)
def test_what_limits_all_requests(
    proxy: Proxy, image: PushedImage, client: RegistryClient, status: int, header: str | None, limited: bool
) -> None:
    """A 429 always, overload and abuse where they name a time; a tag that is not there limits nobody."""
    proxy.use(Rule("", faults.answer(status, {"Retry-After": header} if header else {})))
    with pytest.raises(RegistryError):
        client.head(named(image, proxy.address))
    assert bool(client.health(proxy.address).rate_limit.left) is limited


@pytest.mark.parametrize(
    "header",
    [
        "99999999999", "999999999999", "9" * 300, "86401", "Fri, 31 Dec 9999 23:59:59 GMT", "-5", "inf", "nan", "1e999",
        "Sat, 99 Foo 2026 00:00:00 GMT", "soon", "0", "\xff",
    ],
)  # fmt: skip
def test_an_absurd_wait_is_bounded(proxy: Proxy, image: PushedImage, client: RegistryClient, header: str) -> None:
    """It raises nothing, and nobody waits longer than a day."""
    proxy.use(Rule("", faults.answer(429, {"Retry-After": header})))
    with pytest.raises(RegistryError) as raised:
        client.head(named(image, proxy.address))
    assert 0 <= (raised.value.wait or 0) <= LONGEST_WAIT
    limit = client.health(proxy.address).rate_limit
    assert limit.left <= LONGEST_WAIT
    assert limit.until is None or limit.until <= datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT + 2)


@pytest.mark.parametrize("seconds", [1e300, float("inf"), -1.0])
def test_a_wait_in_an_engines_words_is_bounded(seconds: float) -> None:
    """Whoever puts it down."""
    limit = RegistryHealth("a.example").rate_limit
    limit.extend(seconds, failure(FailureKind.RATE_LIMITED, "slow down"))
    assert 0 <= limit.left <= LONGEST_WAIT


def test_a_tag_is_asked_once(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """However many want to know, at once or later, and with whatever question; until the next run."""
    reference = named(image, proxy.address)
    proxy.use(Rule("", faults.delay(0.2)))
    questions = (RegistryClient.head, RegistryClient.resolve, lambda client, it: client.quick().head(it))
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, client, reference) for ask in questions * 4]
    assert {each.result().digest for each in asked} == {image.digest}
    assert client.manifest(reference).digest == image.digest
    assert [(each.method, each.path.rpartition("/")[2]) for each in proxy.log] == [
        ("HEAD", "v1"),
        ("GET", image.digest),
    ]
    client.new_run()
    client.head(reference)
    assert len(proxy.log) == 3


def test_a_manifest_by_tag_is_an_answer_too(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Whoever wants to know later asks nobody."""
    reference = named(image, proxy.address)
    assert client.manifest(reference).digest == client.head(reference).digest == image.digest
    assert [each.method for each in proxy.log] == ["GET"]


def test_a_failure_is_no_answer(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """The next one asks again."""
    proxy.use(Rule("", faults.answer(502), times=1))
    reference = named(image, proxy.address)
    with pytest.raises(RegistryError):
        client.head(reference)
    assert client.head(reference).digest == image.digest


def test_closing_a_view_ends_its_own_requests_only(registry: Registry, proxy: Proxy, client: RegistryClient) -> None:
    """Those of others with the same client go on."""
    images = [push_image(registry, f"view/app{number}") for number in range(2)]
    release = threading.Event()
    proxy.use(Rule("", faults.hold(release)))
    mine, others = client.quick(), client.with_limits()
    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(mine.head, named(images[0], proxy.address))
        kept = pool.submit(others.head, named(images[1], proxy.address))
        while len(proxy.log) < 2:
            time.sleep(0.01)
        mine.close()
        with pytest.raises(RegistryError):
            ended.result(5)
        assert not kept.done()
        release.set()
        assert kept.result(20).digest == images[1].digest
    with pytest.raises(RegistryError, match="cancelled"):
        mine.manifest(named(images[0]))
