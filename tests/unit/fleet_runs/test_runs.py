"""Runs by a broker: waves, hosts that are offline, lost tasks, controllers that restart, and what users do."""

import sys
from pathlib import Path

import pytest

from puller.errors import ExitCode, UsageError
from puller.fleet.queue.broker import BrokerError
from puller.fleet.queue.messages import PullTask, TaskResult
from puller.fleet.runs import dispatcher
from puller.fleet.runs.dispatcher import Patience
from puller.fleet.runs.model import RunState
from puller.fleet.runs.schema import attempts, decisions
from puller.model import Status
from puller.model.hosts import HostState
from tests.lab.fake_broker import Pull, result_of
from tests.lab.samples import DIGEST
from tests.unit.fleet_runs.runs import Make, World, options


def failing(*hosts: str) -> Pull:
    """Let the first image fail on some hosts."""

    def pull(task: PullTask) -> Status:
        return Status.FAILED if task.host in hosts and "/app" in task.reference else Status.PULLED

    return pull


def rows(world: World) -> int:
    """Count the results in the store."""
    with world.store.reading() as connection:
        return len(connection.execute(attempts.select()).all())


def test_every_host_gets_every_image_by_digest(world: Make) -> None:
    """The report is that of any other run: exit code 0, images as the list has them."""
    it = world()
    name = it.add()
    assert {each.status for each in it.report(name).outcomes} == {Status.PENDING}
    assert it.report(name).exit_code is ExitCode.TRY_AGAIN
    it.turn()
    report = it.report(name)
    assert (report.exit_code, report.counts[Status.PULLED]) == (ExitCode.OK, 6)
    assert it.run(name).state is RunState.FINISHED
    assert {task.reference for task in it.broker.published} == {
        f"docker.io/library/app:1@{DIGEST}",
        f"docker.io/library/db:2@{DIGEST}",
    }
    assert [each.requested for each in report.outcomes[:2]] == [("app:1",), ("db:2",)]
    assert [each.host for each in report.outcomes] == ["h00", "h00", "h01", "h01", "h02", "h02"]


def test_the_second_wave_is_not_published_before_the_first_ends(world: Make) -> None:
    """Shares are of all hosts, as with `puller fleet pull`."""
    it = world(6)
    name = it.add(6, options(canaries=1, waves="2"))
    published = []
    for _ in range(4):
        it.step()
        published.append(len({task.host for task in it.broker.published}))
        it.broker.work()
        it.record()
    assert published == [1, 3, 5, 6]
    it.step()
    assert [host.wave for host in it.store.hosts(name)] == [0, 1, 1, 2, 2, 3]


def test_a_canary_that_fails_halts_the_run(world: Make) -> None:
    """Wave two is never published, also not by a controller that starts later; `resume` goes on."""
    it = world(3, failing("h00"))
    name = it.add(3, options(canaries=1))
    it.turn(2)
    it.restart()
    it.turn(2)
    assert {task.host for task in it.broker.published} == {"h00"}
    report = it.report(name)
    assert report.exit_code is ExitCode.HALTED
    assert report.fleet
    assert report.fleet.halted == "the canary h00 failed"
    assert it.states(name) == {"h00": "failed", "h01": "not_started", "h02": "not_started"}
    it.store.resume(it.run(name), it.now)
    it.turn(3)
    assert it.states(name) == {"h00": "failed", "h01": "done", "h02": "done"}
    assert it.report(name).exit_code is ExitCode.FAILED


def test_too_many_failed_hosts_halt_the_run(world: Make) -> None:
    """Hosts that have begun finish."""
    it = world(6, failing("h00", "h01"))
    name = it.add(6, options(waves="2", max_fail="1"))
    it.turn(3)
    assert it.run(name).halted == "2 of 6 hosts failed: h00, h01"
    assert {task.host for task in it.broker.published} == {"h00", "h01"}


def test_a_host_that_is_offline_is_deferred_and_catches_up(world: Make) -> None:
    """It is no failure, holds up no wave, and ends the run only when it comes."""
    it = world(2)
    name = it.add(3, options(waves="1"))
    it.turn(4)
    report = it.report(name)
    assert (report.exit_code, it.states(name)["h02"]) == (ExitCode.HOSTS_UNREACHABLE, "deferred")
    assert it.run(name).state is RunState.RUNNING
    it.broker.online.add("h02")
    it.turn(1)
    assert it.report(name).exit_code is ExitCode.OK
    assert it.run(name).state is RunState.FINISHED


def test_a_host_that_does_not_come_expires(world: Make) -> None:
    """Its tasks are removed, and the report says why; `retry` has the run wait for it again."""
    it = world(2)
    name = it.add(3, seconds=3600)
    it.turn()
    it.step(3600)
    report = it.report(name)
    assert (report.exit_code, it.states(name)["h02"]) == (ExitCode.HOSTS_UNREACHABLE, "unreachable")
    assert report.fleet
    assert "before the run expired" in str(report.fleet.hosts[2].failure)
    assert "`puller worker`" in str(report.fleet.hosts[2].failure)
    it.step()
    assert not any(it.broker.queues.values())
    assert it.run(name).state is RunState.FINISHED
    assert it.store.retry(it.run(name), it.now, 3600) == 2
    it.broker.online.add("h02")
    it.turn(2)
    assert it.report(name).exit_code is ExitCode.OK
    assert {task.attempt for task in it.broker.published if task.host == "h02"} == {1, 2}


def test_a_canary_that_is_offline_proves_nothing(world: Make) -> None:
    """Another host is the canary, and the offline one has no task before that has succeeded."""
    it = world(0)
    it.broker.online = {"h01", "h02"}
    name = it.add(3, options(canaries=1))
    it.step()
    assert it.broker.published == []
    it.step()
    assert [task.host for task in it.broker.published] == ["h01", "h01"]
    it.broker.work()
    it.record()
    it.step()
    assert {task.host for task in it.broker.published} == {"h00", "h01", "h02"}
    assert it.states(name)["h00"] == "deferred"


def test_strict_lets_a_host_that_is_offline_count_as_failed(world: Make) -> None:
    """A canary halts the run; hosts of a wave count for `--max-fail`, and a run that has expired has failed."""
    it = world(0)
    it.broker.online = {"h01", "h02"}
    name = it.add(3, options(canaries=1)._replace(strict=True))
    it.turn(2)
    assert it.run(name).halted == "the canary h00 could not be reached"
    it.store.cancel(it.add(3, options()._replace(strict=True)), it.now)
    name = it.add(3, options(waves="1", max_fail="0")._replace(strict=True))
    it.turn(3)
    assert it.run(name).halted == "1 of 3 hosts failed: h00"
    name = it.add(3, options()._replace(strict=True), seconds=3600)
    it.turn()
    assert it.report(name).exit_code is ExitCode.TRY_AGAIN
    it.step(3600)
    assert it.report(name).exit_code is ExitCode.FAILED


def test_what_is_delivered_twice_is_in_the_store_once(world: Make) -> None:
    """As after a controller that was killed between its commit and its acknowledgement."""
    it = world(1)
    name = it.add(1)
    it.step()
    it.broker.work()
    it.broker.arrived.extend([*it.broker.arrived])
    it.record()
    it.broker.arrived.append((result_of(it.broker.published[0], Status.FAILED), "h00", ""))
    it.record()
    it.step()
    assert (rows(it), it.broker.acknowledged) == (2, 5)
    assert it.report(name).counts[Status.PULLED] == 2
    it.restart()
    it.turn(2)
    with it.store.reading() as connection:
        assert len(connection.execute(decisions.select().where(decisions.c.state.is_not(None))).all()) == 1


@pytest.mark.parametrize(
    ("change", "sender", "words"),
    [
        ({}, "h01", "of h01 was refused: it is about attempt 1 of the host h00"),
        ({"host": "h09"}, "h09", "has no run"),
        ({"run": "another"}, "h00", "the store has no run another with this host"),
        ({"reference": f"evil:1@{DIGEST}"}, "h00", "has no image evil:1"),
        ({"attempt": 10**6}, "h00", "it is about attempt 1000000"),
        ({"outcome": {"status": "pulled", "platform": None}}, "h00", "this is not a report of puller"),
    ],
)
def test_results_of_others_are_refused(world: Make, change: dict[str, object], sender: str, words: str) -> None:
    """The sender is the broker's word. What is refused is acknowledged, so that it does not come again."""
    it = world(1)
    name = it.add(1)
    it.step()
    forged = result_of(it.broker.published[0])._replace(**change)  # type: ignore[arg-type]
    it.broker.arrived.append((forged, sender, ""))
    it.broker.arrived.append((None, "h00", "\x1b[31mit is not JSON"))
    it.record()
    assert words in it.said[-2]
    assert it.said[-1] == "a message of h00 was refused: it is not JSON"
    assert (it.broker.acknowledged, rows(it)) == (2, 0)
    assert it.report(name).counts[Status.PENDING] == 2


def test_words_of_hosts_are_made_safe(world: Make) -> None:
    """Control characters and secrets do not get into the store; a huge result is refused."""
    it = world(1)
    name = it.add(1)
    it.step()
    result = result_of(it.broker.published[0], Status.FAILED)
    result.outcome["error"]["message"] = "\x1b[31mdenied for https://user:secret@reg.example"
    it.broker.arrived.append((result, "h00", ""))
    huge = result_of(it.broker.published[1])
    huge.outcome["warning"] = "x" * 70_000
    it.broker.arrived.append((huge, "h00", ""))
    it.record()
    (failed,) = it.report(name).failed
    assert failed.failure
    assert failed.failure.message == "denied for https://***@reg.example"
    assert "longer than" in it.said[-1]


def test_a_result_that_is_nested_deeply_is_refused(world: Make) -> None:
    """Else it would come again and again, and keep those of all hosts back."""
    it = world(1)
    it.add(1)
    it.step()
    it.broker.work()
    nested = it.broker.arrived[0][0]
    assert nested
    for _ in range(sys.getrecursionlimit()):
        nested.outcome["requested"] = [nested.outcome["requested"]]
    it.record()
    assert (it.said[-1], rows(it)) == ("a message of h00 was refused: the result is nested too deeply", 1)


def test_what_comes_late_for_a_removed_run_is_not_recorded(world: Make) -> None:
    """Nor does it keep other results back."""
    it = world(1)
    old, new = it.add(1, None, "app:1"), it.add(1, None, "app:1")
    it.turn()
    late = [(result_of(task), "h00", "") for task in it.broker.published]
    it.store.remove([old])
    it.broker.arrived += [*late, *((sign_of(task), "h00", "") for task in it.broker.published)]
    it.record()
    assert (rows(it), it.broker.acknowledged) == (1, 6)
    assert [run.name for run in it.store.runs()] == [new]


def test_a_host_that_did_not_begin_keeps_no_run_from_its_end(world: Make) -> None:
    """A halted run needs no more steps, whatever a host sends for which no task was published."""
    it = world(2, failing("h00"))
    it.add(2, options(canaries=1))
    it.turn()
    it.step()
    task = it.broker.published[0]._replace(host="h01")
    it.broker.arrived.append((sign_of(task), "h01", ""))
    it.record()
    it.step()
    assert not it.store.runs(unfinished=True)


def test_a_task_that_a_worker_lost_is_published_again(world: Make) -> None:
    """Three times, and then the image has failed."""
    it = world(1, patience=Patience(check=10.0, lost=100.0))
    name = it.add(1)
    it.step()
    for _ in range(2):
        it.broker.queues["h00"].clear()
        it.step(101)
        it.step()
    assert [task.attempt for task in it.broker.published] == [1, 1, 2, 2, 3, 3]
    it.broker.queues["h00"].popleft()
    it.broker.work()
    it.record()
    it.broker.queues["h00"].clear()
    it.step(120)
    it.step()
    report = it.report(name)
    assert [each.status for each in report.outcomes] == [Status.FAILED, Status.PULLED]
    assert "took the task 3 times and reported nothing" in str(report.outcomes[0].failure)
    assert it.run(name).state is RunState.FINISHED


def sign_of(task: PullTask) -> TaskResult:
    """Say that a pull goes on."""
    result = result_of(task)
    return result._replace(outcome=result.outcome | {"status": "pending", "digest": None})


def test_a_long_pull_is_published_again_minutes_after_its_last_sign(world: Make) -> None:
    """Signs come every five minutes for an hour; a worker that was killed without a word is found by their end."""
    it = world(1)
    name = it.add(1, None, "app:1")
    it.step()
    task = it.broker.queues["h00"].popleft()
    for _ in range(12):
        it.step(300)
        it.broker.arrived.append((sign_of(task), "h00", ""))
        it.record()
    assert (it.broker.published, rows(it), it.recorder.recorded) == ([task], 0, 0)
    assert it.report(name).counts[Status.PENDING] == 1
    for _ in range(4):
        it.step(299)
    it.step()
    assert [each.attempt for each in it.broker.published] == [1, 2]
    it.turn()
    assert it.report(name).exit_code is ExitCode.OK


def test_what_waits_for_long_is_not_lost(world: Make) -> None:
    """Tasks that a host takes after hours, and results that came while no controller listened."""
    it = world(0)
    it.add(1)
    for _ in range(12):
        it.step(600)
    it.broker.online.add("h00")
    taken = it.broker.queues.pop("h00")
    it.step(60)
    for task in taken:
        it.broker.arrived.append((result_of(task), "h00", ""))
    it.now += 7200
    it.restart()
    it.step()
    assert not [line for line in it.said if "lost" in line]
    it.record()
    it.step()
    assert it.store.runs()[0].state is RunState.FINISHED


def test_pause_takes_back_what_nobody_has_begun(world: Make) -> None:
    """A host that comes meanwhile gets nothing; `resume` publishes it again."""
    it = world(1)
    name = it.add(2)
    it.step()
    it.store.pause(name)
    it.step()
    it.broker.online.add("h01")
    it.turn(2)
    assert not any(it.broker.queues.values())
    assert it.report(name).counts[Status.PULLED] == 0
    it.store.resume(it.run(name), it.now)
    it.turn(2)
    assert it.report(name).exit_code is ExitCode.OK
    with pytest.raises(UsageError, match="is not paused: it is finished"):
        it.store.resume(it.run(name), it.now)


def test_cancel_gives_up_what_has_no_result(world: Make) -> None:
    """Also for hosts that are offline. What a worker still sends is recorded; `retry` takes the run up again."""
    it = world(1)
    name = it.add(2, None, "app:1", "db:2")
    it.step()
    running = it.broker.queues["h00"].popleft()
    assert it.store.cancel(name, it.now) == 4
    it.step()
    assert not any(it.broker.queues.values())
    it.broker.arrived.append((result_of(running), "h00", ""))
    it.record()
    it.step()
    report = it.report(name)
    assert report.stopped == "cancelled by `puller cancel`"
    assert [each.status for each in report.outcomes] == [Status.PULLED, *[Status.CANCELLED] * 3]
    assert it.states(name) == {"h00": "cancelled", "h01": "cancelled"}
    with pytest.raises(UsageError, match="cannot be cancelled"):
        it.store.cancel(name, it.now)
    it.broker.online.add("h01")
    assert it.store.retry(it.run(name), it.now, 100) == 3
    it.turn(2)
    assert it.report(name).exit_code is ExitCode.OK


def test_a_cancelled_run_is_taken_up_again(world: Make) -> None:
    """Also on hosts that had not begun."""
    it = world(2)
    name = it.add(2, options(waves="1"))
    it.step()
    it.store.cancel(name, it.now)
    it.step()
    assert it.states(name) == {"h00": "cancelled", "h01": "not_started"}
    assert {each.status for each in it.report(name).outcomes} == {Status.CANCELLED}
    assert it.store.retry(it.run(name), it.now, 100) == 4
    it.turn(3)
    assert it.report(name).exit_code is ExitCode.OK


def test_runs_do_not_disturb_each_other(world: Make) -> None:
    """Pausing one leaves the tasks of the other in the queues."""
    it = world(0)
    first, second = it.add(1), it.add(1)
    it.step()
    it.store.pause(first)
    it.step()
    assert {task.run for task in it.broker.queues["h00"]} == {second}


def test_a_new_controller_goes_on_where_the_last_one_was(world: Make) -> None:
    """After each step another one: the same waves, nothing twice in the store."""
    it = world(5, failing("h03"))
    name = it.add(5, options(canaries=1, waves="2"))
    for _ in range(6):
        it.restart()
        it.step()
        it.broker.work()
        it.record()
    it.step()
    assert [host.wave for host in it.store.hosts(name)] == [0, 1, 1, 2, 2]
    assert len(it.broker.published) == rows(it) == 10
    assert it.run(name).state is RunState.FINISHED


def test_a_controller_that_crashed_before_it_published_publishes(world: Make) -> None:
    """The store has that the host began, the broker does not have its tasks."""
    it = world(1)
    name = it.add(1)

    def lost(*_: object) -> None:
        raise ConnectionError("the broker is gone")

    publish, it.broker.publish = it.broker.publish, lost  # type: ignore[method-assign,assignment]
    with pytest.raises(ConnectionError):
        it.step()
    it.broker.publish = publish  # type: ignore[method-assign]
    it.restart()
    it.turn()
    assert it.report(name).exit_code is ExitCode.OK


def test_a_host_without_a_queue_keeps_no_other_back(world: Make) -> None:
    """It is deferred, and said once; when the broker has its queue, it catches up."""
    it = world(3)
    it.broker.unknown = {"h00"}
    name = it.add(3)
    it.turn(3)
    assert it.states(name) == {"h00": "deferred", "h01": "done", "h02": "done"}
    assert it.said.count("h00: there is no queue for h00") == 1
    it.broker.unknown = set()
    it.turn(2)
    assert it.report(name).exit_code is ExitCode.OK


def test_a_broker_that_does_not_answer_is_not_asked_for_each_host(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller then connects again: each question may take seconds."""
    it = world(3)
    it.add(3)
    now = iter(range(0, 1000, 15))
    monkeypatch.setattr(dispatcher, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(dispatcher, "_SLICE_SECONDS", 1000.0)
    it.broker.unknown = {"h00", "h01", "h02"}
    with pytest.raises(BrokerError):
        it.step()


def test_a_long_step_is_divided(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are recorded between its parts; nothing is left out."""
    monkeypatch.setattr(dispatcher, "_SLICE_SECONDS", -1.0)
    it = world(3)
    name = it.add(3)
    it.step()
    assert it.broker.published == []
    monkeypatch.setattr(dispatcher, "_SLICE_SECONDS", 5.0)
    it.step()
    assert len(it.broker.published) == 6
    monkeypatch.setattr(dispatcher, "_SLICE_SECONDS", -1.0)
    it.store.cancel(name, it.now)
    it.step()
    assert len(it.broker.queues["h00"]) == 2
    monkeypatch.setattr(dispatcher, "_SLICE_SECONDS", 5.0)
    it.step()
    assert not any(it.broker.queues.values())
    assert not it.run(name).withdraw


def test_runs_are_found_by_number_and_beginning(world: Make) -> None:
    """As in `puller report`."""
    it = world()
    first = it.add(1)
    it.now += 60
    second = it.add(1)
    assert [it.store.find(which).name for which in ("1", "2", first, second[:16])] == [second, first, first, second]
    for which, words in (
        ("3", "there is no run 3: the store has 2 runs"),
        ("x", "no run begins"),
        ("2027", "2 runs begin"),
    ):
        with pytest.raises(UsageError, match=words):
            it.store.find(which)


def test_a_run_that_is_too_large_is_refused(world: Make) -> None:
    """Before anything is written."""
    it = world()
    with pytest.raises(UsageError, match="divide the list or the hosts"):
        it.add(1001, None, *(f"app:{number}" for number in range(1000)))
    assert it.store.runs() == []


def test_a_store_of_another_version_is_refused(world: Make, database: str, tmp_path: Path) -> None:
    """Its tables are not touched."""
    it = world()
    with it.store.writing() as connection:
        connection.exec_driver_sql("UPDATE fleet_version SET version = 7")
    with pytest.raises(UsageError, match="the store has version 7, and this puller uses 2"):
        World(tmp_path, it.broker, database)


def test_hosts_are_in_their_states_meanwhile(world: Make) -> None:
    """Running until all results are there."""
    it = world(2)
    name = it.add(2, options(waves="1"))
    it.step()
    report = it.report(name)
    assert report.fleet
    assert [host.state for host in report.fleet.hosts] == [HostState.RUNNING, HostState.NOT_STARTED]
    assert report.exit_code is ExitCode.TRY_AGAIN
