"""Phrases and rows about the hosts of a run over several, for all reports."""

from collections import Counter
from collections.abc import Iterator, Sequence

from puller.failure import Failure
from puller.model import PullOutcome, Report, Status
from puller.model.hosts import Fleet, HostResult, HostState
from puller.text import clean, counted, format_bytes, format_seconds, stop_words

HOST_ORDER = (
    HostState.FAILED,
    HostState.UNREACHABLE,
    HostState.DEFERRED,
    HostState.CANCELLED,
    HostState.RUNNING,
    HostState.NOT_STARTED,
    HostState.DONE,
)
"""The order in which reports show hosts: problems first."""
COLUMNS = ("STATE", "HOST", "IMAGES", "FETCHED", "TOOK", "WHY")
NUMBERS = (2, 3, 4)
"""The columns of numbers."""
_NAMED = 5
"""Hosts that a line names."""


def state_words(state: HostState) -> str:
    """Return a state for people, such as `not started`."""
    return state.value.replace("_", " ")


def sorted_hosts(fleet: Fleet) -> list[HostResult]:
    """Return the hosts with problems first, and otherwise in their order."""
    return sorted(fleet.hosts, key=lambda host: HOST_ORDER.index(host.state))


def by_host(outcomes: Sequence[PullOutcome]) -> dict[str | None, list[PullOutcome]]:
    """Group outcomes by host; invalid lines of lists have none."""
    groups: dict[str | None, list[PullOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.host, []).append(outcome)
    return groups


def host_rows(report: Report) -> Iterator[tuple[HostResult, tuple[str, ...]]]:
    """Yield each host with the cells of its row, as `COLUMNS` names them."""
    fleet, outcomes = report.fleet or Fleet(()), by_host(report.outcomes)
    for host in sorted_hosts(fleet):
        mine = outcomes.get(host.name, [])
        fetched = sum(outcome.bytes for outcome in mine)
        cells = (
            state_words(host.state),
            clean(host.name),
            f"{sum(outcome.ok for outcome in mine)}/{len(mine)}",
            format_bytes(fetched) if fetched else "-",
            "-" if host.wave is None or host.state is HostState.DEFERRED else format_seconds(host.seconds),
            _why(host, mine),
        )
        yield host, cells


def _why(host: HostResult, outcomes: Sequence[PullOutcome]) -> str:
    """Return why a host lacks images: the kinds of failure, with the number of images if there are several kinds."""
    if host.failure and host.state is not HostState.NOT_STARTED:
        return host.failure.title
    kinds = Counter(each.failure.title for each in outcomes if each.failure and each.status is Status.FAILED)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())


def hosts_verdict(report: Report) -> str:
    """Return on how many hosts every image is present: `48 of 50 hosts have all images, 1 failed, 1 unreachable`."""
    fleet = report.fleet or Fleet(())
    done, total = len(fleet.in_state(HostState.DONE)), len(fleet.hosts)
    others = [(state, len(fleet.in_state(state))) for state in HOST_ORDER if state is not HostState.DONE]
    more = "".join(f", {number} {state_words(state)}" for state, number in others if number)
    return f"{done} of {counted(total, 'host')} {'has' if 1 in (done, total) else 'have'} all images{more}"


def fleet_stops(report: Report) -> Iterator[str]:
    """Yield why no further host began, why the run ended early, and which hosts are missing and why."""
    fleet = report.fleet or Fleet(())
    left = len(fleet.in_state(HostState.NOT_STARTED))
    if fleet.halted:
        yield f"halted: {clean(fleet.halted)}; {counted(left, 'host')} not started"
    if report.stopped:
        words, waiting = stop_words(report.stopped), f"{counted(left, 'host')} not started" if left else ""
        if words.startswith("interrupted"):
            yield f"{words}: {waiting}" if waiting else words
        else:
            yield f"stopped: {words}; {waiting}" if waiting else f"stopped: {words}"
    for state in (HostState.UNREACHABLE, HostState.DEFERRED):
        for why, hosts in _by_cause(fleet, state):
            yield f"{state.value}: {host_names([host.name for host in hosts])}: {why.message}"
            if why.advice:  # else the message says what to do
                yield f"→ {clean(why.advice)}"


def _by_cause(fleet: Fleet, state: HostState) -> list[tuple[Failure, list[HostResult]]]:
    """Group the hosts in a state by what happened; that of several has `…` for a host."""
    groups: dict[object, tuple[Failure, list[HostResult]]] = {}
    for host in fleet.in_state(state):
        if why := host.failure:
            words = clean(why.message).removeprefix(f"{host.name}: ").replace(host.url, "…").replace(host.name, "…")
            groups.setdefault((why.kind, words), (why._replace(message=words), []))[1].append(host)
    for key, (why, hosts) in groups.items():
        if len(hosts) == 1 and hosts[0].failure:
            words = clean(hosts[0].failure.message).removeprefix(f"{hosts[0].name}: ")
            groups[key] = why._replace(message=words), hosts
    return [*groups.values()]


def host_names(names: Sequence[str]) -> str:
    """Return the names of hosts, the first of many."""
    shown = ", ".join(clean(name) for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def spread(outcomes: Sequence[PullOutcome]) -> list[tuple[PullOutcome, list[str]]]:
    """Return each image once, with the hosts of its outcomes."""
    found: dict[tuple[str, object], tuple[PullOutcome, list[str]]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.reference, outcome.platform), (outcome, []))[1].append(outcome.host or "")
    return [*found.values()]


def amount_of(outcomes: Sequence[PullOutcome]) -> str:
    """Return how many images on how many hosts these are."""
    images, hosts = len(spread(outcomes)), len({outcome.host for outcome in outcomes})
    return f"{counted(images, 'image')} on {counted(hosts, 'host')}"
