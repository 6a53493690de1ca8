"""The report of a run by a broker at any time, as of any other run."""

from collections.abc import Collection, Sequence
from time import time

from sqlalchemy import select

from puller.errors import FailureKind
from puller.failure import Failure, failure
from puller.fleet.runs.model import RunHost, RunRecord, RunState
from puller.fleet.runs.schema import pulls
from puller.fleet.runs.steps import OFFLINE_ADVICE, outcome_at
from puller.fleet.runs.store import Store
from puller.fleet.states import state_of
from puller.model import BY_BROKER, PullOutcome, Report, Status
from puller.model.hosts import Fleet, HostResult, HostState
from puller.text import counted

_NO_WORKER = "no worker of this host is connected to the broker: its queue keeps the pulls until the run expires"
OFFLINE = (HostState.DEFERRED, HostState.UNREACHABLE)


def report_of_run(store: Store, run: RunRecord, now: float | None = None) -> Report:
    """Return what is known of a run: images without a result are pending, hosts without a worker deferred."""
    moment = run.ended or (time() if now is None else now)
    images, results, outcomes = store.images(run.name), [], list[PullOutcome]()
    rows = _rows(store, run.name)
    for host in store.hosts(run.name):
        mine = rows.get(host.name, {})
        each = [outcome_at(image, host.name, *mine[image.position]) for image in images]
        if host.state is HostState.NOT_STARTED and run.state is not RunState.RUNNING:
            each = [_not_started(outcome, run) for outcome in each]
        results.append(_result(run, host, each, moment))
        outcomes += each
    fleet = Fleet(tuple(results), run.halted, run.options.strict)
    details = run.details._replace(engine=f"{counted(len(results), 'host')}{BY_BROKER}", hosts=len(results))
    stopped = "cancelled by `puller cancel`" if run.state is RunState.CANCELLED else ""
    seconds = max(0.0, moment - run.created)
    report = Report(run.started, seconds, (*outcomes, *run.rejected), stopped, details, fleet)
    return report._replace(details=details._replace(exit_code=int(report.exit_code)))


def only(report: Report, states: Collection[HostState]) -> Report:
    """Return the part of a report that is about hosts in these states."""
    fleet = report.fleet or Fleet(())
    hosts = tuple(host for host in fleet.hosts if host.state in states)
    names = {host.name for host in hosts}
    outcomes = tuple(outcome for outcome in report.outcomes if outcome.host in names)
    return report._replace(fleet=fleet._replace(hosts=hosts), outcomes=outcomes)


def _rows(store: Store, run: str) -> dict[str, dict[int, tuple[str, str | None]]]:
    columns = (pulls.c.host, pulls.c.image, pulls.c.status, pulls.c.outcome)
    found: dict[str, dict[int, tuple[str, str | None]]] = {}
    with store.reading() as connection:
        for host, image, status, outcome in connection.execute(select(*columns).where(pulls.c.run == run)):
            found.setdefault(host, {})[image] = status, outcome
    return found


def _not_started(outcome: PullOutcome, run: RunRecord) -> PullOutcome:
    words = f"halted: {run.halted}" if run.halted else f"the run was {run.state.value}"
    if outcome.status is not Status.PENDING or run.state is RunState.PAUSED:
        return outcome
    return outcome._replace(status=Status.CANCELLED, failure=failure(FailureKind.CANCELLED, words))


def _result(run: RunRecord, host: RunHost, outcomes: Sequence[PullOutcome], now: float) -> HostResult:
    began = max(0.0, host.began - run.created) if host.began else 0.0
    seconds = max(0.0, (host.ended or now) - host.began) if host.began else 0.0
    why = _why(host, outcomes)
    return HostResult(host.name, host.url, host.state, "", host.wave, began, seconds, why)


def _why(host: RunHost, outcomes: Sequence[PullOutcome]) -> Failure | None:
    if host.state is HostState.DEFERRED:
        return failure(FailureKind.HOST_UNREACHABLE, _NO_WORKER)._replace(advice=OFFLINE_ADVICE)
    if host.state in (HostState.FAILED, HostState.UNREACHABLE):
        return state_of(outcomes)[1]
    cancelled = next((each.failure for each in outcomes if each.status is Status.CANCELLED), None)
    return cancelled if host.state in (HostState.CANCELLED, HostState.NOT_STARTED) else None
