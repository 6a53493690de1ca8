"""Generates the page of failures from the table of kinds: `python -m scripts.docs.failures > docs/failures.md`."""

from collections.abc import Iterator

from puller.errors import FailureClass
from puller.failure.kinds import KINDS, advice_for
from puller.failure.rules import RULES
from puller.text import format_seconds

_RETRIED = {
    FailureClass.TRANSIENT: "yes",
    FailureClass.RATE_LIMITED: "after a wait",
    FailureClass.PERMANENT: "no",
    FailureClass.HOST_FATAL: "no; its host's pulls end",
}


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Failures"
    yield ""
    yield "Every failure of an image has one of the kinds below; reports contain its `kind` and its `class`."
    yield "puller reads the text of an error message first and its HTTP status second, because one status has many"
    yield "meanings. An unknown message is `unclassified`: puller shows it whole and retries."
    yield ""
    yield "| kind | class | origin | meaning | retried? | what to do |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind, meaning in sorted(KINDS.items()):
        cells = (
            f"`{kind}`",
            f"`{meaning.failure_class}`",
            meaning.origin.value,
            meaning.summary,
            _RETRIED[meaning.failure_class],
            advice_for(kind),
        )
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield from _waits()


def _waits() -> Iterator[str]:
    yield ""
    yield "## Waits"
    yield ""
    yield "For the classes `rate_limited` and `transient`, puller waits as long as the message says:"
    yield "`retry-after` as a Go duration (`1h2m3.5s`, `680µs`), in seconds or as a date; `until 2024-08-13T07:45:05Z`;"
    yield "`try again in 5 minutes`; `locked out for one hour`. A date in the past means no wait, and a wait of more"
    yield "than a year is ignored."
    yield "If the message does not say:"
    yield ""
    for rule in RULES:
        if KINDS[rule.kind].failure_class is FailureClass.RATE_LIMITED:
            wait = f"wait {format_seconds(rule.wait)}" if rule.wait else "wait as before any retry"
            yield f"- `{rule.kind}`{_case(rule.advice)}: {wait}. {rule.advice or advice_for(rule.kind)}"


def _case(advice: str | None) -> str:
    return " (Docker Hub's pull quota)" if advice else ""


if __name__ == "__main__":
    print(page(), end="")
