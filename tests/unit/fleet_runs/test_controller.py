"""The controller: it survives its broker and its store, and stops when it is told to."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from puller.cancellation import Cancellation
from puller.errors import UsageError
from puller.fleet.queue.broker import Broker
from puller.fleet.runs.controller import Controller
from puller.fleet.runs.model import RunState
from puller.fleet.runs.schema import attempts, decisions, hosts, images, pulls, runs
from puller.fleet.runs.store import Store
from puller.model import RunDetails, Status
from tests.lab.fake_broker import FakeBroker, result_of
from tests.unit.fleet_runs.runs import fleet, options, pinned


class Quick(Cancellation):
    """Waits that end at once, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Wait for nothing."""
        self.waits.append(seconds)
        self.check()


def finishing(store: Store, name: str, cancel: Cancellation) -> Callable[[], None]:
    """Return what ends a controller when a run is over."""

    def stop() -> None:
        if store.run(name).state is RunState.FINISHED:
            cancel.cancel("finished")

    return stop


def submitted(store: Store, hosts: int = 2) -> str:
    """Add a run."""
    return store.add(fleet(hosts), pinned(), options(), RunDetails())


def test_a_lost_broker_is_connected_to_again(tmp_path: Path) -> None:
    """With growing waits; results that were not acknowledged come again, and are in the store once."""
    store, cancel, said = Store(f"sqlite:///{tmp_path / 'fleet.db'}"), Quick(), list[str]()
    name = submitted(store)
    broker = FakeBroker(["h00", "h01"])
    tries: list[int] = []

    def connect() -> Broker:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionRefusedError(111, "Connection refused")
        return broker

    broker.on_tick = finishing(store, name, cancel)
    controller = Controller(store, connect, say=said.append)
    controller.serve(cancel)
    assert cancel.waits == [1.0, 2.0]
    assert said[0] == "connection refused; trying again in 1s"
    assert (controller.recorded, controller.published, broker.closed) == (4, 4, 1)
    assert not controller.connected
    store.close()


def test_a_store_that_cannot_be_written_loses_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged before it is in the store."""
    store, cancel, said = Store(f"sqlite:///{tmp_path / 'fleet.db'}"), Quick(), list[str]()
    name = submitted(store, 1)
    broker = FakeBroker(["h00"])
    from puller.fleet.runs import recorder, steps  # noqa: PLC0415 - its function is replaced

    record, failures = steps.record, [1]

    def full(*arguments: object) -> None:
        if failures:
            failures.pop()
            broker.arrived.extend((result_of(task), "h00", "") for task in broker.published)  # delivered again
            raise OSError(28, "No space left on device")
        record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recorder, "record", lambda store, results: full(store, results) if results else None)
    broker.on_tick = finishing(store, name, cancel)
    Controller(store, lambda: broker, say=said.append).serve(cancel)
    assert "no space left on device; trying again in 1s" in said
    assert broker.acknowledged == 2
    with store.reading() as connection:
        assert len(connection.execute(attempts.select()).all()) == 2
    store.close()


def test_old_runs_are_removed(tmp_path: Path) -> None:
    """All of an old one; neither one that goes on nor one that ended since."""
    store, cancel = Store(f"sqlite:///{tmp_path / 'fleet.db'}"), Cancellation()
    add = partial(store.add, fleet(2), pinned(), options(), RunDetails(), now=1000.0)
    old, paused, new = add(), add(), add()
    broker = FakeBroker(["h00", "h01"])
    broker.on_tick = finishing(store, old, cancel)
    Controller(store, lambda: broker, say=print, clock=lambda: 2000.0).serve(cancel)
    states = ((old, RunState.FINISHED, 5000.0), (paused, RunState.PAUSED, 5000.0), (new, RunState.FINISHED, 9000.0))
    for name, state, ended in states:
        with store.writing() as connection:
            connection.execute(runs.update().where(runs.c.name == name).values(state=state, ended=ended))
    said, cancel = list[str](), Cancellation()
    broker.on_tick = lambda: cancel.cancel("enough")
    controller = Controller(store, lambda: broker, say=said.append, clock=lambda: 10_000.0, keep=3600.0)
    controller.serve(cancel)
    assert said == [f"1 run removed: {old}"]
    assert [run.name for run in store.runs()] == sorted([paused, new])
    with store.reading() as connection:
        for table in (pulls, hosts, images, attempts, decisions):
            assert old not in set(connection.execute(select(table.c.run)).scalars()), table.name
            assert new in set(connection.execute(select(table.c.run)).scalars()), table.name
    store.close()


def test_two_controllers_at_once_do_nothing_twice(tmp_path: Path) -> None:
    """As while one is replaced by another: all results are in the store once, and the waves are the same."""
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    store = Store(url)
    name = store.add(fleet(12), pinned(), options(1, "3"), RunDetails())
    brokers = [FakeBroker([host.name for host in fleet(12)]) for _ in range(2)]
    threads, said = [], list[str]()
    for broker in brokers:
        cancel, own = Cancellation(), Store(url)
        broker.on_tick = finishing(own, name, cancel)
        controller = Controller(own, lambda broker=broker: broker, say=said.append)  # type: ignore[misc]
        threads.append((threading.Thread(target=controller.serve, args=(cancel,)), own))
    for thread, _ in threads:
        thread.start()
    for thread, own in threads:
        thread.join(60)
        assert not thread.is_alive()
        own.close()
    assert [host.wave for host in store.hosts(name)] == [0, *[1] * 3, *[2] * 3, *[3] * 3, *[4] * 2]
    with store.reading() as connection:
        rows = connection.execute(attempts.select()).all()
    assert len(rows) == sum(len(broker.published) for broker in brokers) == 24
    store.close()


def test_a_wrong_url_of_the_broker_ends_it(tmp_path: Path) -> None:
    """Trying again would not help."""
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")

    def connect() -> Broker:
        raise UsageError("not a broker")

    with pytest.raises(UsageError, match="not a broker"):
        Controller(store, connect, say=print).serve(Cancellation())
    store.close()


def test_the_file_of_the_store_is_for_its_user_only(tmp_path: Path) -> None:
    """It has the names of hosts and images."""
    store = Store(f"sqlite:///{tmp_path / 'new' / 'fleet.db'}")
    assert (tmp_path / "new" / "fleet.db").stat().st_mode & 0o777 == 0o600
    assert store.runs() == []
    store.close()


def test_a_store_that_is_no_file_of_this_user_is_refused(tmp_path: Path) -> None:
    """As behind a link that another user made in a directory that all may write to."""
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(UsageError, match="the store cannot be used"):
            Store(f"sqlite:///{tmp_path / name}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "--store is not a URL"),
        ("mysql://h/x", "mysql is neither sqlite nor postgresql"),
        ("sqlite:////proc/nowhere/fleet.db", "the store cannot be used: "),
        (
            "postgresql://user:secret@127.0.0.1:1/x",
            "the store .*cannot be used: ",
        ),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line(url: str, words: str) -> None:
    """Without the password."""
    with pytest.raises(UsageError, match=words) as caught:
        Store(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_status_words(tmp_path: Path) -> None:
    """A pending image is neither present nor failed, in every report."""
    from puller.fleet.runs.report import report_of_run  # noqa: PLC0415 - beside its use
    from puller.report import RENDERERS  # noqa: PLC0415 - likewise

    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    name = submitted(store)
    report = report_of_run(store, store.run(name))
    assert report.counts[Status.PENDING] == 4
    texts = {kind: render(report) for kind, render in RENDERERS.items()}
    assert "0 of 2 hosts have all images, 2 not started: 4 pending" in texts["text"]
    assert all(texts.values())
    store.close()


def test_a_new_store_may_be_opened_while_another_process_makes_it(tmp_path: Path) -> None:
    """`puller submit` and the first `puller controller` may begin at the same time."""
    path = tmp_path / "fleet.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ["COMMIT"])
        timer.start()
        store = Store(f"sqlite:///{path}")
        timer.join()
        assert store.runs() == []
        store.close()
