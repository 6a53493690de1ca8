"""All images: one outcome for each, in list order, whatever happens on the way."""

import os
import signal
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest

from puller.cancellation import Cancellation
from puller.cli.signals import handled
from puller.errors import EngineError, ExitCode, FailureKind as Kind
from puller.events import Event, Finished, RunStarted, Started
from puller.failure import failure
from puller.model import EngineResult, PullOutcome, PullRequest, Report, Status
from puller.pull.session import pull_nothing
from puller.settings import NO_FAILURE, FailureLimit, RegistrySettings, RetryPolicy, Settings
from tests.lab.fakes import PULLED, FakeBackend, pull_all, until_cancelled
from tests.lab.samples import outcome, report, request

ONCE = RetryPolicy(retries=0, delay=0.0, second_pass=False)
MISSING = EngineError("manifest unknown")
RESET = EngineError("connection reset by peer")
BYTES_PER_REQUEST = 4_000
"""Peak memory for each image of a run with an instant engine: 2,200 bytes measured on Python 3.11, and a margin."""


def requests(number: int, registry: str = "r.io") -> list[PullRequest]:
    """Ask for that many images of one registry."""
    return [request(f"{registry}/app{n}:v1") for n in range(number)]


def statuses(done: Report) -> str:
    """Write the outcomes as letters: P(ulled), F(ailed), C(ancelled)."""
    return "".join(each.status.value[0].upper() for each in done.outcomes)


def test_one_outcome_for_each_request_in_list_order() -> None:
    """Nothing is lost, doubled or moved, however the images of many registries end."""
    wanted = [request(f"r{n % 7}.io/app{n}:v1") for n in range(200)]
    bad = {each.reference.text: MISSING for each in wanted[::5]}
    backend = FakeBackend(bad)
    done = pull_all(wanted, backend, Settings(jobs=8, retry=ONCE))
    assert [each.requested for each in done.outcomes] == [each.requested for each in wanted]
    assert statuses(done) == "FPPPP" * 40
    assert set(backend.attempts.values()) == {1}
    assert len(backend.attempts) == 200
    assert (done.ok, done.stopped, done.exit_code) == (False, "", ExitCode.FAILED)
    assert done.started.tzinfo is not None


def test_no_images_are_no_failure() -> None:
    """An empty run is fine."""
    done = pull_all([], FakeBackend(), Settings())
    assert (done.outcomes, done.ok, done.exit_code) == ((), True, ExitCode.OK)


def test_lines_that_were_skipped_come_last() -> None:
    """Outcomes of bad lines are reported behind those of the images, and count as failed."""
    bad = outcome("x:1", Status.FAILED, why=failure(Kind.BAD_REFERENCE, "list:3: invalid"))
    done = pull_all(requests(2), FakeBackend(), Settings(), rejected=[bad])
    assert statuses(done) == "PPF"
    assert done.outcomes[-1] is bad
    assert done.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(("jobs", "per_registry"), [(1, None), (3, None), (4, 2)])
def test_no_more_are_in_flight_than_was_asked_for(jobs: int, per_registry: int | None) -> None:
    """`--jobs` bounds the run, `--per-registry` each registry, with retries under way, too."""
    wanted = [request(f"r{n % 3}.io/app{n}") for n in range(60)]
    backend = FakeBackend({each.reference.text: [RESET, PULLED] for each in wanted})
    done = pull_all(wanted, backend, Settings(jobs, per_registry, retry=RetryPolicy(1, delay=0.0)))
    assert statuses(done) == "P" * 60
    assert backend.most.pop("") <= jobs
    assert max(backend.most.values()) <= (per_registry or jobs)


@pytest.mark.parametrize(
    ("registry", "width"), [("narrow.io", 1), ("Wide.io:5000", 3), ("vast.io", 4), ("other.io", 2)]
)
def test_a_registry_may_have_a_limit_of_its_own(registry: str, width: int) -> None:
    """Its concurrency counts instead of `--per-registry`, above or below that, and never beyond `--jobs`."""
    special = {
        "narrow.io": RegistrySettings(concurrency=1),
        "wide.io:5000": RegistrySettings(concurrency=3),
        "vast.io": RegistrySettings(concurrency=1000),
    }
    barrier = threading.Barrier(width)

    def meet(_cancel: Cancellation) -> EngineResult:
        barrier.wait(60)
        return PULLED

    backend = FakeBackend(otherwise=meet)
    done = pull_all(requests(12, registry), backend, Settings(4, 2, registries=special))
    assert statuses(done) == "P" * 12
    assert backend.most[registry] == width


def test_jobs_run_beside_each_other() -> None:
    """With four jobs, four images of one registry are in flight at the same time."""
    barrier = threading.Barrier(4)

    def meet(_cancel: Cancellation) -> EngineResult:
        barrier.wait(60)
        return PULLED

    backend = FakeBackend(otherwise=meet)
    done = pull_all(requests(8), backend, Settings(jobs=4))
    assert statuses(done) == "P" * 8
    assert backend.most[""] == 4


def test_a_slow_registry_costs_the_others_nothing() -> None:
    """While one registry answers nothing, all images of another come through."""
    quick = requests(10, "quick.io")
    left = threading.Semaphore(0)

    def last(_cancel: Cancellation) -> EngineResult:
        left.release()
        return PULLED

    def slow(_cancel: Cancellation) -> EngineResult:
        for _ in quick:
            assert left.acquire(timeout=60)
        for _ in quick:
            left.release()
        return PULLED

    script = {each.reference.text: last for each in quick} | {"slow.io/app0:v1": slow, "slow.io/app1:v1": slow}
    done = pull_all([*requests(2, "slow.io"), *quick], FakeBackend(script), Settings(jobs=2, per_registry=1))
    assert statuses(done) == "P" * 12


def test_a_broken_worker_costs_one_image() -> None:
    """What no worker should raise is still one failed image, and the others go on."""
    wanted = requests(5)
    backend = FakeBackend({wanted[2].reference.text: SystemExit("out")})
    done = pull_all(wanted, backend, Settings())
    assert statuses(done) == "PPFPP"
    why = done.outcomes[2].failure
    assert why
    assert (why.kind, why.message) == (Kind.INTERNAL, "SystemExit: out")


def test_a_broken_observer_costs_nothing() -> None:
    """A display that raises at every event changes no outcome."""

    def broken(event: Event) -> None:
        raise RuntimeError(event)

    assert statuses(pull_all(requests(5), FakeBackend(), Settings(), observer=broken)) == "PPPPP"


def test_observers_hear_the_run_begin_and_every_image_end() -> None:
    """First the number of images and the engine, then for each image its start before its end."""
    events: list[Event] = []
    wanted = requests(20)
    pull_all(wanted, FakeBackend(), Settings(jobs=4), observer=events.append)
    assert events[0] == RunStarted(20, "engine 0 (a fake)")
    for each in wanted:
        mine = [type(event) for event in events[1:] if isinstance(event, (Started, Finished)) and event.request == each]
        assert mine == [Started, Finished]


# Ending before the end.


def test_fail_fast_ends_the_run_at_the_first_failure() -> None:
    """What came before is kept, what had not begun is cancelled, and the report says why."""
    wanted = requests(10)
    backend = FakeBackend({wanted[3].reference.text: MISSING})
    done = pull_all(wanted, backend, Settings(jobs=1, retry=ONCE, max_fail=NO_FAILURE))
    assert statuses(done) == "PPPFCCCCCC"
    assert done.stopped == "1 of 10 images failed; the last was r.io/app3:v1"
    assert {each.failure.message for each in done.outcomes[4:] if each.failure} == {done.stopped}
    assert done.exit_code is ExitCode.FAILED
    assert len(backend.attempts) == 4


@pytest.mark.parametrize(("limit", "failed"), [("0", 1), ("2", 3), ("25%", 6), ("19%", 4), ("100%", 20), ("20", 20)])
def test_max_fail_bears_as_many_as_it_says(limit: str, failed: int) -> None:
    """The run ends with the failure that is one too many."""
    settings = Settings(jobs=1, retry=ONCE, max_fail=FailureLimit.parse(limit))
    done = pull_all(requests(20), FakeBackend(otherwise=MISSING), settings)
    assert statuses(done) == "F" * failed + "C" * (20 - failed)
    assert bool(done.stopped) is (failed < 20)


def test_lines_that_were_skipped_count_against_max_fail() -> None:
    """A bad line is a failure that has happened already, and part of the whole."""
    bad = [outcome(f"x:{n}", Status.FAILED, why=failure(Kind.BAD_REFERENCE, "bad")) for n in range(2)]
    settings = Settings(jobs=1, retry=ONCE, max_fail=FailureLimit.parse("2"))
    done = pull_all(requests(5), FakeBackend(otherwise=MISSING), settings, rejected=bad)
    assert statuses(done) == "FCCCCFF"
    assert done.stopped.startswith("3 of 7 images failed")


def test_without_a_limit_every_image_is_tried() -> None:
    """By default a run goes through to the end."""
    done = pull_all(requests(20), FakeBackend(otherwise=MISSING), Settings(retry=ONCE))
    assert (statuses(done), done.stopped) == ("F" * 20, "")


def test_a_full_disk_ends_the_run() -> None:
    """When no image can succeed any more, the rest is cancelled with the engine's words."""
    full = EngineError("write /var/lib/docker/tmp/GetImageBlob1: no space left on device")
    wanted = requests(6)
    done = pull_all(wanted, FakeBackend({wanted[1].reference.text: full}), Settings(jobs=1))
    assert statuses(done) == "PFCCCC"
    assert "no space left on device" in done.stopped
    assert done.exit_code is ExitCode.FAILED


def test_an_engine_that_goes_away_ends_the_run_as_unreachable() -> None:
    """The exit code is 69, though the run had begun."""
    gone = EngineError("the engine is gone", kind=Kind.DAEMON_UNREACHABLE)
    wanted = requests(4)
    backend = FakeBackend({wanted[1].reference.text: gone}, answers=(False,))
    done = pull_all(wanted, backend, Settings(jobs=1, engine_wait=0.0))
    assert statuses(done) == "PFCC"
    assert done.exit_code is ExitCode.ENGINE_UNREACHABLE


def test_a_run_that_stops_breaks_off_what_is_in_flight() -> None:
    """Images that hang when another one ends the run are cancelled, not waited for."""
    wanted = requests(3)
    together = threading.Barrier(3)

    def hang(cancel: Cancellation) -> EngineResult:
        together.wait(60)
        return until_cancelled(cancel)

    def fail(_cancel: Cancellation) -> EngineResult:
        together.wait(60)
        raise MISSING

    script = {wanted[0].reference.text: hang, wanted[1].reference.text: fail, wanted[2].reference.text: hang}
    done = pull_all(wanted, FakeBackend(script), Settings(jobs=3, retry=ONCE, max_fail=NO_FAILURE))
    assert statuses(done) == "CFC"


def interrupt_main() -> None:
    """Interrupt the main thread as Ctrl-C does: a signal that wakes it up wherever it waits."""
    main = threading.main_thread().ident
    assert main
    signal.pthread_kill(main, signal.SIGINT)


def test_an_interrupt_during_the_wait_ends_in_a_report() -> None:
    """What was done is kept, what hangs is broken off, what had not begun is cancelled."""
    wanted = requests(6)
    begun = threading.Barrier(2)

    def hang(cancel: Cancellation) -> EngineResult:
        begun.wait(60)
        return until_cancelled(cancel)

    def ask(cancel: Cancellation) -> EngineResult:
        begun.wait(60)
        time.sleep(0.05)  # until the main thread has submitted everything and waits
        interrupt_main()
        return until_cancelled(cancel)

    script = {wanted[1].reference.text: hang, wanted[2].reference.text: ask}
    done = pull_all(wanted, FakeBackend(script), Settings(jobs=2))
    assert statuses(done) == "PCCCCC"
    assert done.stopped == "interrupted"
    assert [len(each.attempts) for each in done.outcomes] == [1, 1, 1, 0, 0, 0]


def test_an_interrupt_before_everything_was_submitted_ends_in_a_report() -> None:
    """Requests that no lane has seen yet have their outcome, too."""

    class Stopping(list[PullRequest]):
        """A list whose reader is interrupted after the third item."""

        def __iter__(self) -> Iterator[PullRequest]:
            yield from self[:3]
            signal.raise_signal(signal.SIGINT)
            yield from self[3:]

    done = pull_all(Stopping(requests(10)), FakeBackend(otherwise=until_cancelled), Settings())
    assert statuses(done) == "C" * 10
    assert done.stopped == "interrupted"


def test_a_pull_that_cannot_be_broken_off_is_given_up() -> None:
    """An engine that does not even stop when told to keeps nobody from the report."""
    never = threading.Event()

    def deaf(_cancel: Cancellation) -> EngineResult:
        interrupt_main()
        assert never.wait(60)
        return PULLED

    done = pull_all(requests(2), FakeBackend(otherwise=deaf), Settings(jobs=1))
    never.set()
    assert statuses(done) == "CC"


def test_an_interrupt_says_what_it_was() -> None:
    """The signal's name, where the command line knows it, is in the report."""

    def ask(cancel: Cancellation) -> EngineResult:
        os.kill(os.getpid(), signal.SIGTERM)
        return until_cancelled(cancel)

    with handled():
        done = pull_all(requests(2), FakeBackend(otherwise=ask), Settings(jobs=1))
    assert (statuses(done), done.stopped) == ("CC", "interrupted by SIGTERM")


def test_a_run_without_an_engine_cancels_everything() -> None:
    """Each image is there as cancelled, with the reason and what to do; bad lines stay failed."""
    bad = outcome("x:1", Status.FAILED)
    done = pull_nothing(requests(2), failure(Kind.DAEMON_UNREACHABLE, "cannot connect to the engine"), [bad])
    assert statuses(done) == "CCF"
    assert done.exit_code is ExitCode.ENGINE_UNREACHABLE
    assert done.stopped == "cannot connect to the engine"
    why = done.outcomes[0].failure
    assert why
    assert why.kind is Kind.DAEMON_UNREACHABLE


# Exit codes.


def ended(kind: Kind | None, status: Status = Status.FAILED) -> PullOutcome:
    """End an image for a reason, or well."""
    return outcome(why=failure(kind, "words"), status=status) if kind else outcome()


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([ended(None)], 0),
        ([outcome(status=Status.UP_TO_DATE), outcome(status=Status.PRESENT)], 0),
        ([ended(None), ended(Kind.NOT_FOUND)], 1),
        ([ended(Kind.CONNECTION_RESET), ended(Kind.NOT_FOUND)], 1),
        ([ended(Kind.INTERNAL)], 1),
        ([ended(Kind.BAD_REFERENCE)], 1),
        ([ended(Kind.DISK_FULL), ended(Kind.CANCELLED, Status.CANCELLED)], 1),
        ([ended(Kind.NOT_FOUND), ended(Kind.CANCELLED, Status.CANCELLED)], 1),
        ([ended(None), ended(Kind.CONNECTION_RESET)], 75),
        ([ended(Kind.RATE_LIMITED), ended(Kind.REGISTRY_5XX)], 75),
        ([ended(Kind.TIMEOUT), ended(Kind.CANCELLED, Status.CANCELLED)], 75),
        ([ended(None), ended(Kind.CANCELLED, Status.CANCELLED)], 75),
        ([ended(Kind.DAEMON_UNREACHABLE), ended(Kind.NOT_FOUND)], 69),
        ([ended(Kind.SOCKET_PERMISSION)], 69),
        ([ended(Kind.DAEMON_UNREACHABLE, Status.CANCELLED)], 69),
    ],
)
def test_the_exit_code_tells_what_to_do_next(outcomes: list[PullOutcome], code: int) -> None:
    """0 all there, 1 somebody must change something, 75 run me again, 69 there is no engine."""
    assert report(*outcomes).exit_code == code


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_failure_is_a_failing_exit_code(kind: Kind) -> None:
    """No failed image ever ends in 0."""
    assert report(ended(None), ended(kind)).exit_code in (1, 69, 75)


def test_the_report_counts_every_status() -> None:
    """Zeros included, so that a script need not ask whether a key is there."""
    done = report(ended(None), ended(None), ended(Kind.NOT_FOUND))
    assert done.counts == {
        Status.PULLED: 2,
        Status.UP_TO_DATE: 0,
        Status.PRESENT: 0,
        Status.FAILED: 1,
        Status.CANCELLED: 0,
    }
    assert list(done.failed) == [done.outcomes[2]]


# Size.


def test_two_thousand_images(capfd: pytest.CaptureFixture[str]) -> None:
    """Every one has its outcome, in order, and nothing is printed."""
    wanted = [request(f"r{n % 5}.io/app{n}:v1") for n in range(2_000)]
    done = pull_all(wanted, FakeBackend(), Settings(jobs=8))
    assert [each.reference for each in done.outcomes] == [each.reference.canonical for each in wanted]
    assert Counter(each.status for each in done.outcomes) == {Status.PULLED: 2_000}
    assert capfd.readouterr() == ("", "")


def test_memory_grows_with_the_outcomes_only() -> None:
    """At its peak a run takes less than 4 kB for each image: its future, its outcome, its attempt."""
    wanted = requests(2_000)
    backend = FakeBackend()
    tracemalloc.start()
    try:
        done = pull_all(wanted, backend, Settings(jobs=4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(done.outcomes) == 2_000
    assert peak / 2_000 < BYTES_PER_REQUEST
