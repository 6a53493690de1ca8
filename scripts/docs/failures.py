"""The published page of failures, made from the tables: `python -m scripts.docs.failures > docs/failures.md`."""

from collections.abc import Iterator

from puller.errors import FailureClass
from puller.failure.kinds import KINDS
from puller.failure.rules import RULES
from puller.text import format_seconds

_RETRIED = {
    FailureClass.TRANSIENT: "yes",
    FailureClass.RATE_LIMITED: "after a wait",
    FailureClass.PERMANENT: "no",
    FailureClass.HOST_FATAL: "no; the run ends",
}


def page() -> str:
    """Write the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Failures"
    yield ""
    yield "What went wrong with an image is one of the kinds below; reports have it as `kind` and `class`."
    yield "puller reads the engine's words first and the HTTP status second, since one status means many things."
    yield "A message that it does not know is `unclassified`: it is shown whole and tried again."
    yield ""
    yield "| kind | class | whose | what it means | tried again? | what to do |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind, meaning in sorted(KINDS.items()):
        cells = (
            f"`{kind}`",
            f"`{meaning.failure_class}`",
            meaning.origin.value,
            meaning.summary,
            _RETRIED[meaning.failure_class],
            meaning.advice,
        )
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield from _waits()


def _waits() -> Iterator[str]:
    yield ""
    yield "## Waiting"
    yield ""
    yield "Where a message of the classes `rate_limited` and `transient` says how long to wait, that counts:"
    yield "`retry-after` as a Go duration (`1h2m3.5s`, `680µs`), as seconds or as a date; `until 2024-08-13T07:45:05Z`;"
    yield "`try again in 5 minutes`; `locked out for one hour`. A date that has passed is no wait, and more than a"
    yield "year is taken for a mistake."
    yield "Where it does not say:"
    yield ""
    for rule in RULES:
        if KINDS[rule.kind].failure_class is FailureClass.RATE_LIMITED:
            wait = f"wait {format_seconds(rule.wait)}" if rule.wait else "wait as between any two tries"
            yield f"- `{rule.kind}`{_case(rule.advice)}: {wait}. {rule.advice or KINDS[rule.kind].advice}"


def _case(advice: str | None) -> str:
    return " (Docker Hub's quota of pulls)" if advice else ""


if __name__ == "__main__":
    print(page(), end="")
