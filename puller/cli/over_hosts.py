"""A command for one engine, on the engines of many hosts: a table with a row for each host, and one JSON document."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import click

from puller.cancellation import Cancellation, interruptible
from puller.cli.engine import waiting_words
from puller.cli.fleet_options import HostWork
from puller.cli.output import emit
from puller.cli.signals import handled
from puller.engine.interface import Engine
from puller.errors import (
    CancelledError,
    EngineBusyError,
    EngineError,
    EngineUnreachableError,
    ExitCode,
    FailureClass,
    FailureKind,
    PullerError,
)
from puller.failure import Failure, error_document, failure, failure_of
from puller.fleet.connection import open_host
from puller.fleet.each import for_each
from puller.fleet.hosts import FleetHost
from puller.fleet.model import OpenHost
from puller.fleet.states import why_not_used
from puller.model import ENGINE_GONE
from puller.system.credentials import Keyring
from puller.text import aligned, clean, counted

SCHEMA = "puller.hosts/1"
"""Name and version of the JSON document; the version increases only with an incompatible change."""
_WORST = (ExitCode.FAILED, ExitCode.TRY_AGAIN, ExitCode.USAGE)
"""Exit codes of hosts, the one that decides first; 2 is that of a plan that is not empty."""
_AGAIN = 0.5
"""Seconds until hosts that another run uses are tried again."""
_STATES = {"ok": "ok", "problems": "with problems", "failed": "failed", "unreachable": "unreachable"}
"""The states of a host, in the words of the summary."""


class _Answer(NamedTuple):
    host: FleetHost
    work: HostWork | None = None
    error: Failure | None = None
    is_unreachable: bool = False
    waits: str = ""
    """For how long another run that uses the host is waited for; empty if it is not."""

    @property
    def state(self) -> str:
        if self.error:
            return "unreachable" if self.is_unreachable else "failed"
        return "problems" if self.code in (ExitCode.FAILED, ExitCode.TRY_AGAIN) else "ok"

    @property
    def code(self) -> int:
        if self.error:
            return ExitCode.TRY_AGAIN if self.error.retryable else ExitCode.FAILED
        return self.work.code if self.work else ExitCode.OK


def over_hosts(
    hosts: Sequence[FleetHost],
    options: Mapping[str, Any],
    head: Sequence[str],
    work: Callable[[Engine], HostWork],
    *,
    connections: int = 1,
    wrap: Callable[[OpenHost], OpenHost] = lambda connect: connect,
    stop: Callable[[], None] = lambda: None,
) -> int:
    """Do a command's work on all hosts, write its table or JSON document, and return the exit code.

    That is the worst one of the hosts; it is 3 if all that is missing is on hosts that could not be reached. `head` are
    the titles of `HostWork.cells`. `wrap` may change how hosts are opened; `stop` ends other waits of the work.
    """
    verb = str(click.get_current_context().info_name)
    with handled() as signals:
        connect = wrap(partial(open_host, insecure=options["insecure"]))
        ask = partial(
            _ask, work=work, connect=connect, cancel=signals.cancellation, connections=connections, keyring=Keyring()
        )
        with signals.cancellation.hook(stop):
            all_hosts = partial(_ask_all, hosts, ask, options["parallel_hosts"], signals.cancellation)
            answers = interruptible(all_hosts, signals.cancellation)
        signals.finish()
    code = signals.exit_code or _exit_code(answers)
    emit(_json(verb, answers, code) if options["form"] == "json" else _text(answers, head))
    return code


def _ask_all(
    hosts: Sequence[FleetHost], ask: Callable[[FleetHost], _Answer], parallel: int, cancel: Cancellation
) -> list[_Answer]:
    """Ask all hosts; those that another run uses again after the others, while they may be waited for."""
    answers: dict[str, _Answer] = {}
    left = [*hosts]

    def tell(done: int) -> None:
        click.echo(f"puller: {len(hosts) - len(left) + done} of {counted(len(hosts), 'host')} done", err=True)

    while left:
        found = for_each(left, ask, parallel=parallel, on_wait=tell)
        for answer in found:
            if answer.waits and answer.host.name not in answers:
                click.echo(f"puller: {clean(answer.waits)}", err=True)
            answers[answer.host.name] = answer
        left = [answer.host for answer in found if answer.waits]
        if left:
            with suppress(CancelledError):
                cancel.sleep(_AGAIN)
    return [answers[host.name] for host in hosts]


def _ask(
    host: FleetHost,
    *,
    work: Callable[[Engine], HostWork],
    connect: OpenHost,
    cancel: Cancellation,
    connections: int,
    keyring: Keyring,
) -> _Answer:
    try:
        cancel.check()
        with connect(host, cancel=cancel, connections=connections, keyring=keyring) as engine:
            with cancel.hook(engine.close):
                answer = _Answer(host, work(engine))
            cancel.check()  # what was asked may have been broken off
            return answer
    except (CancelledError, EngineError, PullerError) as error:
        return _without_work(host, error, cancel)


def _without_work(host: FleetHost, error: CancelledError | EngineError | PullerError, cancel: Cancellation) -> _Answer:
    if cancel.requested or isinstance(error, CancelledError):
        return _Answer(host, error=failure(FailureKind.CANCELLED, cancel.reason))
    if isinstance(error, EngineBusyError):
        return _Answer(host, error=why_not_used(error), waits=waiting_words(error) if error.left else "")
    if isinstance(error, EngineUnreachableError):
        return _Answer(host, error=why_not_used(error), is_unreachable=True)
    if isinstance(error, EngineError):
        why = failure_of(error)
        return _Answer(host, error=why, is_unreachable=why.kind in ENGINE_GONE)
    own = failure(FailureKind.UNCLASSIFIED, str(error))  # puller's own words say everything
    return _Answer(host, error=own._replace(failure_class=FailureClass.PERMANENT, advice=""))


def _exit_code(answers: Sequence[_Answer]) -> ExitCode | int:
    codes = {answer.code for answer in answers if not answer.is_unreachable}
    worst = next((code for code in _WORST if code in codes), ExitCode.OK)
    lost = any(answer.is_unreachable for answer in answers)
    return ExitCode.HOSTS_UNREACHABLE if lost and worst is ExitCode.OK else worst


def _text(answers: Sequence[_Answer], head: Sequence[str]) -> str:
    """Return a table with a row for each host, what is wrong on hosts with problems, and a summary."""
    rows = [("HOST", "STATE", *head)]
    rows += [
        (clean(each.host.name), each.state, *(each.work.cells if each.work else ("-",) * len(head))) for each in answers
    ]
    lines = [*aligned(rows, {*range(2, len(head) + 2)}), "", *_details(answers)]
    states = Counter(each.state for each in answers)
    facts = [f"{states[state]} {words}" for state, words in _STATES.items() if states[state] or state == "ok"]
    return "\n".join([*lines, f"{counted(len(answers), 'host')}: {', '.join(facts)}"]) + "\n"


def _details(answers: Sequence[_Answer]) -> Iterator[str]:
    for each in answers:
        name = clean(each.host.name)
        lines = (_why(each.error),) if each.error else each.work.details if each.work else ()
        yield from (f"{name}: {clean(line)}" for line in lines)
        if lines:
            yield ""


def _why(error: Failure) -> str:
    return error.message if error.kind is FailureKind.UNCLASSIFIED else f"{error.named}: {error.message}"


def _json(verb: str, answers: Sequence[_Answer], code: int) -> str:
    lost = sum(each.is_unreachable for each in answers)
    document = {
        "schema": SCHEMA,
        "command": verb,
        "ok": not code,
        "exit_code": int(code),
        "counts": {"reached": len(answers) - lost, "unreachable": lost},
        "hosts": [
            {
                "host": each.host.name,
                "url": each.host.url,
                "state": each.state,
                "error": error_document(each.error) if each.error else None,
                "result": _named(each.work.document, each.host.name) if each.work else None,
            }
            for each in answers
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _named(document: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return the document of one host, in which each item of a list of objects has the host, too."""
    return {
        key: [item | {"host": host} if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
        for key, value in document.items()
    }
