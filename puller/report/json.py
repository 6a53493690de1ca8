"""The JSON report: a contract, described by `report.schema.json` beside this file."""

import json
from typing import Any

from puller.failure import Failure
from puller.model import Attempt, PullOutcome, Report
from puller.text import timestamp

SCHEMA = "puller.report/1"
"""Name and version; the number grows only when something promised changes its meaning."""
_encode = json.JSONEncoder().encode


def render(report: Report) -> str:
    """Write the report as JSON in plain ASCII, which every terminal, pipe and parser takes: an image a line."""
    document = {
        "schema": SCHEMA,
        "started": timestamp(report.started),
        "seconds": round(report.seconds, 3),
        "ok": report.ok,
        "stopped": report.stopped or None,
        "counts": {status.value: number for status, number in report.counts.items()},
    }
    head = json.dumps(document, indent=2).removesuffix("\n}")
    images = ",\n".join(f"    {_encode(_image(outcome))}" for outcome in report.outcomes)
    return f'{head},\n  "images": [\n{images}\n  ]\n}}\n' if images else f'{head},\n  "images": []\n}}\n'


def _image(outcome: PullOutcome) -> dict[str, Any]:
    return {
        "reference": outcome.reference,
        "requested": list(outcome.requested),
        "platform": str(outcome.platform) if outcome.platform else None,
        "host": None,
        "status": outcome.status.value,
        "digest": outcome.digest,
        "attempts": len(outcome.attempts),
        "began": round(outcome.began, 3),
        "seconds": round(outcome.seconds, 3),
        "bytes": outcome.bytes,
        "mirror": outcome.mirror,
        "confirmed": outcome.confirmed,
        "error": _error(outcome.failure) if outcome.failure else None,
        "tries": [_try(attempt) for attempt in outcome.attempts],
    }


def _try(attempt: Attempt) -> dict[str, Any]:
    return {
        "started": round(attempt.started, 3),
        "seconds": round(attempt.seconds, 3),
        "bytes": attempt.bytes,
        "mirror": attempt.mirror,
        "error": _error(attempt.failure) if attempt.failure else None,
        "phases": [
            {"phase": span.phase, "started": round(span.started, 3), "seconds": round(span.seconds, 3)}
            for span in attempt.phases
        ],
    }


def _error(failure: Failure) -> dict[str, str | None]:
    return {
        "kind": failure.kind.value,
        "class": failure.failure_class.value,
        "message": failure.message,
        "advice": failure.advice,
        "origin": failure.origin.value,
        "until": timestamp(failure.until) if failure.until else None,
    }
