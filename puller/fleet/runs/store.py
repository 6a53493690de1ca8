"""The store of runs by a broker: which runs there are, and what users do with them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from time import time
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from puller.errors import OutputError, UsageError
from puller.fleet.hosts import FleetHost
from puller.fleet.runs.model import (
    SECONDS_TO_EXPIRE,
    RunCounts,
    RunHost,
    RunImage,
    RunOptions,
    RunRecord,
    RunState,
)
from puller.fleet.runs.schema import attempts, decisions, hosts, images, open_engine, pulls, reason, runs
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, RunDetails, Status
from puller.model.hosts import HostState
from puller.report.json import image_document, outcome_of
from puller.text import clean, counted

MOST_PULLS = 1_000_000
"""Images of a run times its hosts."""
EXPIRED = "expired"
"""The status of a pull that nobody began with in time."""
OVER = (Status.FAILED, Status.CANCELLED, EXPIRED)
"""Pulls that `retry` publishes again."""
_CHUNK = 5000


class Store:
    """A database of runs; every method is one transaction. Thread-safe, and several processes may use it."""

    def __init__(self, url: str) -> None:
        """Open it by its URL; raises UsageError with what to do."""
        self._engine = open_engine(url)
        self._images: dict[str, tuple[RunImage, ...]] = {}

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a transaction that changes something; raises OutputError if it cannot be written."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise OutputError(f"the store cannot be written: {reason(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that changes nothing; raises OutputError if it cannot be read."""
        try:
            with self._engine.connect().execution_options(reads=True) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise OutputError(f"the store cannot be read: {reason(error)}") from error

    def add(
        self,
        fleet: Sequence[FleetHost],
        requests: Sequence[tuple[PullRequest, str]],
        options: RunOptions,
        details: RunDetails,
        *,
        rejected: Sequence[PullOutcome] = (),
        seconds: float = SECONDS_TO_EXPIRE,
        now: float | None = None,
    ) -> str:
        """Add a run over hosts; each request comes with its digest. Returns its name; raises UsageError if too large.

        It expires `seconds` after it was added.
        """
        number = len(fleet) * len(requests)
        if number > MOST_PULLS:
            raise UsageError(
                f"{counted(len(requests), 'image')} on {counted(len(fleet), 'host')} are {number} pulls, more than "
                f"{MOST_PULLS}: divide the list or the hosts"
            )
        created = time() if now is None else now
        record = RunRecord("", created, created + seconds, None, RunState.RUNNING, "", False, 0, options, details)  # noqa: FBT003
        name = f"{record.started:%Y%m%dT%H%M%SZ}-{token_hex(2)}"
        row = {
            "name": name, "created": created, "expires": record.expires, "state": record.state,
            "options": json.dumps(options.document()), "details": json.dumps(details._asdict()),
            "rejected": json.dumps([image_document(each) for each in rejected]),
        }  # fmt: skip
        with self.writing() as connection:
            connection.execute(insert(runs), row)
            connection.execute(insert(images), [_image_row(name, at, *each) for at, each in enumerate(requests)])
            state = HostState.NOT_STARTED
            each_host = [
                {"run": name, "name": host.name, "position": at, "url": clean(host.url), "state": state}
                for at, host in enumerate(fleet)
            ]
            connection.execute(insert(hosts), each_host)
            rows = [
                {"run": name, "host": host.name, "image": at, "status": Status.PENDING}
                for host in fleet
                for at in range(len(requests))
            ]
            for first in range(0, len(rows), _CHUNK):
                connection.execute(insert(pulls), rows[first : first + _CHUNK])
        return name

    def runs(self, *, unfinished: bool = False, ended_before: float | None = None) -> list[RunRecord]:
        """Return all runs, oldest first, or those that a controller has something to do with, or that ended by then."""
        query = select(runs).order_by(runs.c.created, runs.c.name)
        if ended_before is not None:
            query = query.where(runs.c.ended < ended_before)
        if unfinished:
            late = exists().where((hosts.c.run == runs.c.name) & hosts.c.changed & hosts.c.wave.is_not(None))
            query = query.where(runs.c.state.in_((RunState.RUNNING, RunState.PAUSED)) | runs.c.withdraw | late)
        with self.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def run(self, name: str) -> RunRecord:
        """Return a run; raises UsageError if there is none of this name."""
        with self.reading() as connection:
            row = connection.execute(select(runs).where(runs.c.name == name)).first()
        if row is None:
            raise UsageError(f"there is no run {clean(name, 60)!r}: `puller runs` lists their names")
        return _record(row)

    def find(self, which: str) -> RunRecord:
        """Find a run by number (1 is the newest), by name or by the beginning of its name; raises UsageError."""
        found = self.runs()
        if which.isascii() and which.isdigit() and len(which) < len("2026"):
            if not 1 <= int(which) <= len(found):
                raise UsageError(f"there is no run {which}: the store has {counted(len(found), 'run')}")
            return found[-int(which)]
        named = [run for run in found if run.name.startswith(which)]
        if len(named) != 1:
            many = f"{len(named)} runs begin" if named else "no run begins"
            raise UsageError(f"{many} with {clean(which, 60)!r}: `puller runs` lists their names")
        return named[0]

    def hosts(self, run: str) -> list[RunHost]:
        """Return the hosts of a run in order."""
        columns = [hosts.c[name] for name in RunHost._fields]
        with self.reading() as connection:
            rows = connection.execute(select(*columns).where(hosts.c.run == run).order_by(hosts.c.position)).all()
        return [RunHost(row[0], row[1], HostState(row[2]), *row[3:]) for row in rows]

    def images(self, run: str) -> tuple[RunImage, ...]:
        """Return the images of a run in list order; they never change."""
        if run not in self._images:
            with self.reading() as connection:
                rows = connection.execute(select(images).where(images.c.run == run).order_by(images.c.position)).all()
            self._images[run] = tuple(map(_image, rows))
        return self._images[run]

    def counts(self, run: str) -> RunCounts:
        """Return how many hosts and pulls are in which state."""
        by_state = select(hosts.c.state, func.count()).where(hosts.c.run == run).group_by(hosts.c.state)
        by_status = select(pulls.c.status, func.count()).where(pulls.c.run == run).group_by(pulls.c.status)
        with self.reading() as connection:
            states = {HostState(state): number for state, number in connection.execute(by_state)}
            return RunCounts(states, {row[0]: row[1] for row in connection.execute(by_status)})

    def pause(self, run: str) -> None:
        """Publish no further task, and take back those that nobody has begun; raises UsageError if it does not run."""
        self._change(run, (RunState.RUNNING,), "cannot be paused", state=RunState.PAUSED, withdraw=True)

    def resume(self, run: RunRecord, now: float) -> None:
        """Let a paused or halted run go on; raises UsageError if it is neither, or if it has expired."""
        if run.expires <= now:
            raise UsageError(f"run {run.name} has expired: `puller retry {run.name}` publishes what is missing")
        if not run.halted:
            self._change(run.name, (RunState.PAUSED,), "is not paused", state=RunState.RUNNING)
            return
        states = (RunState.RUNNING, RunState.PAUSED, RunState.FINISHED)
        self._change(run.name, states, "cannot go on", state=RunState.RUNNING, halted="", ended=None)
        with self.writing() as connection:
            append_decision(connection, run.name, None, None)

    def cancel(self, run: str, now: float) -> int:
        """Give up all pulls that have no result, and begin with no further host; returns how many.

        Pulls that run go on, and their results are recorded. Raises UsageError if it is over.
        """
        states = (RunState.RUNNING, RunState.PAUSED)
        self._change(run, states, "cannot be cancelled", state=RunState.CANCELLED, withdraw=True, ended=now)
        began = hosts.c.state.in_((HostState.RUNNING, HostState.DEFERRED))
        names = select(hosts.c.name).where((hosts.c.run == run) & began)
        mine = (pulls.c.run == run) & (pulls.c.status == Status.PENDING) & pulls.c.host.in_(names)
        pending = select(func.count()).where((pulls.c.run == run) & (pulls.c.status == Status.PENDING))
        with self.writing() as connection:
            given_up: int = connection.execute(pending).scalar_one()
            connection.execute(update(pulls).where(mine).values(status=Status.CANCELLED, ended=now))
            query = update(hosts).where((hosts.c.run == run) & began)
            connection.execute(query.values(state=HostState.CANCELLED, ended=now))
        return given_up

    def retry(self, run: RunRecord, now: float, seconds: float) -> int:
        """Publish again what failed, was cancelled or expired, and let the other hosts begin unless the run was halted.

        Returns how many pulls that are. Raises UsageError if the run is paused.
        """
        if run.state is RunState.PAUSED:
            raise UsageError(f"run {run.name} is paused: `puller resume {run.name}` first")
        begun = select(hosts.c.name).where((hosts.c.run == run.name) & hosts.c.wave.is_not(None))
        mine = (pulls.c.run == run.name) & pulls.c.status.in_(OVER) & pulls.c.host.in_(begun)
        with self.writing() as connection:
            names = connection.execute(select(pulls.c.host).where(mine).distinct()).scalars().all()
            again = {"status": Status.PENDING, "attempt": pulls.c.attempt + 1, "sent": None, "outcome": None, "lost": 0}
            number = connection.execute(update(pulls).where(mine).values(**again)).rowcount
            query = update(hosts).where((hosts.c.run == run.name) & hosts.c.name.in_(names))
            connection.execute(query.values(state=HostState.RUNNING, ended=None, checked=None))
            if run.state is not RunState.RUNNING and not run.halted:
                left = (hosts.c.run == run.name) & (hosts.c.state == HostState.NOT_STARTED)
                waiting = (pulls.c.run == run.name) & pulls.c.host.in_(select(hosts.c.name).where(left))
                number += connection.execute(select(func.count()).select_from(pulls).where(waiting)).scalar() or 0
            values = {"state": RunState.RUNNING, "ended": None, "expires": now + seconds} if number else {}
            self._touch(connection, run.name, **values)
        return number

    def remove(self, names: Sequence[str]) -> None:
        """Remove runs with all that is known of them."""
        with self.writing() as connection:
            for table in (pulls, attempts, decisions, hosts, images):
                connection.execute(delete(table).where(table.c.run.in_([*names])))
            connection.execute(delete(runs).where(runs.c.name.in_([*names])))

    def _change(self, run: str, states: Sequence[RunState], why_not: str, **values: Any) -> None:
        """Change a run that is in one of these states; raises UsageError if it is not."""
        with self.writing() as connection:
            where = (runs.c.name == run) & runs.c.state.in_(states)
            changed = connection.execute(update(runs).where(where).values(version=runs.c.version + 1, **values))
            if not changed.rowcount:
                state = connection.execute(select(runs.c.state).where(runs.c.name == run)).scalar()
                raise UsageError(f"run {run} {why_not}: it is {state}")

    @staticmethod
    def _touch(connection: Connection, run: str, **values: Any) -> None:
        connection.execute(update(runs).where(runs.c.name == run).values(version=runs.c.version + 1, **values))


def append_decision(connection: Connection, run: str, host: str | None, state: HostState | None) -> None:
    """Add to the decisions of a run; the key lets only one of two processes do that at the same time."""
    last = connection.execute(select(func.max(decisions.c.number)).where(decisions.c.run == run)).scalar()
    row = {"run": run, "number": (last or 0) + 1, "host": host, "state": state}
    connection.execute(insert(decisions), row)


def _image_row(run: str, position: int, request: PullRequest, digest: str) -> dict[str, Any]:
    return {
        "run": run,
        "position": position,
        "reference": request.reference.with_digest(digest).canonical,
        "listed": request.reference.canonical,
        "requested": json.dumps(request.requested or (request.reference.text,)),
        "platform": str(request.platform) if request.platform else None,
        "if_missing": request.if_missing,
    }


def _image(row: Row[Any]) -> RunImage:
    platform = Platform.parse(row.platform) if row.platform else None
    requested, if_missing = tuple(json.loads(row.requested)), bool(row.if_missing)
    request = PullRequest(ImageReference.parse(row.listed), platform, requested, if_missing=if_missing)
    return RunImage(row.position, row.reference, request)


def _record(row: Row[Any]) -> RunRecord:
    node: Mapping[str, Any] = json.loads(row.details)
    details = RunDetails(**{**node, "lists": tuple(node["lists"]), "target": tuple(node["target"])})
    return RunRecord(
        row.name, row.created, row.expires, row.ended, RunState(row.state), row.halted, bool(row.withdraw),
        row.version, RunOptions.read(json.loads(row.options)), details,
        tuple(outcome_of(each) for each in json.loads(row.rejected)),
    )  # fmt: skip
