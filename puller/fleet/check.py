"""`puller fleet check`: what each host's engine is, asked of many hosts at the same time."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from puller.cancellation import Cancellation
from puller.engine.model import EngineInfo
from puller.errors import EngineError, EngineUnreachableError, ExitCode
from puller.failure import Failure, error_document
from puller.fleet.connection import open_host
from puller.fleet.disk import free_space
from puller.fleet.each import for_each
from puller.fleet.hosts import FleetHost
from puller.fleet.states import why_not_used
from puller.system.clock import monotonic
from puller.system.credentials import Keyring
from puller.text import aligned, clean, counted, format_bytes, format_seconds

SCHEMA = "puller.fleet-check/1"
"""Name and version of the JSON document; the version increases only with an incompatible change."""
_SKEW = 1.0
"""Seconds of difference between clocks that are not worth a word: the answer was under way for some of it."""
_WIDEST = 40
"""Characters of a cell: of what an engine says, any length may come."""
_LONGEST = 800
"""Characters of a word or an error of an engine."""
_HEAD = ("HOST", "ENGINE", "STORE", "PLATFORM", "FREE", "CLOCK")


class HostCheck(NamedTuple):
    """What came of the check of one host."""

    host: FleetHost
    seconds: float
    """How long the check took."""
    engine: EngineInfo | None = None
    """None if the host was not reached."""
    free: int | None = None
    """Free bytes at the engine's data root; None if they are not known."""
    skew: float | None = None
    """Seconds by which the engine's clock is ahead of this machine's; None if the engine does not tell its time."""
    error: Failure | None = None
    """Why the host was not reached."""

    @property
    def reached(self) -> bool:
        return self.error is None


def check_hosts(
    hosts: Sequence[FleetHost],
    *,
    parallel: int,
    cancel: Cancellation,
    insecure: bool = False,
    on_wait: Callable[[int], None] = lambda _: None,
) -> tuple[HostCheck, ...]:
    """Check all hosts, `parallel` at a time, and return the results in the same order; raises CancelledError.

    `on_wait` gets the number of hosts that are done, every few seconds.
    """
    check = partial(_check, cancel=cancel, keyring=Keyring(), insecure=insecure)
    return for_each(hosts, check, parallel=parallel, on_wait=on_wait)


def exit_code(checks: Sequence[HostCheck]) -> ExitCode:
    """Return 0 if all hosts were reached, otherwise 3."""
    return ExitCode.OK if all(each.reached for each in checks) else ExitCode.HOSTS_UNREACHABLE


def render_text(checks: Sequence[HostCheck], *, color: bool = False) -> str:
    """Render a line for each host that was reached, then one for each other with the reason, and a summary."""
    rows = [_HEAD, *(_row(each, each.engine) for each in checks if each.engine)]
    lines = [*aligned(rows, {4})] if len(rows) > 1 else []
    lost = [each for each in checks if each.error]
    lines += [""] * bool(lines and lost)
    word = "\x1b[31munreachable\x1b[0m" if color else "unreachable"
    lines += [f"{word} {each.host.name}: {clean(each.error.message, _LONGEST)}" for each in lost if each.error]
    lines += ["", *_same_engines(checks)]
    end = f", {len(lost)} unreachable" if lost else ""
    lines.append(f"{counted(len(checks), 'host')}: {len(checks) - len(lost)} reached{end}")
    return "\n".join(lines) + "\n"


def render_json(checks: Sequence[HostCheck]) -> str:
    """Render the checks as JSON in ASCII."""
    reached = sum(each.reached for each in checks)
    document = {
        "schema": SCHEMA,
        "ok": reached == len(checks),
        "counts": {"reached": reached, "unreachable": len(checks) - reached},
        "hosts": [_document(each) for each in checks],
    }
    return json.dumps(document, indent=2) + "\n"


def _check(host: FleetHost, *, cancel: Cancellation, keyring: Keyring, insecure: bool) -> HostCheck:
    began = monotonic()
    cancel.check()
    try:
        with open_host(host, cancel=cancel, connections=1, keyring=keyring, insecure=insecure) as connected:
            before = datetime.now(UTC)
            engine = connected.store.facts()
            asked = before + (datetime.now(UTC) - before) / 2
            skew = (engine.clock - asked).total_seconds() if engine.clock else None
            return HostCheck(host, monotonic() - began, engine, free_space(connected)[0], skew)
    except (EngineUnreachableError, EngineError) as error:
        return HostCheck(host, monotonic() - began, error=why_not_used(error))


def _row(check: HostCheck, engine: EngineInfo) -> tuple[str, ...]:
    store = "containerd" if engine.keeps_platforms else "graph"
    cells = (
        check.host.name,
        engine.version or "unknown",
        f"{store} ({engine.driver})" if engine.driver else store,
        str(engine.platform or "unknown"),
        "unknown" if check.free is None else format_bytes(check.free),
        _clock(check.skew),
    )
    return (cells[0], *(clean(cell, _WIDEST) for cell in cells[1:]))


def _clock(skew: float | None) -> str:
    if skew is None:
        return "unknown"
    return "ok" if abs(skew) < _SKEW else f"{format_seconds(abs(skew))} {'ahead' if skew > 0 else 'behind'}"


def _same_engines(checks: Sequence[HostCheck]) -> Iterator[str]:
    """Yield a line for each engine that several hosts lead to: a run reports on it several times."""
    names: dict[tuple[str, str], list[str]] = {}
    for each in checks:
        if each.engine and each.engine.own_name:
            names.setdefault(each.engine.own_name, []).append(each.host.name)
    for same in names.values():
        if len(same) > 1:
            yield f"the same engine: {', '.join(same)}; keep one of them"


def _document(check: HostCheck) -> dict[str, object]:
    engine = check.engine or EngineInfo()
    store = "containerd" if engine.keeps_platforms else "graph"
    return {
        "host": check.host.name,
        "url": check.host.url,
        "groups": list(check.host.groups),
        "status": "reached" if check.reached else "unreachable",
        "seconds": round(check.seconds, 3),
        "version": clean(engine.version, _LONGEST) if engine.version else None,
        "store": store if check.engine else None,
        "driver": clean(engine.driver, _LONGEST) if engine.driver else None,
        "platform": clean(str(engine.platform), _LONGEST) if engine.platform else None,
        "data_root": clean(engine.data_root) if engine.data_root else None,
        "free_bytes": check.free,
        "clock_difference": None if check.skew is None else round(check.skew, 3),
        "engine_id": clean(engine.identity, _LONGEST) if engine.identity else None,
        "error": error_document(check.error) if check.error else None,
    }
