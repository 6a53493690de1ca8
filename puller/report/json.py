"""The JSON report (`puller.report/1`, see `schemas/report.schema.json`): writes it and reads it back."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from puller.errors import FailureClass, FailureKind, UsageError
from puller.failure import Failure, error_document
from puller.image.reference import Platform
from puller.model import Attempt, PullOutcome, Report, RunDetails, Span, Status
from puller.model.hosts import Fleet, HostResult, HostState
from puller.text import clean, timestamp

T = TypeVar("T")
SCHEMA = "puller.report/1"
"""Name and version; the number changes only if a required key changes its meaning."""
_SCHEMAS = Path(__file__).parents[1] / "schemas"
_KINDS = set(FailureKind)
_LONGEST_ERROR = 200
"""Characters of a validator's message, which repeats the invalid value."""
_encode = json.JSONEncoder().encode
IMAGES = '\n  "images": ['
"""The beginning of the images in a report as `render` writes it: all else is before them."""


class Summary(NamedTuple):
    """The part of a report that is about the whole run."""

    started: datetime
    seconds: float
    ok: bool
    stopped: str
    counts: Mapping[str, int]
    """Images by status, in the order of the report."""
    bytes: int | None
    """Compressed bytes fetched; None in a report of an older version."""
    details: RunDetails


def render(report: Report) -> str:
    """Return the report as ASCII JSON, with one line for each image."""
    document = {
        "schema": SCHEMA,
        "started": timestamp(report.started),
        "seconds": round(report.seconds, 3),
        "ok": report.ok,
        "stopped": report.stopped or None,
        "counts": {status.value: number for status, number in report.counts.items()},
        "ended": timestamp(report.ended),
        "bytes": report.bytes,
        "other_bytes": report.other_bytes,
        "run": _details_document(report.details),
    }
    head = json.dumps(document, indent=2).removesuffix("\n}")
    if report.fleet:
        head += f',\n  "fleet": {_fleet_document(report)}'
    images = ",\n".join(f"    {_encode(image_document(outcome))}" for outcome in report.outcomes)
    return f"{head},{IMAGES}\n{images}\n  ]\n}}\n" if images else f"{head},{IMAGES}]\n}}\n"


def report_of(text: str) -> Report:
    """Parse a JSON report; raises UsageError with the first error and its position."""
    return _read(_document(text), _report)


def image_of(document: object) -> PullOutcome:
    """Build the outcome of one image of a report, checked by the schema; raises UsageError with the first error."""
    if error := next(_image_validator().iter_errors(document), None):
        raise _refusal(f"{error.json_path.removeprefix('$.')}: {error.message}")
    try:
        return outcome_of(cast(Mapping[str, Any], document))
    except (ValueError, OverflowError) as error:
        raise _refusal(str(error)) from None


def summary_of(text: str) -> Summary:
    """Parse the part of a JSON report that is about the whole run; raises UsageError as `report_of` does.

    The text may end anywhere after `IMAGES`.
    """
    head, found, _ = text.partition(IMAGES)
    return _read(_document(f"{head}{IMAGES}]}}" if found else text) | {"images": []}, _summary)


def _document(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"it is not JSON ({error})") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _refusal(f"it does not have the schema {SCHEMA!r}")
    return document


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _read(document: Mapping[str, Any], build: Callable[[Mapping[str, Any]], T]) -> T:
    """Validate a document and build a value from it."""
    from jsonschema import Draft202012Validator, exceptions  # noqa: PLC0415 - 0.1 s, and only reading a report needs it

    if error := exceptions.best_match(Draft202012Validator(_schema()).iter_errors(document)):
        raise _refusal(f"{error.json_path.removeprefix('$.')}: {error.message}")
    try:
        return build(document)
    except (ValueError, OverflowError) as error:  # a date or a number that is out of range
        raise _refusal(str(error)) from None


@cache
def _schema() -> Any:
    return json.loads((_SCHEMAS / "report.schema.json").read_text(encoding="utf-8"))


@cache
def _image_validator() -> Any:
    """Return a validator of one image, made once: a controller checks thousands."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - as above

    schema = _schema()
    return Draft202012Validator({"$defs": schema["$defs"], **schema["$defs"]["image"]})


def _refusal(why: str) -> UsageError:
    return UsageError(f"this is not a report of puller: {clean(why, _LONGEST_ERROR)}")


def _report(node: Mapping[str, Any]) -> Report:
    outcomes, details = tuple(map(outcome_of, node["images"])), _details(node.get("run") or {})
    fleet = _fleet(node["fleet"]) if node.get("fleet") else None
    started, seconds, other = _moment(node["started"]), float(node["seconds"]), node.get("other_bytes", 0)
    return Report(started, seconds, outcomes, node["stopped"] or "", details, fleet, other)


def _summary(node: Mapping[str, Any]) -> Summary:
    started, stopped = _moment(node["started"]), node["stopped"] or ""
    details = _details(node.get("run") or {})
    return Summary(started, float(node["seconds"]), node["ok"], stopped, node["counts"], node.get("bytes"), details)


def _details_document(details: RunDetails) -> dict[str, Any]:
    return {
        "host": details.host or None,
        "engine": details.engine or None,
        "lists": list(details.lists),
        "directory": details.directory or None,
        "target": list(details.target),
        "command": details.command or None,
        "version": details.version or None,
        "exit_code": details.exit_code,
        "hosts": details.hosts or None,
    }


def _details(node: Mapping[str, Any]) -> RunDetails:
    """Read what older versions did not write."""
    texts: dict[str, Any] = {
        name: node.get(name) or "" for name in ("host", "engine", "directory", "command", "version")
    }
    lists, target = (tuple(node.get(name) or ()) for name in ("lists", "target"))
    return RunDetails(
        **texts, lists=lists, target=target, exit_code=node.get("exit_code"), hosts=node.get("hosts") or 0
    )


def _fleet_document(report: Report) -> str:
    """Return what is known of the hosts of a run, with one line for each."""
    fleet = report.fleet or Fleet(())
    counts: dict[str | None, Counter[str]] = {}
    for outcome in report.outcomes:
        counts.setdefault(outcome.host, Counter())[outcome.status.value] += 1
    hosts = ",\n".join(f"      {_encode(_host(host, counts.get(host.name, Counter())))}" for host in fleet.hosts)
    return f'{{"halted": {_encode(fleet.halted or None)}, "strict": {_encode(fleet.strict)}, "hosts": [\n{hosts}\n  ]}}'


def _host(host: HostResult, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": host.name,
        "url": host.url,  # with its user: `--failed` connects to it, and it cannot have a password
        "state": host.state.value,
        "engine": host.engine or None,
        "wave": host.wave,
        "jobs": host.jobs,
        "began": round(host.began, 3),
        "seconds": round(host.seconds, 3),
        "counts": {
            status.value: counts.get(status.value, 0)
            for status in Status
            if status.value in counts or status is not Status.PENDING
        },
        "error": error_document(host.failure) if host.failure else None,
    }


def _fleet(node: Mapping[str, Any]) -> Fleet:
    hosts = tuple(
        HostResult(
            host["name"],
            host["url"],
            HostState(host["state"]),
            host["engine"] or "",
            host["wave"],
            float(host["began"]),
            float(host["seconds"]),
            _failure(host["error"]),
            host["jobs"],
        )
        for host in node["hosts"]
    )
    return Fleet(hosts, node["halted"] or "", node["strict"])


def image_document(outcome: PullOutcome) -> dict[str, Any]:
    """Return one image as the report has it."""
    return {
        "reference": outcome.reference,
        "requested": list(outcome.requested),
        "platform": str(outcome.platform) if outcome.platform else None,
        "host": outcome.host,
        "status": outcome.status.value,
        "digest": outcome.digest,
        "attempts": len(outcome.attempts),
        "began": round(outcome.began, 3),
        "seconds": round(outcome.seconds, 3),
        "took": round(outcome.took, 3),
        "bytes": outcome.bytes,
        "size": outcome.size,
        "kept": outcome.kept,
        "mirror": outcome.mirror,
        "confirmed": outcome.confirmed,
        "warning": outcome.warning or None,
        "error": error_document(outcome.failure) if outcome.failure else None,
        "tries": [_try(attempt) for attempt in outcome.attempts],
    }


def outcome_of(image: Mapping[str, Any]) -> PullOutcome:
    """Build the outcome of one image from what `image_document` returned, unchecked."""
    return PullOutcome(
        image["reference"],
        tuple(image["requested"]),
        Status(image["status"]),
        Platform.parse(image["platform"]) if image["platform"] else None,
        image["digest"],
        tuple(map(_attempt, image["tries"])),
        float(image["seconds"]),
        _failure(image["error"]),
        float(image["began"]),
        image["mirror"],
        image["confirmed"],
        image["host"],
        image.get("warning") or "",
        image.get("size"),
        image.get("kept", False),
    )


def _try(attempt: Attempt) -> dict[str, Any]:
    return {
        "started": round(attempt.started, 3),
        "seconds": round(attempt.seconds, 3),
        "bytes": attempt.bytes,
        "mirror": attempt.mirror,
        "error": error_document(attempt.failure) if attempt.failure else None,
        "phases": [
            {"phase": span.phase, "started": round(span.started, 3), "seconds": round(span.seconds, 3)}
            for span in attempt.phases
        ],
    }


def _attempt(node: Mapping[str, Any]) -> Attempt:
    spans = tuple(Span(span["phase"], float(span["started"]), float(span["seconds"])) for span in node["phases"])
    started, seconds = float(node["started"]), float(node["seconds"])
    return Attempt(started, seconds, _failure(node["error"]), spans, node["bytes"], node["mirror"])


def _failure(node: Mapping[str, Any] | None) -> Failure | None:
    if node is None:
        return None
    kind = node["kind"]
    return Failure(
        FailureKind(kind) if kind in _KINDS else FailureKind.UNCLASSIFIED,  # a later version may have more kinds
        FailureClass(node["class"]),
        node["message"],
        node["advice"],
        until=_moment(node["until"]) if node.get("until") else None,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
