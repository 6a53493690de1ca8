"""The session: one engine, and all that belongs to pulling images into it."""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.engine.disk import DiskShortage
from puller.engine.endpoint import EngineAddress
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, ExitCode, FailureKind, ListError
from puller.events import Event, Finished
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest, Report, Status
from puller.plan import disk, inventory
from puller.pull import disk_check
from puller.pull.session import PullSession
from puller.registry.client import RegistryClient
from puller.report.json import render, report_of
from puller.settings import Policy, PrefetchMode, PrefetchSettings, RetryPolicy, Settings
from tests.lab.fakes import PULLED, FakeBackend, FakeStore, until_cancelled
from tests.lab.samples import DIGEST, request

FULL = EngineError("write /var/lib/docker/tmp/x: no space left on device")
AMD = Platform.parse("linux/amd64")
QUICK = Settings(retry=RetryPolicy(0, 0.0, second_pass=False), disk_check=False)


class SilentRegistries(RegistryClient):
    """A client whose registries answer nothing."""

    def resolve(self, reference: ImageReference) -> None:
        """Return nothing."""


def session(engine: FakeBackend, settings: Settings = QUICK, **options: object) -> PullSession:
    """Make a session that asks no registry."""
    return PullSession(engine, SilentRegistries(), settings, **options)  # type: ignore[arg-type]


def test_one_image_has_one_outcome() -> None:
    """`pull_one` may be called as often as there are images, in one session."""
    engine = FakeBackend({"b.io/x": EngineError("manifest unknown")})
    with session(engine) as pulls:
        outcomes = [pulls.pull_one(request(text)) for text in ("a.io/x", "b.io/x", "a.io/y")]
    assert [outcome.status for outcome in outcomes] == [Status.PULLED, Status.FAILED, Status.PULLED]


def test_each_pull_looks_at_what_the_engine_has_then() -> None:
    """What came or went between two calls is known to the second."""
    store = FakeStore(facts=EngineInfo(AMD))
    with session(FakeBackend(store=store), Settings(policy=Policy.MISSING, disk_check=False)) as pulls:
        assert pulls.pull_one(request("nginx:1.27")).status is Status.PULLED
        name = "docker.io/library/nginx"
        store.held = LocalImages([LocalImage("sha256:1", (f"{name}:1.27",), (f"{name}@{DIGEST}",))])
        assert pulls.pull_one(request("nginx:1.27")).status is Status.PRESENT
    assert store.questions == 2


def test_the_session_leaves_the_engine_open() -> None:
    """Who has connected closes."""
    engine = FakeBackend()
    with session(engine) as pulls:
        pulls.pull_one(request())
    assert not engine.closed


def test_a_failure_of_one_host_ends_its_session_only() -> None:
    """A full disk here is none there; what begins later in the broken session is cancelled at once."""
    root = Cancellation()
    broken, well = FakeBackend(otherwise=FULL), FakeBackend()
    with session(broken, cancel=root) as first, session(well, cancel=root) as second:
        assert first.pull_one(request("a.io/x")).status is Status.FAILED
        assert first.pull_one(request("a.io/y")).status is Status.CANCELLED
        assert second.pull_one(request("a.io/x")).status is Status.PULLED
    assert not root.requested


def test_a_signal_ends_all_sessions() -> None:
    """Whoever cancels the root cancels what is in flight everywhere, with the same reason."""
    root, begun = Cancellation(), threading.Barrier(3)

    def hang(cancel: Cancellation) -> EngineResult:
        begun.wait(60)
        return until_cancelled(cancel)

    reports: list[Report] = []

    def pull() -> None:
        with session(FakeBackend(otherwise=hang), cancel=root) as pulls:
            reports.append(pulls.pull([request()]))

    threads = [threading.Thread(target=pull) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    root.cancel("interrupted by SIGTERM")
    for thread in threads:
        thread.join()
    assert [report.stopped for report in reports] == ["interrupted by SIGTERM"] * 2


@pytest.mark.parametrize("host", [None, "web-3"])
def test_events_and_outcomes_name_their_host(host: str | None) -> None:
    """Where there are several; the only engine of a run has no name, and the report says null."""
    events: list[Event] = []
    with session(FakeBackend(), observer=events.append, host=host) as pulls:
        report = pulls.pull([request()])
    assert {event.host for event in events} == {host}
    (finished,) = [event for event in events if isinstance(event, Finished)]
    assert finished.outcome == report.outcomes[0]
    text = render(report)
    assert json.loads(text)["images"][0]["host"] == host
    assert report_of(text).outcomes[0].host == host


def test_more_platforms_than_the_engine_keeps_are_refused() -> None:
    """By every session, whoever has made it, before anything is pulled."""
    engine = FakeBackend(store=FakeStore(facts=EngineInfo(AMD)))
    with session(engine) as pulls, pytest.raises(ListError, match="keeps one platform of a tag"):
        pulls.pull([request("nginx"), request("nginx", "linux/arm64")])
    assert engine.attempts == {}


class Remote(FakeStore):
    """The images of an engine that a forwarded socket leads to: its disk is not this machine's."""

    def __init__(self, folder: Path) -> None:
        address = EngineAddress("web-3", f"unix://{folder}/forward.sock", local=False)
        super().__init__(facts=EngineInfo(AMD, data_root=str(folder), local=address.local))


def test_an_engine_behind_a_forwarded_socket_is_not_on_this_machine(tmp_path: Path) -> None:
    """Its disk is not looked at here, and nothing is prefetched onto a loopback that it does not have."""
    always = PrefetchSettings(PrefetchMode.ALWAYS)
    with session(FakeBackend(store=Remote(tmp_path)), Settings(prefetch=always)) as pulls:
        assert pulls.pull([request()]).ok
    assert [note.text for note in pulls.notes] == [
        "nothing is prefetched: the engine is not known to be on this host",
        "disk not checked: the engine is not known to be on this host",
    ]


SMALL, WIDE = 1 << 30, 8 << 30
"""Free bytes with which pulls wait for the disk check, and with which they begin at once."""
Answer = DiskShortage | None | Callable[[], DiskShortage | None]


class Disk:
    """A disk with so many free bytes, and the answers of its checks, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int, *answers: Answer) -> None:
        self.free = free
        self.checked: list[int] = []
        """How many images each check was about."""
        self._answers = list(answers)
        monkeypatch.setattr(disk, "check_disk", self._check)
        for module in (disk_check, inventory):
            monkeypatch.setattr(module, "free_bytes", lambda _: (self.free, ""))

    def _check(self, requests: Sequence[PullRequest], *_: object) -> DiskShortage | None:
        self.checked.append(len(requests))
        answer = self._answers.pop(0)
        return answer() if callable(answer) else answer


SHORTAGE = DiskShortage("/var/lib/docker", needed=10, free=1, images=2)


def test_what_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small disk: no image is pulled, every one says why, and the disk was asked about once."""
    engine, room = FakeBackend(), Disk(monkeypatch, SMALL, SHORTAGE)
    with session(engine, Settings()) as pulls:
        report = pulls.pull([request("a.io/x"), request("a.io/y")])
    assert {outcome.failure.kind for outcome in report.outcomes if outcome.failure} == {FailureKind.DISK_TOO_SMALL}
    assert (engine.attempts, room.checked, report.stopped, pulls.shortage) == ({}, [2], str(SHORTAGE), SHORTAGE)


def test_pulls_do_not_wait_for_the_check_of_a_disk_with_a_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal ends what is in flight; an image that had arrived is reported as pulled."""
    arrived, begun = threading.Event(), threading.Event()

    def hang(cancel: Cancellation) -> EngineResult:
        begun.set()
        return until_cancelled(cancel)

    def refuse() -> DiskShortage:
        assert arrived.wait(60)
        assert begun.wait(60)
        return SHORTAGE

    def observe(event: Event) -> None:
        if isinstance(event, Finished) and event.outcome.ok:
            arrived.set()

    Disk(monkeypatch, WIDE, refuse)
    wanted = [request("a.io/x"), request("b.io/hangs"), request("b.io/late")]
    with session(FakeBackend({"b.io/hangs": hang}), Settings(per_registry=1), observer=observe) as pulls:
        report = pulls.pull(wanted)
    assert [(each.status, each.failure and each.failure.kind) for each in report.outcomes] == [
        (Status.PULLED, None),
        (Status.CANCELLED, FailureKind.DISK_TOO_SMALL),
        (Status.CANCELLED, FailureKind.DISK_TOO_SMALL),
    ]
    assert ([len(each.attempts) for each in report.outcomes], report.exit_code) == ([1, 1, 0], ExitCode.FAILED)


@pytest.mark.parametrize("shortage", [None, SHORTAGE])
def test_half_of_the_free_space_is_left_until_the_check_has_ended(
    monkeypatch: pytest.MonkeyPatch, shortage: DiskShortage | None
) -> None:
    """Pulls that would use more are broken off, and made again if the images fit."""
    broken_off = threading.Event()

    def fill(cancel: Cancellation) -> EngineResult:
        room.free = WIDE // 2 - 1
        try:
            return until_cancelled(cancel)
        finally:
            broken_off.set()

    def answer() -> DiskShortage | None:
        assert broken_off.wait(60)
        return shortage

    room, engine = Disk(monkeypatch, WIDE, answer), FakeBackend({"a.io/x": [fill, PULLED]})
    with session(engine, Settings()) as pulls:
        (outcome,) = pulls.pull([request("a.io/x")]).outcomes
    assert (outcome.status, len(outcome.attempts)) == (Status.CANCELLED if shortage else Status.PULLED, 1)
    assert engine.attempts == {"a.io/x": 1 if shortage else 2}


@pytest.mark.parametrize("policy", [Policy.NEWER, Policy.MISSING])
def test_absent_images_wait_for_no_question_about_others(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    """A registry that does not answer a HEAD keeps no image of its own waiting that the engine does not have."""
    answer = threading.Event()

    def resolve(_: RegistryClient, reference: ImageReference) -> None:
        asked.append(reference.text)
        assert answer.wait(60)

    def observe(event: Event) -> None:
        if isinstance(event, Finished) and event.request == absent:
            answer.set()

    asked: list[str] = []
    monkeypatch.setattr(RegistryClient, "resolve", resolve)
    names = [f"a.io/held{number}" for number in range(20)]
    held = (LocalImage(f"sha256:{name}", (f"{name}:latest",), (f"{name}@{DIGEST}",)) for name in names)
    engine, absent = FakeBackend(store=FakeStore(LocalImages(held))), request("a.io/absent")
    settings = Settings(1, policy=policy, disk_check=False)
    with PullSession(engine, RegistryClient(), settings, observer=observe) as pulls:
        report = pulls.pull([*map(request, names), absent])
    assert (report.ok, sorted(asked)) == (True, sorted(names) if policy is Policy.NEWER else [])
    assert next(iter(engine.attempts)) == "a.io/absent"


def test_room_is_made_until_the_images_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is checked again after each removal; if nothing more can go, the pull is refused without that advice."""
    told: list[DiskShortage] = []

    def make_room(shortage: DiskShortage) -> bool:
        told.append(shortage)
        return len(told) == 1

    Disk(monkeypatch, SMALL, SHORTAGE, None)
    with session(FakeBackend(), Settings(), make_room=make_room) as pulls:
        assert pulls.pull([request()]).ok
    Disk(monkeypatch, SMALL, SHORTAGE)
    with session(FakeBackend(), Settings(), make_room=make_room) as pulls:
        (outcome,) = pulls.pull([request()]).outcomes
    assert told == [SHORTAGE, SHORTAGE]
    assert outcome.failure
    assert "--no-disk-check" in outcome.failure.advice
    assert "--make-room" not in outcome.failure.advice


def test_images_are_removed_while_nothing_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What had begun is broken off first, counted anew, and pulled again at the end."""
    begun, in_flight = threading.Event(), list[str]()

    def begin(cancel: Cancellation) -> EngineResult:
        begun.set()
        in_flight.append("x")
        try:
            return until_cancelled(cancel)
        finally:
            in_flight.clear()

    def first() -> DiskShortage:
        assert begun.wait(60)
        return SHORTAGE

    smaller = SHORTAGE._replace(needed=5)
    told: list[tuple[DiskShortage, list[str]]] = []

    def make_room(shortage: DiskShortage) -> bool:
        told.append((shortage, [*in_flight]))
        return True

    Disk(monkeypatch, WIDE, first, smaller, None)
    engine = FakeBackend({"a.io/x": [begin, PULLED]})
    with session(engine, Settings(), make_room=make_room) as pulls:
        assert pulls.pull([request("a.io/x")]).ok
    assert (told, engine.attempts) == ([(smaller, [])], {"a.io/x": 2})


def test_a_pull_that_cannot_be_broken_off_is_given_up_at_the_deadline() -> None:
    """The report comes, and the image that the engine never let go of is cancelled in it."""
    never = threading.Event()

    def deaf(_cancel: Cancellation) -> EngineResult:
        assert never.wait(60)
        return PULLED

    with session(FakeBackend(otherwise=deaf), Settings(deadline=0.1, disk_check=False)) as pulls:
        report = pulls.pull([request()])
    never.set()
    assert (report.outcomes[0].status, report.stopped) == (Status.CANCELLED, "the deadline of 0.1s has passed")
