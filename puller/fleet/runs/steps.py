"""What a controller reads and writes in the store while a run goes on."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, Connection, and_, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from puller.errors import FailureKind
from puller.failure import failure
from puller.fleet.runs.model import DueTask, Ended, RunImage, RunState
from puller.fleet.runs.schema import attempts, decisions, hosts, pulls, runs
from puller.fleet.runs.store import EXPIRED, Store, append_decision
from puller.fleet.states import state_of
from puller.model import SUCCESSES, PullOutcome, Status
from puller.model.hosts import HostState
from puller.report.json import image_document, outcome_of

_OPEN = (Status.PENDING, Status.CANCELLED, EXPIRED)
"""Pulls without a result."""
_WAITING = (HostState.RUNNING, HostState.DEFERRED)
Decision = tuple[str | None, HostState | None]
"""A host that began, a host with what became of it, or neither for a run that goes on after a halt."""
EXPIRED_WORDS = "its worker did not take the task before the run expired"
OFFLINE_ADVICE = "Check that the host is up, that `puller worker` runs there, and what its log says of the broker."


def record(store: Store, results: Sequence[Ended]) -> None:
    """Write results; one that was written before changes nothing, and neither does an older attempt.

    A pending one is a sign of a pull that takes long: its host was heard. Nothing is written of a run that was removed.
    """
    if not results:
        return
    with store.writing() as connection:
        query = select(runs.c.name).where(runs.c.name.in_({each.run for each in results}))
        known = {*connection.execute(query).scalars()}
        results = [each for each in results if each.run in known]
        rows = [_row(each) for each in results if each.outcome.status is not Status.PENDING]
        heard = {(each.run, each.host): each.at for each in results}
        if not heard:
            return
        if rows:
            connection.execute(_insert_once(connection), [{key: row[key] for key in attempts.c.keys()} for row in rows])  # noqa: SIM118
            connection.execute(_UPDATE_PULL, [{f"new_{key}": value for key, value in row.items()} for row in rows])
        moments = [{"of_run": run, "of_host": host, "moment": at} for (run, host), at in heard.items()]
        connection.execute(_HEARD, moments)
        touch(connection, {run for run, _ in heard})


def touch(connection: Connection, names: Iterable[str]) -> None:
    """Note that runs have changed."""
    connection.execute(update(runs).where(runs.c.name.in_([*names])).values(version=runs.c.version + 1))


def _row(each: Ended) -> dict[str, Any]:
    outcome = each.outcome
    return {
        "run": each.run, "host": each.host, "image": each.image, "attempt": each.attempt, "at": each.at,
        "outcome": json.dumps(image_document(outcome)), "status": outcome.status, "ok": outcome.ok,
    }  # fmt: skip


def _insert_once(connection: Connection) -> Any:
    make: Callable[..., Any] = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(attempts).on_conflict_do_nothing()


_UPDATE_PULL = (
    update(pulls)
    .where(
        (pulls.c.run == bindparam("new_run"))
        & (pulls.c.host == bindparam("new_host"))
        & (pulls.c.image == bindparam("new_image"))
        & and_(*(pulls.c.status != status for status in SUCCESSES))  # the driver repeats the statement, not a list
        & (
            bindparam("new_ok", type_=Boolean)
            | ((pulls.c.attempt <= bindparam("new_attempt")) & or_(*(pulls.c.status == status for status in _OPEN)))
            | (pulls.c.attempt < bindparam("new_attempt"))
        )
    )
    .values(
        status=bindparam("new_status"), ended=bindparam("new_at"), outcome=bindparam("new_outcome"),
        attempt=bindparam("new_attempt"),
    )
)  # fmt: skip
_HEARD = (
    update(hosts)
    .where((hosts.c.run == bindparam("of_run")) & (hosts.c.name == bindparam("of_host")))
    .values(heard=bindparam("moment"), changed=True)
)


def hold(store: Store, run: str, holder: str, now: float, seconds: float) -> bool:
    """Keep others from a step of a run, for at most `seconds`, as this process may be killed.

    Returns False if another one does that. Two at a time would do no harm, but publish every task twice.
    """
    free = runs.c.held_until.is_(None) | (runs.c.held_until < now) | (runs.c.holder == holder)
    mine = update(runs).where((runs.c.name == run) & free).values(holder=holder, held_until=now + seconds)
    with store.writing() as connection:
        return bool(connection.execute(mine).rowcount)


def release(store: Store, run: str, holder: str) -> None:
    """Let others take a run further."""
    mine = update(runs).where((runs.c.name == run) & (runs.c.holder == holder))
    with store.writing() as connection:
        connection.execute(mine.values(holder=None, held_until=None))


def decisions_of(store: Store, run: str) -> list[Decision]:
    """Return what was decided about the hosts of a run, in order."""
    query = select(decisions.c.host, decisions.c.state).where(decisions.c.run == run).order_by(decisions.c.number)
    with store.reading() as connection:
        return [(host, HostState(state) if state else None) for host, state in connection.execute(query)]


def begin(store: Store, run: str, waves: Mapping[str, int], number: int, now: float) -> None:
    """Note that hosts begin, with their waves; `number` is that of the first decision."""
    if not waves:
        return
    rows = [{"of_host": host, "new_wave": wave} for host, wave in waves.items()]
    query = update(hosts).where((hosts.c.run == run) & (hosts.c.name == bindparam("of_host")))
    with store.writing() as connection:
        log = [{"run": run, "number": at, "host": host, "state": None} for at, host in enumerate(waves, number)]
        connection.execute(insert(decisions), log)
        connection.execute(query.values(wave=bindparam("new_wave"), state=HostState.RUNNING, began=now), rows)
        touch(connection, [run])


def due(store: Store, run: str, *, deferred: bool) -> list[DueTask]:
    """Return the tasks of hosts that have begun that are not in the queues; of `deferred` hosts too."""
    states = _WAITING if deferred else (HostState.RUNNING,)
    columns = (pulls.c.host, hosts.c.state, pulls.c.image, pulls.c.attempt)
    both = pulls.join(hosts, (pulls.c.run == hosts.c.run) & (pulls.c.host == hosts.c.name))
    mine = (pulls.c.run == run) & (pulls.c.status == Status.PENDING) & pulls.c.sent.is_(None)
    query = select(*columns).select_from(both).where(mine & hosts.c.state.in_(states))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(hosts.c.position, pulls.c.image)).all()
    return [DueTask(host, HostState(state), image, attempt) for host, state, image, attempt in rows]


def sent(store: Store, run: str, names: Sequence[str], now: float) -> None:
    """Note that the tasks of hosts are in their queues."""
    mine = (pulls.c.run == run) & pulls.c.host.in_([*names]) & (pulls.c.status == Status.PENDING)
    with store.writing() as connection:
        connection.execute(update(pulls).where(mine & pulls.c.sent.is_(None)).values(sent=now))
        touch(connection, [run])


def queued_hosts(store: Store, run: str) -> list[str]:
    """Return the hosts of a run in whose queues tasks may be."""
    mine = (pulls.c.run == run) & pulls.c.sent.is_not(None) & pulls.c.outcome.is_(None)
    with store.reading() as connection:
        return [*connection.execute(select(pulls.c.host).where(mine).distinct()).scalars()]


def withdrawn(store: Store, run: str, names: Sequence[str], *, all_: bool) -> None:
    """Note that no task of a run is in the queues of these hosts any more, and of others neither if that is `all_`."""
    mine = (pulls.c.run == run) & pulls.c.host.in_([*names]) & pulls.c.outcome.is_(None)
    with store.writing() as connection:
        connection.execute(update(pulls).where(mine).values(sent=None))
        if all_:
            connection.execute(update(runs).where(runs.c.name == run).values(withdraw=False))
        touch(connection, [run])


def mark(store: Store, run: str, states: Mapping[str, HostState], now: float, waiting: Collection[str] = ()) -> None:
    """Note that the queues of hosts were looked at, and in which state the hosts are by that.

    A host that is deferred for the first time has ended for its wave. None can have lost the tasks that are `waiting`.
    """
    with store.writing() as connection:
        for host, state in states.items():
            mine = (hosts.c.run == run) & (hosts.c.name == host)
            before = connection.execute(select(hosts.c.state).where(mine)).scalar()
            heard = {"heard": now} if host in waiting else {}
            connection.execute(update(hosts).where(mine).values(checked=now, state=state, **heard))
            if state is HostState.DEFERRED and before == HostState.RUNNING:
                append_decision(connection, run, host, HostState.UNREACHABLE)
        touch(connection, [run])


def quiet_hosts(store: Store, run: str, before: float) -> dict[str, float]:
    """Return the hosts that have begun and not ended, and were neither heard nor looked at since `before`.

    Each comes with the time when it was heard last; 0 for never.
    """
    unheard = hosts.c.heard.is_(None) | (hosts.c.heard < before)
    unseen = hosts.c.checked.is_(None) | (hosts.c.checked < before)
    mine = (hosts.c.run == run) & hosts.c.state.in_(_WAITING) & unheard & unseen
    with store.reading() as connection:
        rows = connection.execute(select(hosts.c.name, hosts.c.heard).where(mine).order_by(hosts.c.checked)).all()
    return {name: heard or 0.0 for name, heard in rows}


def lose(store: Store, run: str, host: str, before: float, most: int, now: float) -> int:
    """Publish again the tasks of a host that were sent before a time, at most `most` times; returns how many are lost.

    What was lost too often has failed.
    """
    why = failure(FailureKind.TIMEOUT, f"its worker took the task {most} times and reported nothing")
    by_position = {image.position: image for image in store.images(run)}
    mine = (pulls.c.run == run) & (pulls.c.host == host) & (pulls.c.status == Status.PENDING) & (pulls.c.sent < before)
    with store.writing() as connection:
        rows = connection.execute(select(pulls.c.image, pulls.c.lost).where(mine)).all()
        again = [image for image, lost in rows if lost + 1 < most]
        values = {"sent": None, "attempt": pulls.c.attempt + 1, "lost": pulls.c.lost + 1}
        connection.execute(update(pulls).where(mine & pulls.c.image.in_(again)).values(**values))
        for image in (image for image, lost in rows if lost + 1 >= most):
            outcome = PullOutcome.of(by_position[image].request, Status.FAILED, failure=why)._replace(host=host)
            document = json.dumps(image_document(outcome))
            done = update(pulls).where(mine & (pulls.c.image == image))
            connection.execute(done.values(status=Status.FAILED, outcome=document, ended=now))
        connection.execute(update(hosts).where((hosts.c.run == run) & (hosts.c.name == host)).values(changed=True))
        touch(connection, [run])
    return len(rows)


def expire(store: Store, run: str, now: float) -> int:
    """Give up the tasks without a result of all hosts that have begun; returns how many."""
    begun = select(hosts.c.name).where((hosts.c.run == run) & hosts.c.state.in_(_WAITING))
    mine = (pulls.c.run == run) & (pulls.c.status == Status.PENDING) & pulls.c.host.in_(begun)
    with store.writing() as connection:
        names = connection.execute(select(pulls.c.host).where(mine).distinct()).scalars().all()
        number = connection.execute(update(pulls).where(mine).values(status=EXPIRED, ended=now)).rowcount
        connection.execute(update(hosts).where((hosts.c.run == run) & hosts.c.name.in_(names)).values(changed=True))
        connection.execute(update(runs).where(runs.c.name == run).values(withdraw=True))
        touch(connection, [run])
    return number


def settle(store: Store, run: str, now: float) -> list[tuple[str, HostState]]:
    """Note what became of the hosts of which results came and none is missing; returns them."""
    images = store.images(run)
    changed = (hosts.c.run == run) & hosts.c.changed & hosts.c.wave.is_not(None)
    open_ = select(pulls.c.host).where((pulls.c.run == run) & (pulls.c.status == Status.PENDING))
    with store.writing() as connection:
        back = changed & (hosts.c.state == HostState.DEFERRED) & hosts.c.name.in_(open_)
        connection.execute(update(hosts).where(back).values(state=HostState.RUNNING))
        rows = connection.execute(select(hosts.c.name, hosts.c.state).where(changed & hosts.c.name.not_in(open_))).all()
        found = [(name, before, _state(connection, run, name, images)) for name, before in rows]
        ended = [(name, state) for name, before, state in found if state != before]  # else it was delivered twice
        connection.execute(update(hosts).where(changed).values(changed=False))
        for name, state in ended:
            mine = (hosts.c.run == run) & (hosts.c.name == name)
            connection.execute(update(hosts).where(mine).values(state=state, ended=now))
            append_decision(connection, run, name, state)
        if ended:
            touch(connection, [run])
    return ended


def _state(connection: Connection, run: str, host: str, images: Sequence[RunImage]) -> HostState:
    query = select(pulls.c.image, pulls.c.status, pulls.c.outcome).where((pulls.c.run == run) & (pulls.c.host == host))
    rows = {image: (status, document) for image, status, document in connection.execute(query)}
    return state_of([outcome_at(image, host, *rows[image.position]) for image in images])[0]


def outcome_at(image: RunImage, host: str, status: str, document: str | None) -> PullOutcome:
    """Return the outcome of an image on a host from a row of the store."""
    if document:
        return outcome_of(json.loads(document))
    if status == Status.PENDING:
        return PullOutcome.of(image.request, Status.PENDING)._replace(host=host)
    late = failure(FailureKind.HOST_UNREACHABLE, EXPIRED_WORDS)._replace(advice=OFFLINE_ADVICE)
    why = late if status == EXPIRED else failure(FailureKind.CANCELLED, "cancelled by `puller cancel`")
    return PullOutcome.of(image.request, Status.CANCELLED, failure=why)._replace(host=host)


def halt(store: Store, run: str, why: str) -> None:
    """Note that no further host begins, and that tasks of hosts that are offline have to be taken back."""
    with store.writing() as connection:
        connection.execute(update(runs).where(runs.c.name == run).values(halted=why, withdraw=True))
        touch(connection, [run])


def finish(store: Store, run: str, now: float) -> None:
    """Note that a run is over, if it has not been cancelled meanwhile."""
    mine = (runs.c.name == run) & (runs.c.state == RunState.RUNNING)
    with store.writing() as connection:
        connection.execute(update(runs).where(mine).values(state=RunState.FINISHED, ended=now))
        touch(connection, [run])
