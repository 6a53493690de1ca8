"""What one image's trouble means for others: a registry that wants to be left alone or is down, a lost engine."""

from collections.abc import Sequence
from time import monotonic
from typing import TypeVar

import pytest

from puller.engine.interface import NOTHING, InspectedImage
from puller.engine.model import EngineInfo
from puller.errors import EngineError, ExitCode, FailureKind as Kind
from puller.events import Event, Finished, Paused, Postponed, RetryScheduled
from puller.failure import failure
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullOutcome, PullRequest, Report, Status
from puller.registry.health import RegistryHealth
from puller.registry.resolver import Resolver
from puller.settings import RetryPolicy, Settings
from tests.lab.fakes import PULLED, UP_TO_DATE, FakeBackend, FakeStore, pull_all, until_cancelled
from tests.lab.samples import DIGEST, request

THROTTLED = EngineError("toomanyrequests: retry-after: 0.3s, allowed: 44000/minute", status=429)
LOCKED = EngineError("toomanyrequests: retry-after: 863.373s, allowed: 44000/minute", status=429)
SILENT = EngineError("toomanyrequests: slow down", status=429)
REFUSED = EngineError("dial tcp 10.0.0.1:443: connect: connection refused")
RESET = EngineError("read: connection reset by peer")
MISSING = EngineError("manifest unknown", status=404)
QUICK = RetryPolicy(retries=2, delay=0.0)
"""No waits but those that a registry asks for."""


_E = TypeVar("_E")


class Advice(Resolver):
    """Registries that say for themselves how it is."""

    def __init__(self, wait: float | None = None, *, alive: bool = True) -> None:
        self.wait = wait
        self.alive = alive
        self.asked: list[str] = []

    def health(self, registry: str) -> RegistryHealth:
        """Answer probes, and remember who was asked for."""

        def probe() -> bool:
            self.asked.append(registry)
            return self.alive

        return RegistryHealth(registry, probe=probe)

    def wait_of(self, reference: ImageReference) -> float | None:
        """Answer, and remember who was asked for."""
        self.asked.append(reference.registry)
        return self.wait


class Scene:
    """A run, and all that was heard of it."""

    def __init__(self, backend: FakeBackend, settings: Settings, *texts: str, advice: Advice | None = None) -> None:
        self.events: list[Event] = []
        self.backend = backend
        self.requests: list[PullRequest] = [request(text) for text in texts]
        self.began = monotonic()
        self.advice = advice or Advice()
        self.report: Report = pull_all(
            self.requests, backend, settings, observer=self.events.append, registries=self.advice
        )

    @property
    def outcomes(self) -> tuple[PullOutcome, ...]:
        """The outcomes, in list order."""
        return self.report.outcomes

    @property
    def kinds(self) -> list[Kind | None]:
        """Why each image failed."""
        return [outcome.failure.kind if outcome.failure else None for outcome in self.outcomes]

    def heard(self, kind: type[_E]) -> list[_E]:
        """All events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


# A registry that wants to be left alone.


def test_a_wait_that_was_asked_for_is_waited_for() -> None:
    """The image comes through at its second attempt, which begins no sooner than the registry said."""
    scene = Scene(FakeBackend({"a.io/x": [THROTTLED, PULLED]}), Settings(retry=QUICK), "a.io/x")
    (outcome,) = scene.outcomes
    assert (outcome.status, len(outcome.attempts)) == (Status.PULLED, 2)
    first, second = outcome.attempts
    assert second.started - first.started >= 0.3
    assert [(event.subject, event.seconds) for event in scene.heard(Paused)] == [("a.io", 0.3)]
    assert [event.delay for event in scene.heard(RetryScheduled)] == [0.3]
    assert scene.advice.asked == []


def test_one_throttled_image_holds_back_its_registry_and_no_other() -> None:
    """Other images of that registry begin when the wait is over; those of another do not wait."""
    settings = Settings(jobs=2, per_registry=1, retry=QUICK)
    scene = Scene(FakeBackend({"a.io/x": [THROTTLED, PULLED]}), settings, "a.io/x", "a.io/y", "b.io/x", "b.io/y")
    assert scene.report.ok
    ends = {event.request.reference.text: number for number, event in enumerate(scene.heard(Finished))}
    assert max(ends["b.io/x"], ends["b.io/y"]) < min(ends["a.io/x"], ends["a.io/y"])


@pytest.mark.parametrize(
    "settings", [Settings(retry=QUICK), Settings(retry=QUICK._replace(max_wait=1e9), deadline=60.0)]
)
def test_a_wait_beyond_the_cap_fails_at_once_and_says_until_when(settings: Settings) -> None:
    """Nobody sits 14 minutes in silence, and the images behind it do not ask again what they know already."""
    scene = Scene(FakeBackend({"a.io/x": LOCKED}), settings._replace(jobs=1), "a.io/x", "a.io/y", "b.io/x")
    assert scene.kinds == [Kind.RATE_LIMITED, Kind.RATE_LIMITED, None]
    first, second, _ = scene.outcomes
    assert first.failure
    assert second.failure
    assert first.failure.until
    seconds_left = first.failure.until.timestamp() - scene.report.started.timestamp()
    assert 863 <= seconds_left <= 863 + 60
    assert second.failure.until == first.failure.until
    assert ([len(outcome.attempts) for outcome in scene.outcomes], scene.backend.attempts.get("a.io/y")) == (
        [1, 0, 1],
        None,
    )
    assert scene.heard(Paused) == []
    assert scene.report.exit_code is ExitCode.TRY_AGAIN


def test_a_registry_that_did_not_say_how_long_is_asked() -> None:
    """One question of our own finds out what no engine passes on."""
    advice = Advice(0.2)
    scene = Scene(FakeBackend({"a.io/x": [SILENT, PULLED]}), Settings(retry=QUICK), "a.io/x", advice=advice)
    assert scene.report.ok
    assert advice.asked == ["a.io"]
    assert [event.seconds for event in scene.heard(Paused)] == [0.2]


def test_a_registry_that_will_not_say_gets_more_and_more_time() -> None:
    """The waits double, and start well above those of an ordinary retry."""
    settings = Settings(retry=RetryPolicy(retries=3, delay=0.01, second_pass=False))
    scene = Scene(FakeBackend({"a.io/x": SILENT}), settings, "a.io/x")
    assert [event.seconds for event in scene.heard(Paused)] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert scene.kinds == [Kind.RATE_LIMITED]


# A registry that is down.


def test_what_is_left_of_a_dead_registry_fails_fast() -> None:
    """After five refused connections the rest is not tried, and says why; another registry is not concerned."""
    names = [f"a.io/app{n}" for n in range(20)]
    script = dict.fromkeys(names, REFUSED)
    advice = Advice(alive=False)
    settings = Settings(jobs=1, retry=RetryPolicy(1, 0.0, second_pass=False))
    scene = Scene(FakeBackend(script), settings, *names, "b.io/x", advice=advice)
    assert sum(scene.backend.attempts.values()) == 5 + 1
    assert scene.kinds == [Kind.CONNECTION_REFUSED] * 2 + [Kind.REGISTRY_UNAVAILABLE] * 18 + [None]
    last = scene.outcomes[19].failure
    assert last
    assert last.message == "a.io does not answer; the last failure: dial tcp 10.0.0.1:443: connect: connection refused"
    assert scene.report.exit_code is ExitCode.TRY_AGAIN
    assert set(advice.asked) == {"a.io"}


def test_a_registry_that_comes_back_is_used_again() -> None:
    """A probe that finds it lets the next image through."""
    names = [f"a.io/app{n}" for n in range(10)]
    script = dict.fromkeys(names[:5], REFUSED)
    settings = Settings(jobs=1, retry=RetryPolicy(0, 0.0, second_pass=False))
    scene = Scene(FakeBackend(script), settings, *names)
    assert scene.kinds == [Kind.CONNECTION_REFUSED] * 5 + [None] * 5
    assert scene.advice.asked == ["a.io"]


# An engine that goes away.


def test_an_engine_that_restarts_costs_a_retry() -> None:
    """Every image that it broke off is tried again, and the run goes on."""
    broken = EngineError("the engine broke off", kind=Kind.ENGINE_DISCONNECTED)
    gone = EngineError("cannot connect", kind=Kind.DAEMON_UNREACHABLE)
    backend = FakeBackend({"a.io/x": [broken, gone, PULLED]}, answers=(False, False, True, False, True))
    scene = Scene(backend, Settings(retry=QUICK), "a.io/x", "a.io/y")
    assert scene.report.ok
    assert [len(outcome.attempts) for outcome in scene.outcomes] == [3, 1]
    assert {event.subject for event in scene.heard(Paused)} == {"engine"}


def test_an_unexpected_eof_is_the_registrys_while_the_engine_lives() -> None:
    """The docker command says the same of both; the engine is asked."""
    settings = Settings(retry=RetryPolicy(0, 0.0, second_pass=False))
    scene = Scene(FakeBackend({"a.io/x": EngineError("unexpected EOF")}), settings, "a.io/x", "a.io/y")
    assert scene.kinds == [Kind.UNEXPECTED_EOF, None]


def test_an_engine_that_stays_away_ends_the_run() -> None:
    """69, and what had not begun is cancelled with the reason."""
    backend = FakeBackend({"a.io/x": EngineError("unexpected EOF")}, answers=(False,))
    scene = Scene(backend, Settings(jobs=1, retry=QUICK, engine_wait=0.2), "a.io/x", "a.io/y")
    assert scene.kinds == [Kind.DAEMON_UNREACHABLE, Kind.CANCELLED]
    assert scene.report.exit_code is ExitCode.ENGINE_UNREACHABLE


# The second pass.


def test_what_failed_for_a_passing_reason_is_tried_once_more_when_all_is_done() -> None:
    """One more attempt, after every other image; the image ends once, and well."""
    backend = FakeBackend({"a.io/x": [RESET, RESET, RESET, PULLED]})
    scene = Scene(backend, Settings(jobs=1, retry=QUICK), "a.io/x", "a.io/gone", "a.io/z")
    assert [outcome.status for outcome in scene.outcomes] == [Status.PULLED] * 3
    assert [len(outcome.attempts) for outcome in scene.outcomes] == [4, 1, 1]
    assert [event.request.reference.text for event in scene.heard(Postponed)] == ["a.io/x"]
    assert [event.request.reference.text for event in scene.heard(Finished)] == ["a.io/gone", "a.io/z", "a.io/x"]


def test_the_second_pass_is_one_attempt_one_image_at_a_time() -> None:
    """It is gentle: no retries, nothing beside it."""
    names = [f"r{n}.io/x" for n in range(6)]
    backend = FakeBackend(dict.fromkeys(names, RESET))
    scene = Scene(backend, Settings(jobs=6, retry=QUICK), *names)
    assert [len(outcome.attempts) for outcome in scene.outcomes] == [4] * 6
    assert scene.kinds == [Kind.CONNECTION_RESET] * 6
    last = [outcome.attempts[-1] for outcome in scene.outcomes]
    assert len(scene.heard(Finished)) == len(last) == 6


@pytest.mark.parametrize("why", [MISSING, LOCKED])
def test_what_will_not_pass_gets_no_second_pass(why: EngineError) -> None:
    """A missing image, or a registry that wants a quarter of an hour, is not asked again."""
    scene = Scene(FakeBackend({"a.io/x": why}), Settings(retry=QUICK), "a.io/x")
    assert scene.backend.attempts == {"a.io/x": 1}
    assert scene.heard(Postponed) == []


def test_no_second_pass_is_none() -> None:
    """`--no-second-pass` ends with the retries."""
    settings = Settings(retry=QUICK._replace(second_pass=False))
    assert Scene(FakeBackend({"a.io/x": RESET}), settings, "a.io/x").backend.attempts == {"a.io/x": 3}


# The deadline.


def test_the_deadline_ends_the_run_and_not_the_report() -> None:
    """What was done stays done, what hangs or has not begun is cancelled with the reason; run me again."""
    backend = FakeBackend({"a.io/hangs": until_cancelled})
    scene = Scene(backend, Settings(jobs=1, retry=QUICK, deadline=0.4), "a.io/good", "a.io/hangs", "a.io/late")
    assert [outcome.status for outcome in scene.outcomes] == [Status.PULLED, Status.CANCELLED, Status.CANCELLED]
    assert scene.report.stopped == "the deadline of 0.4s has passed"
    assert scene.report.exit_code is ExitCode.TRY_AGAIN


# The truth after a pull.

OTHER = "sha256:" + "9" * 64


@pytest.mark.parametrize("pulled", [PULLED, UP_TO_DATE])
def test_an_engine_that_has_something_else_is_not_believed(pulled: EngineResult) -> None:
    """The digest announced is not among those of what the engine has: the image failed, and was tried again."""
    settings, has = Settings(retry=QUICK._replace(second_pass=False)), InspectedImage("sha256:" + "1" * 64, (OTHER,))
    scene = Scene(FakeBackend({"a.io/x": pulled}, has={"a.io/x": has}), settings, "a.io/x")
    assert scene.kinds == [Kind.DIGEST_MISMATCH]
    assert len(scene.outcomes[0].attempts) == 3
    assert scene.outcomes[0].failure
    assert DIGEST in scene.outcomes[0].failure.message


def test_a_digest_that_was_asked_for_is_what_counts() -> None:
    """An engine that announces another digest than the one in the list has not done what was asked."""
    text = f"a.io/x@{OTHER}"
    settings = Settings(retry=RetryPolicy(0, 0.0, second_pass=False))
    scene = Scene(FakeBackend(), settings, text)
    assert scene.kinds == [Kind.DIGEST_MISMATCH]
    assert failure(Kind.DIGEST_MISMATCH, "").advice == scene.outcomes[0].failure.advice  # type: ignore[union-attr]


def test_an_image_known_by_several_digests_is_the_right_one() -> None:
    """Index and platform manifest, or what a tag was before: one of them must be it."""
    has = InspectedImage("sha256:" + "1" * 64, (OTHER, DIGEST))
    assert Scene(FakeBackend(has={"a.io/x": has}), Settings(), "a.io/x").report.ok


def test_an_engine_that_says_no_digests_is_believed() -> None:
    """Some engines keep none: then there is nothing to compare."""
    has = InspectedImage("sha256:" + "1" * 64, ())
    assert Scene(FakeBackend(has={"a.io/x": has}), Settings(), "a.io/x").report.ok
    assert NOTHING.identity is None


# A network that goes away.

NO_ROUTE = EngineError("dial tcp 10.0.0.1:443: connect: network is unreachable")
NO_NAME = EngineError("dial tcp: lookup a.io on 10.0.0.2:53: no such host")


class Link(Resolver):
    """Registries behind a link that comes back when it has been looked at so often."""

    def __init__(self, comes_at: int) -> None:
        self.comes_at = comes_at
        self.looks = 0

    def health(self, registry: str) -> RegistryHealth:
        """Look at the link for the probe."""

        def probe() -> bool:
            self.looks += 1
            return self.looks >= self.comes_at

        return RegistryHealth(registry, 2, probe)


def behind(
    link: Link, scripts: dict[str, Sequence[EngineError | EngineResult]], *, local: bool = True, wait: float = 60
) -> tuple[list[Status], list[str]]:
    """Pull through the link, without retries but one; give the outcomes and the pauses."""
    heard: list[Event] = []
    engine = FakeBackend(scripts, store=FakeStore(facts=EngineInfo(local=local)))
    settings = Settings(jobs=3, retry=RetryPolicy(1, 0.0, second_pass=False), network_wait=wait)
    report = pull_all([*map(request, scripts)], engine, settings, observer=heard.append, registries=link)
    return [each.status for each in report.outcomes], [each.subject for each in heard if isinstance(each, Paused)]


@pytest.mark.parametrize("error", [NO_ROUTE, REFUSED, RESET, EngineError("read: i/o timeout")])
def test_a_network_that_is_down_for_all_is_waited_for(error: EngineError) -> None:
    """Not even more failures than the breaker bears cost an image; whoever looks on is told once."""
    names = [f"{registry}.io/{image}" for image in "xyz" for registry in "ab"]
    done, pauses = behind(Link(comes_at=3), dict.fromkeys(names, (error, PULLED)))
    assert done == [Status.PULLED] * 6
    assert set(pauses) <= {"network"}


def test_a_network_with_one_registry_is_waited_for() -> None:
    """What only a network can do is its doing."""
    done, pauses = behind(Link(comes_at=3), dict.fromkeys(("a.io/x", "a.io/y", "a.io/z"), (NO_ROUTE, PULLED)))
    assert (done, pauses) == ([Status.PULLED] * 3, ["network"])


@pytest.mark.parametrize("error", [REFUSED, NO_NAME])
def test_one_registry_that_is_down_is_no_network(error: EngineError) -> None:
    """Somebody has refused, or knows that there is no such name."""
    assert behind(Link(comes_at=1 << 30), {"a.io/x": (error,)}) == ([Status.FAILED], [])


def test_a_network_elsewhere_is_not_this_ones() -> None:
    """What an engine on another host reaches cannot be seen from here."""
    assert behind(Link(comes_at=1 << 30), {"a.io/x": (NO_ROUTE,)}, local=False) == ([Status.FAILED], [])


def test_a_network_that_stays_away_is_given_up() -> None:
    """After `--network-wait` the images fail as they would have without it."""
    done, pauses = behind(Link(comes_at=1 << 30), {"a.io/x": (NO_ROUTE,), "b.io/x": (NO_ROUTE,)}, wait=0.3)
    assert (done, pauses) == ([Status.FAILED] * 2, ["network"])
