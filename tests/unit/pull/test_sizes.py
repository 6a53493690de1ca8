"""Sizes from manifests, asked beside the pulls."""

from collections.abc import Iterator, Sequence
from threading import Event as Signal

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import ProgressSink
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, FailureKind
from puller.events import Event, Phase, Progress, SizeKnown
from puller.image.digest import short_digest
from puller.image.reference import Platform
from puller.model import EngineResult, PullRequest, Report, Status
from puller.registry.client import RegistryClient
from puller.settings import RetryPolicy, Settings, Timeouts
from tests.lab import DOCKER, HOST_PLATFORM, Proxy, PushedImage, Registry, Rule, faults, layer, push_image
from tests.lab.fakes import FakeBackend, FakeStore, pull_all
from tests.lab.samples import DIGEST, request

QUOTA = {
    "Content-Type": DOCKER.manifest,
    "Docker-Content-Digest": DIGEST,
    "RateLimit-Limit": "100;w=21600",
}
"""Docker Hub's answer to a HEAD."""
BASE, OWN = 50_000, 9_000
ASKED = "/manifests/"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Start one registry for all tests here."""
    with Registry() as registry:
        yield registry


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """Stand in front of the registry."""
    with Proxy(registry) as proxy:
        yield proxy


class Hasty(FakeBackend):
    """An engine as one with the containerd store, whose layers arrive at once: it says no bytes of any."""

    def __init__(self, proxy: Proxy, images: Sequence[PushedImage], holdings: LocalImages | None = None) -> None:
        """Pull these images at the proxy; `holdings` are those that the engine has."""
        super().__init__(store=FakeStore(holdings, EngineInfo(platform=Platform.parse(HOST_PLATFORM))))
        self.images = {image.at(proxy.address): image for image in images}
        self.fails: set[str] = set()
        self.there: set[str] = set()

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Report the layers: those that it had, and those that it fetched."""
        image = self.images[request.reference.text]
        layers = frozenset(short_digest(each.digest) for each in image.layers)
        if image.repository in self.fails:
            progress(Progress(request, Phase.DOWNLOADING, layers=len(layers)))
            raise EngineError("manifest unknown", kind=FailureKind.NOT_FOUND)
        brought = layers - self.there
        progress(Progress(request, Phase.DOWNLOADING, 0, 0, 0, len(layers), {}, brought, layers & self.there))
        self.there |= layers
        return super().pull(request, cancel=cancel, clocks=clocks, progress=progress)


def push_two(registry: Registry, prefix: str) -> tuple[list[PushedImage], int]:
    """Push two images with a common layer; return them and the bytes of their three layers."""
    base = layer(f"{prefix}base", BASE)
    images = [push_image(registry, f"{prefix}/{name}", layers=[base, layer(f"{prefix}{name}", OWN)]) for name in "ab"]
    return images, sum(len(each.data) for each in {each for image in images for each in image.layers})


def run(proxy: Proxy, engine: Hasty, *images: PushedImage, jobs: int = 1) -> tuple[Report, list[SizeKnown]]:
    """Pull the images through the proxy; return the report and the sizes that were told meanwhile."""
    sizes: list[SizeKnown] = []

    def observe(event: Event) -> None:
        if isinstance(event, SizeKnown):
            sizes.append(event)

    settings = Settings(jobs=jobs, retry=RetryPolicy(retries=0, second_pass=False))
    with RegistryClient() as client:
        wanted = [request(image.at(proxy.address)) for image in images]
        return pull_all(wanted, engine, settings, observer=observe, registries=client), sizes


def test_layers_whose_bytes_no_engine_says_count_once(registry: Registry, proxy: Proxy) -> None:
    """With the size in the manifest, in the report and in what there is to fetch."""
    images, total = push_two(registry, "sizes/silent")
    report, sizes = run(proxy, Hasty(proxy, images), *images)
    assert (report.bytes, sizes[-1]) == (total, SizeKnown(total, 0))
    assert [each.size for each in report.outcomes] == [sum(len(each.data) for each in one.layers) for one in images]
    assert proxy.count("GET", ASKED) == len(images)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_rate_limit_for_sizes_alone_costs_no_image(registry: Registry, proxy: Proxy, method: str) -> None:
    """The engine can still pull: all images arrive at the first attempt, and at once."""
    images, _ = push_two(registry, f"sizes/limited-{method.lower()}")
    proxy.use(Rule(ASKED, faults.answer(429, {"Retry-After": "600"}), method=method))
    report, sizes = run(proxy, Hasty(proxy, images), *images)
    assert [(each.status, len(each.attempts)) for each in report.outcomes] == [(Status.PULLED, 1)] * 2
    assert proxy.count(method, ASKED) >= 1
    assert sizes[-1].total == 0


def test_what_the_engine_has_is_not_to_be_fetched(registry: Registry, proxy: Proxy) -> None:
    """Neither its layers, nor those that only an image that failed needs."""
    images, total = push_two(registry, "sizes/there")
    engine = Hasty(proxy, images)
    engine.there = {short_digest(images[0].layers[0].digest)}
    engine.fails = {images[1].repository}
    report, sizes = run(proxy, engine, *images)
    own = len(images[0].layers[1].data)
    assert (report.bytes, sizes[-1]) == (own, SizeKnown(own, 0))
    assert own < total


def test_images_that_are_up_to_date_are_not_asked_for(registry: Registry, proxy: Proxy) -> None:
    """One of two: only the other costs a manifest, and has a size."""
    images, _ = push_two(registry, "sizes/current")
    name = images[0].at(proxy.address)
    digests, platforms = (f"{name.rpartition(':')[0]}@{images[0].digest}",), (Platform.parse(HOST_PLATFORM),)
    engine = Hasty(
        proxy, images, LocalImages([LocalImage("sha256:" + "1" * 64, (name,), digests, platforms=platforms)])
    )
    report, _ = run(proxy, engine, *images)
    assert [(each.status, bool(each.size)) for each in report.outcomes] == [
        (Status.UP_TO_DATE, False),
        (Status.PULLED, True),
    ]
    assert proxy.count("GET", ASKED) == 1


@pytest.mark.parametrize(
    "harm",
    [faults.answer(503), faults.answer(429), faults.answer(200, QUOTA)],
    ids=["503", "429", "quota"],
)
def test_a_registry_that_must_not_be_asked_is_asked_little(
    registry: Registry, proxy: Proxy, harm: faults.Action
) -> None:
    """The pulls go on as without sizes, and a manifest that counts as a pull is not fetched."""
    images, _ = push_two(registry, "sizes/costly")
    proxy.use(Rule(ASKED, harm))
    report, sizes = run(proxy, Hasty(proxy, images), *images)
    assert [(each.status, each.size) for each in report.outcomes] == [(Status.PULLED, None)] * 2
    assert proxy.count("GET", ASKED) == 0
    assert proxy.count("HEAD", ASKED) <= 2 * len(images)
    assert all(each.total == 0 for each in sizes)


def test_a_registry_that_answers_again_is_asked_again(
    registry: Registry, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had an error when it was asked first: the bytes of what the engine has pulled since are known at the end."""
    monkeypatch.setattr("puller.pull.sizes._PATIENCE", 30.0)  # on a busy machine answers are late
    images, total = push_two(registry, "sizes/again")
    proxy.use(Rule(ASKED, faults.answer(503), times=1))
    report, _ = run(proxy, Hasty(proxy, images), *images)
    assert (report.bytes, [bool(each.size) for each in report.outcomes]) == (total, [True, True])


def test_the_run_ends_without_an_answer(registry: Registry, proxy: Proxy) -> None:
    """A registry that says nothing delays neither the pulls nor the end."""
    images, _ = push_two(registry, "sizes/hanging")
    release = Signal()
    proxy.use(Rule(ASKED, faults.hold(release)))
    report, _ = run(proxy, Hasty(proxy, images), *images)
    assert (report.ok, {each.status for each in proxy.log}) == (True, {None})
    release.set()


def test_nothing_is_asked_before_the_engine_has_a_layer(registry: Registry, proxy: Proxy) -> None:
    """An engine that fails before costs its registry no question."""
    images, _ = push_two(registry, "sizes/early")
    run(proxy, Hasty(proxy, ()), *images)
    assert proxy.log == []
