"""The look before a pull: what is asked, how often, and what is left to the engine."""

from threading import Barrier, Event as Signal, Thread

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import InspectedImage
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, FailureKind, ListError
from puller.events import Event, ignore
from puller.failure import failure
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.pull import session as session_module
from puller.pull.context import RunContext
from puller.pull.run import check_platforms
from puller.pull.session import PullSession
from puller.pull.up_to_date import UpToDateCheck
from puller.registry.health import RegistryHealth
from puller.registry.resolver import ResolvedTag, Resolver
from puller.settings import Policy, RetryPolicy, Settings
from tests.lab.fakes import FakeBackend, FakeStore, pull_all
from tests.lab.samples import DIGEST, request

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
NAME = "docker.io/library/nginx"
HELD = LocalImage("sha256:1", (f"{NAME}:1.27",), (f"{NAME}@{DIGEST}",))


class Registries(Resolver):
    """Registries that resolve every reference to the same tag, and count the questions."""

    def __init__(self, resolved: ResolvedTag | None = None) -> None:
        self.resolved = resolved
        self.heads: list[str] = []
        self.closed = False
        self.healths: dict[str, RegistryHealth] = {}

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        self.heads.append(reference.text)
        return self.resolved

    def health(self, registry: str) -> RegistryHealth:
        return self.healths.setdefault(registry, RegistryHealth(registry))

    def close(self) -> None:
        self.closed = True


class Broken(FakeStore):
    """An engine that does not tell what it holds, nor what it is, nor takes names."""

    def holdings(self) -> LocalImages:
        """Fail."""
        raise EngineError("no list today")

    def facts(self) -> EngineInfo:
        """Fail."""
        raise EngineError("no facts today")


class Scene:
    """A check with everything around it."""

    def __init__(
        self, *held: LocalImage, policy: Policy = Policy.NEWER, index: bool = False, platform: Platform | None = AMD,
        store: FakeStore | None = None,
    ) -> None:  # fmt: skip
        self.store = store or FakeStore(LocalImages(held), EngineInfo(platform))
        self.backend = FakeBackend(store=self.store, has={"nginx:1.27": InspectedImage("sha256:1", (DIGEST,), AMD)})
        self.registries = Registries(ResolvedTag(DIGEST, single=not index))
        images = PullSession(self.backend, self.registries).images_before.result
        settings = Settings(policy=policy)
        self.check = UpToDateCheck(RunContext(self.backend, self.registries, settings, ignore, Cancellation()), images)

    def look(self, text: str = "nginx:1.27", platform: str | None = None) -> PullOutcome | None:
        """Look at one image."""
        return self.check.look(request(text, platform))


def test_the_engine_is_asked_once_for_all_images() -> None:
    """However many threads look at however many images."""
    scene, barrier = Scene(HELD), Barrier(4)

    def look() -> None:
        barrier.wait()
        for _ in range(5):
            scene.look()

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (scene.store.questions, len(scene.registries.heads)) == (1, 20)


@pytest.mark.parametrize(("wanted", "settled"), [(None, True), ("linux/amd64", True), ("linux/arm64", False)])
def test_an_index_is_judged_by_the_platform_that_is_there(wanted: str | None, *, settled: bool) -> None:
    """Without --platform the engine's own counts."""
    outcome = Scene(HELD, index=True).look(platform=wanted)
    assert (outcome is not None) is settled
    if outcome:
        assert (outcome.status, outcome.digest, outcome.attempts) == (Status.UP_TO_DATE, DIGEST, ())


@pytest.mark.parametrize(("own", "settled"), [(ARM, False), (None, False), (AMD, True)])
def test_the_host_platform_is_the_engines(own: Platform | None, *, settled: bool) -> None:
    """An engine elsewhere may be of another kind; one that does not say is asked to pull."""
    assert (Scene(HELD, index=True, platform=own).look() is not None) is settled


def test_a_list_that_tells_platforms_is_enough() -> None:
    """The containerd store says which platforms of an index are there: no image is inspected."""
    held = LocalImage(HELD.identity, HELD.tags, HELD.digests, platforms=(ARM,))
    assert Scene(held, index=True).look() is None
    assert Scene(held, index=True).look(platform="linux/arm64") is not None


@pytest.mark.parametrize("policy", [Policy.NEWER, Policy.MISSING])
def test_an_engine_that_tells_nothing_is_asked_to_pull(policy: Policy) -> None:
    """And asked for its list only once."""
    assert Scene(policy=policy, store=Broken()).look() is None


def test_an_engine_that_does_not_describe_an_image_is_not_asked_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question may take as long as an engine that hangs is waited for."""
    asked: list[str] = []
    other = LocalImage("sha256:2", ("docker.io/library/redis:7",), (f"docker.io/library/redis@{DIGEST}",))
    scene = Scene(HELD, other, index=True)
    monkeypatch.setattr(scene.backend, "inspect", lambda reference, **_: asked.append(reference.text))
    assert (scene.look(), scene.look("redis:7")) == (None, None)
    assert asked == ["nginx:1.27"]


@pytest.mark.parametrize(("keeps", "settled"), [(True, True), (False, False)])
def test_an_image_for_several_platforms_is_asked_for_the_wanted_one(*, keeps: bool, settled: bool) -> None:
    """Where the engine can keep several, and describes its own unless asked for another."""
    store = FakeStore(LocalImages([HELD]), EngineInfo(AMD, keeps_platforms=keeps), {"sha256:1": [AMD, ARM]})
    assert (Scene(index=True, store=store).look(platform="linux/arm64") is not None) is settled


def test_a_list_of_images_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the images are pulled, and a note says why."""
    listed = Signal()

    class Slow(FakeStore):
        """An engine that lists its images too late."""

        def holdings(self) -> LocalImages:
            """Wait."""
            listed.wait()
            return LocalImages([HELD])

    monkeypatch.setattr(session_module, "_PATIENCE", 0.2)
    backend = FakeBackend(store=Slow(facts=EngineInfo(AMD)))
    registries, settings = Registries(ResolvedTag(DIGEST, single=True)), Settings(disk_check=False)
    with PullSession(backend, registries, settings) as session:
        report = session.pull([request(), request("redis:7")])
        listed.set()
    assert [outcome.status for outcome in report.outcomes] == [Status.PULLED] * 2
    words = "the engine did not list its images within 0.2s: no image counts as up to date"
    assert [(note.text, note.detail) for note in session.notes] == [(words, True)]


def test_never_fails_with_the_engines_words_when_it_tells_nothing() -> None:
    """Nothing may be pulled, so nothing can be said."""
    outcome = Scene(policy=Policy.NEVER, store=Broken()).look()
    assert outcome
    assert outcome.failure
    assert (outcome.status, outcome.failure.message) == (Status.FAILED, "no list today")


def test_never_says_what_is_not_there() -> None:
    """As a permanent failure of a kind of its own."""
    outcome = Scene(policy=Policy.NEVER).look()
    assert outcome
    assert outcome.failure
    assert (outcome.failure.kind, outcome.failure.retryable) == (FailureKind.NOT_PRESENT, False)


def test_a_registry_that_wants_to_be_left_alone_is() -> None:
    """A cool-down and an open breaker hold for our own questions, too."""
    scene = Scene(HELD)
    scene.registries.health("docker.io").rate_limit.extend(60.0, failure(FailureKind.RATE_LIMITED, "slow down"))
    assert (scene.look(), scene.registries.heads) == (None, [])
    scene = Scene(HELD)
    for _ in range(5):
        scene.registries.health("docker.io").breaker.record(failure(FailureKind.CONNECTION_REFUSED, "refused"))
    assert (scene.look(), scene.registries.heads) == (None, [])


def test_a_name_that_cannot_be_set_here_is_left_to_the_pull() -> None:
    """The image may have gone since the engine was asked."""

    class Stubborn(FakeStore):
        def tag(self, source: str, target: ImageReference) -> None:
            raise EngineError("no such image")

    untagged = LocalImage("sha256:1", (), HELD.digests, platforms=(AMD,))
    text = f"nginx:1.27@{DIGEST}"
    scene = Scene(untagged)
    outcome = scene.look(text)
    assert outcome
    assert outcome.status is Status.UP_TO_DATE
    assert scene.store.tagged == [(f"{NAME}@{DIGEST}", f"{NAME}:1.27@{DIGEST}")]
    assert Scene(store=Stubborn(LocalImages([untagged]), EngineInfo(AMD))).look(text) is None


def test_a_tag_that_cannot_be_set_after_a_pull_is_a_failed_image() -> None:
    """What a lock asks for is the tag, too."""

    class Stubborn(FakeStore):
        def tag(self, source: str, target: ImageReference) -> None:
            raise EngineError("permission denied", status=403)

    backend = FakeBackend(store=Stubborn())
    report = pull_all([request(f"nginx:1.27@{DIGEST}")], backend, Settings(retry=RetryPolicy(0, second_pass=False)))
    assert report.outcomes[0].status is Status.FAILED


def test_a_run_looks_before_it_pulls() -> None:
    """What is up to date has no attempt, and one event; the rest is pulled; the advisor is there till the end."""
    store = FakeStore(LocalImages([HELD]), EngineInfo(AMD))
    backend, registries, events = FakeBackend(store=store), Registries(ResolvedTag(DIGEST, single=True)), list[Event]()
    requests = [request("nginx:1.27"), request("redis:7")]
    report = pull_all(requests, backend, Settings(), observer=events.append, registries=registries)
    assert [outcome.status for outcome in report.outcomes] == [Status.UP_TO_DATE, Status.PULLED]
    assert [len(outcome.attempts) for outcome in report.outcomes] == [0, 1]
    assert (backend.attempts, registries.heads) == ({"redis:7": 1}, ["nginx:1.27"])
    heard = [type(event).__name__ for event in events if getattr(event, "request", None) == requests[0]]
    assert heard == ["Finished"]


def test_a_policy_of_always_looks_at_nothing() -> None:
    """The engine is asked for every image, as it ever was."""
    store = FakeStore(LocalImages([HELD]))
    backend, registries = FakeBackend(store=store), Registries()
    report = pull_all([request()], backend, Settings(policy=Policy.ALWAYS), registries=registries)
    assert (report.outcomes[0].status, store.questions, registries.heads) == (Status.PULLED, 0, [])


def wanted(*lines: tuple[str, str | None]) -> list[PullRequest]:
    """Ask for images, each for a platform."""
    return [request(text, platform) for text, platform in lines]


SEVERAL = wanted(("nginx:1.27", None), ("nginx:1.27", "linux/arm64"), ("redis", None), ("redis", "linux/arm64"))


def test_second_platforms_are_refused_with_a_line_each() -> None:
    """Where the engine keeps one; the engine's own platform is named."""
    with pytest.raises(ListError) as caught:
        check_platforms(SEVERAL, FakeStore(facts=EngineInfo(AMD)))
    first, second = caught.value.problems
    assert first.startswith(
        "nginx:1.27 is requested for linux/amd64 and linux/arm64, and this engine keeps one platform"
    )
    assert second.startswith("redis is requested for")


def test_second_platforms_are_not_refused_where_they_can_be_kept_or_are_none() -> None:
    """The containerd store keeps them; an engine that will not say is not contradicted; the own one is no second."""
    check_platforms(SEVERAL, FakeStore(facts=EngineInfo(AMD, keeps_platforms=True)))
    check_platforms(SEVERAL, Broken())
    check_platforms(wanted(("nginx", None), ("nginx", "linux/amd64")), FakeStore(facts=EngineInfo(AMD)))
    check_platforms(wanted(("nginx:1", None), ("nginx:2", "linux/arm64")), Broken())
