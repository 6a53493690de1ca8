"""The images that failed or were cancelled, as an image list: `puller pull failed.txt` retries exactly these."""

from collections.abc import Iterator, Sequence

from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Report
from puller.report.words import by_failure, is_bad_line, reason, verdict
from puller.text import clean, timestamp


def render(report: Report) -> str:
    """Return a text list of the images that failed or were cancelled, with failures and invalid lines as comments."""
    where = f" on {clean(report.details.host)}" if report.details.host else ""
    head = f"# {verdict(report)}; the run of {timestamp(report.started)}{where}"
    missing = [outcome for outcome in report.outcomes if not outcome.ok]
    blocks = ("\n".join(_block(why, outcomes)) for why, outcomes in by_failure(missing).items())
    return "\n\n".join((head, *blocks)) + "\n"


def _block(why: Failure | None, outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    if why:
        yield f"# {reason(why)}"
    yield from dict.fromkeys(line for outcome in outcomes for line in _lines(outcome))  # of several hosts once


def _lines(outcome: PullOutcome) -> Iterator[str]:
    option = f"--platform={outcome.platform} " if outcome.platform else ""
    for text in outcome.requested:  # a line for each spelling, which `puller pull` merges again
        readable = not is_bad_line(outcome) and ImageReference.read(text)
        yield f"{option}{text}" if readable else f"# {clean(text)}"
