"""A run over hosts: one session each, one report, and what one host's trouble means for the others."""

import resource
import sys
import threading
import time
from collections.abc import Callable

import pytest

from puller.cancellation import Cancellation
from puller.engine.model import EngineInfo
from puller.errors import EngineError, ExitCode, FailureKind
from puller.events import Event, Finished, Paused, RunStarted
from puller.fleet import states as states_of_hosts
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.fleet.ssh import problem_of
from puller.fleet.url import SshTarget
from puller.fleet.waves import parse_waves
from puller.model import EngineResult, Report, Status
from puller.model.hosts import HostState
from puller.report import RENDERERS
from puller.settings import FailureLimit, Policy
from tests.lab.fakes import PULLED, FakeBackend, FakeStore, Result, until_cancelled
from tests.lab.samples import DIGEST
from tests.unit.fleet.hosts import QUICK, FakeFleet, TableRegistries, fleet_run, pull

OTHER = "sha256:" + "f" * 64
FULL = EngineError("write /var/lib/docker/tmp/x: no space left on device")
UNKNOWN = EngineError("manifest unknown")


def states(report: Report) -> dict[str, str]:
    """Return what became of each host."""
    assert report.fleet
    return {host.name: host.state.value for host in report.fleet.hosts}


def test_every_host_gets_every_image() -> None:
    """The report has an outcome for each host and image, in the order of the hosts and of the list."""
    report = pull(FakeFleet(), 3)
    assert [(outcome.host, outcome.requested[0]) for outcome in report.outcomes] == [
        (f"h{host}", image) for host in range(3) for image in ("a.io/x:1", "b.io/y:1")
    ]
    assert {outcome.status for outcome in report.outcomes} == {Status.PULLED}
    assert states(report) == dict.fromkeys(("h0", "h1", "h2"), "done")
    assert report.exit_code is ExitCode.OK
    assert report.details.engine == "3 hosts: engine 0 (a fake)"


def test_events_name_their_host() -> None:
    """Each host starts a run of its own, and is told of when it begins and ends."""
    events: list[Event] = []
    told: list[FleetEvent] = []
    pull(FakeFleet(), 2, told=told, observer=events.append)
    assert sorted(str(event.host) for event in events if isinstance(event, RunStarted)) == ["h0", "h1"]
    assert {event.host for event in events if isinstance(event, Finished)} == {"h0", "h1"}
    assert [type(event) for event in told] == [HostStarted, HostStarted, HostEnded, HostEnded]


def test_a_tag_is_resolved_once_and_every_host_pulls_that_digest() -> None:
    """The registry moves the tag during the run: later hosts still get the first bytes, under the tag."""
    registries, fleet = TableRegistries({"a.io/x:1": DIGEST}), FakeFleet()

    def move(cancel: Cancellation) -> EngineResult:
        registries.digests["a.io/x:1"] = OTHER
        return PULLED

    fleet.engines["h0"] = FakeBackend(otherwise=move)
    report = pull(fleet, 3, ["a.io/x:1"], registries=registries, canaries=1)
    assert registries.asked == ["a.io/x:1"]
    assert {outcome.digest for outcome in report.outcomes} == {DIGEST}
    assert {outcome.reference for outcome in report.outcomes} == {"a.io/x:1"}  # as the list has it
    for engine in fleet.engines.values():
        assert engine.store.tagged == [(f"a.io/x@{DIGEST}", f"a.io/x:1@{DIGEST}")]  # type: ignore[attr-defined]


def test_a_tag_that_cannot_be_resolved_here_has_the_digest_of_the_first_host() -> None:
    """This machine does not reach the registry, the hosts do: after the first of them, all pull by digest."""
    fleet = FakeFleet()
    report = pull(fleet, 3, ["a.io/x:1"], registries=TableRegistries(otherwise=None), parallel_hosts=1)
    assert {outcome.digest for outcome in report.outcomes} == {DIGEST}
    tags = [len(engine.store.tagged) for _, engine in sorted(fleet.engines.items())]  # type: ignore[attr-defined]
    assert tags == [0, 1, 1]


def test_hosts_that_run_at_once_agree_on_a_digest() -> None:
    """Both have begun before either knows a digest: the one that ends last pulls again, by digest."""
    both = threading.Barrier(2)

    def first(digest: str) -> Callable[[Cancellation], EngineResult]:
        def result(cancel: Cancellation) -> EngineResult:
            both.wait(60)
            return EngineResult(digest, up_to_date=False)

        return result

    digests = (DIGEST, OTHER), (OTHER, DIGEST)
    script: list[list[Result]] = [[first(one), EngineResult(other, up_to_date=False)] for one, other in digests]
    fleet = FakeFleet({f"h{at}": FakeBackend({"a.io/x:1": each}) for at, each in enumerate(script)})
    report = pull(fleet, 2, ["a.io/x:1"], registries=TableRegistries(otherwise=None))
    assert report.ok
    assert len({outcome.digest for outcome in report.outcomes}) == 1
    assert sorted(engine.attempts["a.io/x:1"] for engine in fleet.engines.values()) == [1, 2]


def test_images_that_are_kept_by_name_are_not_pinned() -> None:
    """`--policy missing` keeps what a host has."""
    fleet = FakeFleet()
    pull(fleet, 1, ["a.io/x:1"], settings=QUICK._replace(policy=Policy.MISSING))
    assert not fleet.engines["h0"].store.tagged  # type: ignore[attr-defined]


def test_a_full_disk_ends_one_host_and_no_other() -> None:
    """Its other images are cancelled, its neighbours have everything."""
    engines = {"h1": FakeBackend(otherwise=FULL)}
    images = [f"a.io/x:{number}" for number in range(6)]
    report = pull(FakeFleet(engines), 3, images, settings=QUICK._replace(jobs=1))
    assert states(report) == {"h0": "done", "h1": "failed", "h2": "done"}
    assert report.fleet
    (why,) = [host.failure for host in report.fleet.hosts if host.failure]
    assert why.kind is FailureKind.DISK_FULL
    assert sum(outcome.status is Status.CANCELLED for outcome in report.outcomes) == 5
    assert report.exit_code is ExitCode.FAILED


def test_a_host_that_is_down_is_unreachable_and_not_failed() -> None:
    """The others have everything, and the exit code says that only unreachable hosts lack images."""
    report = pull(FakeFleet(down=["h2"]), 4, max_fail=FailureLimit(0))
    assert states(report) == {"h0": "done", "h1": "done", "h2": "unreachable", "h3": "done"}
    assert report.exit_code is ExitCode.HOSTS_UNREACHABLE
    assert report.details.engine.startswith("3 of 4 hosts")
    assert [outcome.host for outcome in report.outcomes if not outcome.ok] == ["h2", "h2"]


def test_with_strict_an_unreachable_host_is_a_failed_one() -> None:
    """`--strict`: the exit code is that of a failure, here of one that may pass."""
    report = pull(FakeFleet(down=["h2"]), 4, strict=True)
    assert report.exit_code is ExitCode.TRY_AGAIN


def test_an_engine_that_goes_during_the_run_is_unreachable_too() -> None:
    """It belongs into the file of hosts for the next run."""
    gone = FakeBackend(otherwise=EngineError("gone", kind=FailureKind.DAEMON_UNREACHABLE), answers=[False])
    report = pull(FakeFleet({"h1": gone}), 2, settings=QUICK._replace(engine_wait=0.0))
    assert states(report) == {"h0": "done", "h1": "unreachable"}
    assert report.exit_code is ExitCode.HOSTS_UNREACHABLE


def test_images_of_a_lost_engine_were_not_pulled_for_one_reason() -> None:
    """Neither failed nor cancelled: each has the reason and the advice of its host, in the events too."""
    events: list[Event] = []
    gone = FakeBackend(otherwise=EngineError("gone", kind=FailureKind.DAEMON_UNREACHABLE), answers=[False])
    images = [f"a.io/x:{number}" for number in range(6)]
    settings = QUICK._replace(engine_wait=0.0, jobs=2)
    report = pull(FakeFleet({"h1": gone}), 2, images, settings=settings, observer=events.append)
    assert report.fleet
    why = report.fleet.hosts[1].failure
    assert why
    assert "Start the engine of the host" in why.advice
    mine = [outcome for outcome in report.outcomes if outcome.host == "h1"]
    assert {(outcome.status, outcome.failure) for outcome in mine} == {(Status.CANCELLED, why)}
    assert not report.failed
    assert not [each for each in events if isinstance(each, Finished) and each.outcome.status is Status.FAILED]


def test_a_lost_connection_is_a_host_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ssh says and advises, not that an engine must be started."""
    refused = problem_of(["ssh: connect to host h1 port 22: Connection refused"], SshTarget("h1"))
    gone = FakeBackend(otherwise=EngineError("gone", kind=FailureKind.DAEMON_UNREACHABLE), answers=[False])
    monkeypatch.setattr(states_of_hosts, "lost_connection", lambda engine: refused.error if engine is gone else None)
    report = pull(FakeFleet({"h1": gone}), 2, settings=QUICK._replace(engine_wait=0.0))
    assert report.fleet
    why = report.fleet.hosts[1].failure
    assert why
    assert (why.kind, why.advice) == (FailureKind.HOST_UNREACHABLE, "")  # the message says what to do
    assert "no sshd answers at the port: start it" in why.message
    assert "→" not in RENDERERS["text"](report)
    assert report.exit_code is ExitCode.HOSTS_UNREACHABLE


def test_an_engine_with_two_names_is_pulled_into_once() -> None:
    """Its second host begins when the first has ended, and a clone with the same ID at once; the names are told."""
    one, events = EngineInfo(identity="one", host="web1"), list[Event]()
    facts = {"h0": one, "h1": one._replace(host="a clone"), "h2": one}
    fleet = FakeFleet({name: FakeBackend(store=FakeStore(facts=each)) for name, each in facts.items()})
    run = fleet_run(fleet, 3)
    run.observe(events.append, lambda _: None)
    assert run.run().ok
    (same,) = run.same_engines
    assert sorted(same) == ["h0", "h2"]
    ends = [at for at, event in enumerate(events) if isinstance(event, Finished) and event.host == same[0]]
    begins = [at for at, event in enumerate(events) if isinstance(event, RunStarted) and event.host == same[1]]
    assert max(ends) < min(begins)


def test_after_a_failed_canary_no_other_host_is_touched() -> None:
    """No other engine was asked for anything; the report says of each host that it did not start."""
    fleet, told = FakeFleet({"h0": FakeBackend({"a.io/x:1": UNKNOWN})}), list[FleetEvent]()
    report = pull(fleet, 5, told=told, canaries=1)
    assert fleet.opened == ["h0"]
    assert states(report) == {"h0": "failed", **dict.fromkeys(("h1", "h2", "h3", "h4"), "not_started")}
    assert report.exit_code is ExitCode.HALTED
    assert told[-1] == Halted("the canary h0 failed", 4)
    assert report.outcomes[-1].failure
    assert report.outcomes[-1].failure.message == "halted: the canary h0 failed"


def test_too_many_failed_hosts_halt_the_run_between_waves() -> None:
    """25% of eight: with the third failed host no wave begins any more."""
    engines = {f"h{at}": FakeBackend({"a.io/x:1": UNKNOWN}) for at in (0, 2, 4)}
    fleet = FakeFleet(engines)
    report = pull(fleet, 8, waves=parse_waves("2"), max_fail=FailureLimit(25, percent=True))
    assert sorted(fleet.opened) == ["h0", "h1", "h2", "h3", "h4", "h5"]
    assert report.exit_code is ExitCode.HALTED
    assert report.fleet
    assert report.fleet.halted == "3 of 8 hosts failed: h0, h2, h4"
    assert [host.wave for host in report.fleet.hosts] == [1, 1, 2, 2, 3, 3, None, None]


def test_an_interrupt_stops_all_hosts_and_begins_no_other() -> None:
    """The report is complete: what was pulled, what was stopped, what did not start."""
    root, begun = Cancellation(), threading.Barrier(3)

    def hang(cancel: Cancellation) -> EngineResult:
        begun.wait(60)
        return until_cancelled(cancel)

    fleet = FakeFleet({f"h{at}": FakeBackend(otherwise=hang) for at in range(2)})

    def stop() -> None:
        begun.wait(60)
        root.cancel("interrupted by SIGTERM")

    stopper = threading.Thread(target=stop)
    stopper.start()
    report = pull(fleet, 4, ["a.io/x:1"], parallel_hosts=2, cancel=root)
    stopper.join()
    assert states(report) == {"h0": "cancelled", "h1": "cancelled", "h2": "not_started", "h3": "not_started"}
    assert report.stopped == "interrupted by SIGTERM"
    assert sorted(fleet.opened) == ["h0", "h1"]


def test_hosts_that_another_run_uses_wait_beside_the_others_and_end_with_the_run() -> None:
    """With one host at a time the third goes on while two wait, each told once; then an interrupt ends the run."""
    root, events = Cancellation(), list[Event]()
    fleet = FakeFleet({"h2": FakeBackend()}, busy=["h0", "h1"])

    def seen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Finished):
            root.cancel("interrupted by SIGTERM")

    report = pull(fleet, 4, ["a.io/x:1"], parallel_hosts=1, waves=parse_waves("3"), cancel=root, observer=seen)
    assert states(report) == {"h0": "cancelled", "h1": "cancelled", "h2": "done", "h3": "not_started"}
    assert [event.host for event in events if isinstance(event, Paused)] == ["h0", "h1"]
    assert report.stopped == "interrupted by SIGTERM"


def test_the_deadline_is_one_of_the_whole_run() -> None:
    """Hosts that have not begun when it passes do not begin."""
    fleet = FakeFleet({"h0": FakeBackend(otherwise=until_cancelled)})
    report = pull(fleet, 2, ["a.io/x:1"], parallel_hosts=1, settings=QUICK._replace(deadline=0.3))
    assert states(report)["h1"] in ("not_started", "cancelled")
    assert "deadline" in str(report.outcomes[0].failure)


def test_a_bug_at_one_host_fails_that_host() -> None:
    """The run goes on."""
    engine = FakeBackend()
    engine.store.holdings = None  # type: ignore[assignment]
    fleet = FakeFleet()
    broken = fleet.connect

    def connect(host: object, **more: object) -> object:
        if str(host).startswith("FleetHost(name='h1'"):
            raise ZeroDivisionError("a bug")
        return broken(host, **more)  # type: ignore[arg-type]

    fleet.connect = connect  # type: ignore[assignment, method-assign]
    report = pull(fleet, 3)
    assert states(report) == {"h0": "done", "h1": "failed", "h2": "done"}


@pytest.mark.parametrize("limit", [1, 3])
def test_a_registry_limit_holds_over_all_hosts(limit: int) -> None:
    """Six hosts with three pulls each: the limited registry sees so many at once, and the other one more."""
    lock, now, most = threading.Lock(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    crowd = threading.Event()

    def counting(name: str) -> Callable[[Cancellation], EngineResult]:
        def result(cancel: Cancellation) -> EngineResult:
            with lock:
                now[name] += 1
                most[name] = max(most[name], now[name])
                if now["b"] > limit:
                    crowd.set()
            if name == "b":
                crowd.wait(60)
            with lock:
                now[name] -= 1
            return PULLED

        return result

    script = {f"{name}.io/x:{at}": counting(name) for name in "ab" for at in range(4)}
    fleet = FakeFleet({f"h{at}": FakeBackend(script) for at in range(6)})
    report = pull(fleet, 6, [*script], registry_limits=(("A.io", limit),))
    assert report.ok
    assert 0 < most["a"] <= limit < most["b"]


def test_a_rate_limit_that_one_host_meets_pauses_the_registry_for_all() -> None:
    """The second host's engine is not asked before the limit ends; it ends too late, and the image fails with it."""
    limited = EngineError("toomanyrequests: retry-after: 3600s", status=429)
    fleet = FakeFleet({"h0": FakeBackend({"a.io/x:1": limited})})
    retry = QUICK.retry._replace(max_wait=1.0)
    report = pull(fleet, 2, settings=QUICK._replace(retry=retry), parallel_hosts=1)
    assert "a.io/x:1" not in fleet.engines["h1"].attempts
    kinds = {(o.host, o.requested[0]): o.failure.kind.value for o in report.outcomes if o.failure}
    assert kinds == {("h0", "a.io/x:1"): "rate_limited", ("h1", "a.io/x:1"): "rate_limited"}


@pytest.mark.parametrize(("asked", "hosts"), [(20, 20), (200, 29)])
def test_threads_do_not_grow_with_hosts_and_registries(
    asked: int, hosts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 hosts and three registries, with all pulls in flight that there may be: at most 600 threads."""
    images = [f"{name}.io/x:{at}" for name in "abc" for at in range(4)]
    lock, full, now, most = threading.Lock(), threading.Event(), [0], [0]

    def wait(cancel: Cancellation) -> EngineResult:
        with lock:
            now[0] += 1
            most[0] = max(most[0], threading.active_count())
            if now[0] == 3 * hosts:
                full.set()
        assert full.wait(60)
        return PULLED

    fleet = FakeFleet({f"h{at}": FakeBackend(otherwise=wait) for at in range(200)})
    before = threading.active_count()
    report = pull(fleet, 200, images, parallel_hosts=asked)
    assert report.ok
    assert fleet.most_open == hosts
    threads = most[0] - before
    with capsys.disabled():
        sys.stdout.write(f"\n{asked} hosts at once asked for: {hosts} ran at once, with {threads} threads\n")
    assert threads <= 600


def test_many_hosts_with_fifty_images(capsys: pytest.CaptureFixture[str]) -> None:
    """5,000 pulls: the hosts at once and the threads stay few."""
    images = [f"{'abc'[at % 3]}.io/x:{at}" for at in range(50)]
    fleet, began, before = FakeFleet(), time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = pull(fleet, 100, images)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with capsys.disabled():
        figures = f"{seconds:.1f} s, {(after - before) / 1024:.0f} MB more, {fleet.threads} threads"
        sys.stdout.write(f"\n100 hosts with 50 images each: {figures}, {fleet.most_open} hosts at once\n")
    assert report.ok
    assert len(report.outcomes) == 5_000
    assert fleet.most_open <= 20
    assert fleet.threads <= 600
    assert HostState.DONE in {host.state for host in report.fleet.hosts if report.fleet}  # type: ignore[union-attr]
