"""Phrases that several reports and the progress display share."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from puller.errors import ExitCode, FailureClass, FailureKind
from puller.failure import Failure
from puller.failure.kinds import advice_for
from puller.model import PullOutcome, PullRequest, Report, RunDetails, Status
from puller.report.hosts import fleet_stops, hosts_verdict
from puller.text import clean, counted, format_bytes, format_seconds, short_reference, shorten, stop_words, timestamp

STATUS_WIDTH = max(len(status) for status in Status)
"""Columns of the longest status."""
_FILES = {"oci": "OCI layout", "archive": "archive"}
"""Where `--to` writes images, as `RunDetails.engine` names it."""
_LONGEST_LISTS = 200
KEPT = "an image from before the run is still present"
"""What to say of an image with `PullOutcome.kept`."""
_MOST_LISTS, _LONGEST_COMMAND = 3, 100
"""With more lists, or more characters, the next command names the run instead."""
_CANCELLED = FailureKind.CANCELLED


def image_name(image: PullOutcome | PullRequest) -> str:
    """Return the image as the user typed it, safe to print, with a short digest; of several hosts, after its host."""
    host = image.host if isinstance(image, PullOutcome) else None
    return f"{clean(host)}: {bare_name(image)}" if host else bare_name(image)


def bare_name(image: PullOutcome | PullRequest) -> str:
    """Return the image as `image_name` does, without its host."""
    return short_reference(clean(str(image))) or "-"


def row_name(image: PullOutcome) -> str:
    """Return the image for a table that has a column for the digest."""
    return short_reference(clean(str(image)), tag_only=True) or "-"


def row_digest(image: PullOutcome) -> str:
    """Return the digest of the image, or the requested one if the image is missing; empty if there is none."""
    return clean(image.digest or image.reference.partition("@")[2])


def status_words(status: Status, details: RunDetails | None = None, *, of_hosts: bool = False) -> str:
    """Return a status for people, such as `up to date`; `details` are those of the run, which may be `of_hosts`.

    Images that several hosts do not get are `not pulled`: most often nobody cancelled them, but their host is away.
    """
    if status is Status.CANCELLED and (of_hosts or (details and details.hosts)):
        return "not pulled"
    return "loaded" if status is Status.PULLED and details and _is_load(details) else status.value.replace("_", " ")


def reason(failure: Failure) -> str:
    """Return the kind and the message of a failure as one line."""
    return f"{failure.named}: {stop_words(failure.message)}"


def retry_time(failure: Failure) -> str:
    """Return a sentence with the time of `Failure.until`; empty without one."""
    return f"A retry may succeed at {timestamp(failure.until)}." if failure.until else ""


def advice(failure: Failure) -> list[str]:
    """Return the advice, and `retry_time` if there is one."""
    return list(filter(None, (clean(failure.advice), retry_time(failure))))


def advices(failures: Iterable[Failure]) -> list[str]:
    """Return the advice for several failures, each sentence once."""
    return [*dict.fromkeys(line for why in failures for line in advice(why))]


def ending(outcome: PullOutcome) -> str:
    """Return what to show beside the status: the time that the image took, or why it failed or was cancelled."""
    if outcome.failure is None:
        return format_seconds(outcome.took) + (f"; warning: {clean(outcome.warning)}" if outcome.warning else "")
    why = stop_words(outcome.failure.message) if outcome.status is Status.CANCELLED else reason(outcome.failure)
    return f"{why}; {KEPT}" if outcome.kept else why


def is_bad_line(outcome: PullOutcome) -> bool:
    """Tell whether this is an invalid line of a list that was skipped, and not an image."""
    why = outcome.failure
    return why is not None and why.kind is FailureKind.BAD_REFERENCE and not outcome.attempts


def by_failure(outcomes: Iterable[PullOutcome]) -> dict[Failure | None, list[PullOutcome]]:
    """Group outcomes with equal failures, in order of first appearance."""
    groups: dict[Failure | None, list[PullOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.failure, []).append(outcome)
    return groups


def by_cause(outcomes: Iterable[PullOutcome]) -> list[tuple[Failure, list[PullOutcome]]]:
    """Group outcomes whose failures have one kind and advice, with the failure whose `until` is the latest.

    The most frequent cause comes first. The advice for images of several registries names none of them.
    """
    groups: dict[object, list[tuple[Failure, PullOutcome]]] = {}
    for outcome in outcomes:
        if why := outcome.failure:
            named = why.advice == advice_for(why.kind, outcome.reference.partition("/")[0])
            groups.setdefault((why.kind, named or why.advice), []).append((why, outcome))
    for key, group in groups.items():
        if len({why.advice for why, _ in group}) > 1:
            groups[key] = [(why._replace(advice=advice_for(why.kind)), outcome) for why, outcome in group]
    return [
        (max(failures, key=lambda why: why.until.timestamp() if why.until else 0.0), [*images])
        for failures, images in (zip(*group, strict=True) for group in sorted(groups.values(), key=len, reverse=True))
    ]


def shared_message(outcomes: Sequence[PullOutcome]) -> str:
    """Return the one message of these failures, with `…` for the names of several images; empty if they differ."""
    alone = len(outcomes) == 1
    found = {
        why.message if alone else _without_name(why.message, image) for image in outcomes if (why := image.failure)
    }
    return clean(found.pop()) if len(found) == 1 else ""


def _without_name(message: str, image: PullOutcome) -> str:
    for name in (image.reference, *image.requested):
        message = message.replace(name, "…") if name else message
    return message


def cancelled(outcomes: Iterable[PullOutcome]) -> dict[str, int]:
    """Count the cancelled images by reason."""
    why = (outcome.failure for outcome in outcomes if outcome.status is Status.CANCELLED)
    return {
        stop_words(words): number for words, number in Counter(each.message if each else "" for each in why).items()
    }


def stops(report: Report) -> Iterator[str]:
    """Yield why the run ended early, and how many images were not pulled for each reason, if it is not a failure."""
    if report.fleet:
        yield from fleet_stops(report)
        return
    reasons, stopped = cancelled(report.outcomes), stop_words(report.stopped)
    told = {stop_words(each.failure.message) for each in report.failed if each.failure}
    causes = {stop_words(each.failure.message): each.failure for each in report.outcomes if each.failure}
    if stopped and stopped not in causes:
        yield f"stopped: {stopped}"
    for why, number in reasons.items():
        what = f"{counted(number, 'image')} not {status_words(Status.PULLED, report.details)}"
        yield f"{what} because of the failure above" if why in told else f"{why}: {what}" if why else what
        if why not in told and why in causes and causes[why].kind is not _CANCELLED:
            yield from (f"→ {line}" for line in advice(causes[why]))


def verdict(report: Report) -> str:
    """Return how many images are where they should be: `1 of 2 images is present`."""
    if report.fleet:
        return hosts_verdict(report)
    ends, details = [outcome.ok for outcome in report.outcomes], report.details
    if not ends:
        return "no images: there was nothing to pull"
    scheme, _, path = details.engine.partition(":")
    where = f"written to {clean(path)} ({_FILES[scheme]})" if scheme in _FILES else "present"
    if _is_load(details):
        where = "loaded"
    elif where == "present" and any(outcome.kept for outcome in report.outcomes):
        where = "up to date"
    return f"{sum(ends)} of {counted(len(ends), 'image')} {'is' if 1 in (sum(ends), len(ends)) else 'are'} {where}"


def lacking(outcomes: Sequence[PullOutcome]) -> str:
    """Return what failed and cancelled images are: `missing`, or `not updated` if the engine has an earlier image."""
    kept = {outcome.kept for outcome in outcomes if not outcome.ok}
    return " or ".join(word for word, has in (("missing", False), ("not updated", True)) if has in kept)


def totals(report: Report) -> str:
    """Return images by status, bytes, time and rate: `2 pulled, 1 failed; 62.0MB in 52s (1.2MB/s)`."""
    details, seconds, count = report.details, format_seconds(report.seconds), report.bytes
    parts = ", ".join(f"{number} {status_words(each, details)}" for each, number in report.counts.items() if number)
    number = sum(outcome.kept for outcome in report.outcomes)
    are = "is" if number == 1 else "are"
    kept = f"; {counted(number, 'image')} from before the run {are} still present" if number else ""
    if not count:
        return f"{parts} in {seconds}{kept}"
    rate = f" ({format_bytes(count / report.seconds)}/s)" if report.seconds else ""
    saved = f"; {format_bytes(less)} shared or downloaded before" if (less := saved_bytes(report)) else ""
    return f"{parts}; {format_bytes(count)} in {seconds}{rate}{saved}{kept}"


def saved_bytes(report: Report) -> int:
    """Return how many bytes of the pulled images did not have to be downloaded; 0 if their sizes are unknown."""
    sizes = [outcome.size for outcome in report.outcomes if outcome.status is Status.PULLED]
    return 0 if None in sizes else max(sum(filter(None, sizes)) - report.bytes, 0)


def names_lists(details: RunDetails, directory: str) -> bool:
    """Tell whether `puller pull --failed` can name the lists of a run in this directory: few, short, and no stdin."""
    lists = details.lists if details.directory == directory else ()
    named = 0 < len(lists) <= _MOST_LISTS and len(shlex.join(lists)) <= _LONGEST_COMMAND
    return named and not any(name.startswith("-") for name in lists)


def next_commands(report: Report, run: str = "") -> Iterator[tuple[str, str]]:
    """Yield what to type next if images failed, and what it does.

    `run` names the run where its lists do not: they are too many (`names_lists`), or it may not be their last run.
    """
    missing = [outcome for outcome in report.outcomes if not (outcome.ok or is_bad_line(outcome))]
    if missing and report.details.by_broker:
        pending = any(outcome.status is Status.PENDING for outcome in missing)
        retry = f"puller retry {run}", f"pulls what is missing{_outlook(missing)}"
        yield (f"puller watch {run}", "follows the run") if pending else retry
    elif missing and report.fleet:  # what is present needs no pull the next time
        yield clean(report.details.command), f"pulls what is missing{_outlook(missing)}"
    elif missing and reached_engine(report) and not _is_load(report.details):
        words = [f"--failed={run}"] if run else ["--failed", *report.details.lists]
        words = ["puller", "pull", *words, *report.details.target]
        if report.details.into_files:
            words += ["--to", report.details.engine]
        what, number = lacking(missing), len(missing)
        images = f"{counted(number, 'image')} that {'is' if number == 1 else 'are'} {what}"
        images = counted(number, "missing image") if what == "missing" else images
        kept = f"; {format_bytes(report.kept)} of layers are kept for it" if report.kept else ""
        yield clean(shlex.join(words)), f"pulls the {images}{_outlook(missing)}{kept}"
    if kinds := Counter(each.failure.kind for each in report.failed if each.failure).most_common():
        yield f"puller explain {kinds[0][0]}", f"explains the {'most frequent ' * (len(kinds) > 1)}cause"


def _outlook(missing: Sequence[PullOutcome]) -> str:
    """Return whether a pull of the missing images is worth it now."""
    failures = [outcome.failure for outcome in missing if outcome.failure]
    retryable, cancelled_only = sum(why.retryable for why in failures), {why.kind for why in failures} == {_CANCELLED}
    if not retryable or any(why.failure_class is FailureClass.HOST_FATAL for why in failures):
        return ", after a fix"
    if retryable == len(failures):
        return "" if cancelled_only else "; a retry may succeed"
    return f"; a retry may succeed for {retryable} of them"


def reached_engine(report: Report) -> bool:
    """Tell whether the run got as far as its engine, or was stopped before for another reason than the engine."""
    return bool(report.details.engine) or report.exit_code is not ExitCode.ENGINE_UNREACHABLE


def origin(report: Report, run: str = "") -> str:
    """Return which run this is, for those who read its report elsewhere: its name, start, host and lists."""
    details = report.details
    if not (run or details.host):
        return ""
    host = f" on {clean(details.host)}" if details.host else ""
    lists = shorten(clean(", ".join(details.lists)), _LONGEST_LISTS)
    return f"run{f' {run}' if run else ''} of {timestamp(report.started)}{host}{f': {lists}' if lists else ''}"


def warnings(outcomes: Iterable[PullOutcome]) -> Iterator[str]:
    """Yield a line for each image with a warning."""
    yield from (f"warning: {image_name(each)}: {clean(each.warning)}" for each in outcomes if each.warning)


def notes(outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    """Yield a line for each mirror that served images, each failure of a mirror, and each warning."""
    served = Counter(outcome.mirror for outcome in outcomes if outcome.mirror)
    for mirror, number in served.items():
        unconfirmed = sum(outcome.mirror == mirror and not outcome.confirmed for outcome in outcomes)
        line = f"mirror {clean(mirror)}: {counted(number, 'image')}"
        yield f"{line}, {unconfirmed} not confirmed: the registry itself did not answer" if unconfirmed else line
    failed = {
        (attempt.mirror, attempt.failure.kind): (outcome, attempt.failure)
        for outcome in reversed(outcomes)
        for attempt in reversed(outcome.attempts)
        if attempt.mirror and attempt.failure
    }
    for (mirror, _), (outcome, why) in reversed(failed.items()):
        yield f"mirror {clean(mirror)}: {why.named} for {image_name(outcome)}: {clean(why.message)}"
    yield from warnings(outcomes)


def _is_load(details: RunDetails) -> bool:
    return details.command.startswith("puller load ")


def opening(images: int, engine: str, jobs: int = 0, details: RunDetails | None = None) -> str:
    """Return what a run begins to do; `jobs` is the number of concurrent pulls into an engine, 0 if unknown."""
    scheme, _, path = engine.partition(":")
    if scheme in _FILES:
        return f"pulling {counted(images, 'image')} into {clean(path)} ({_FILES[scheme]})"
    if details and _is_load(details):
        return f"loading {counted(images, 'image')} into {clean(engine)}"
    return f"pulling {counted(images, 'image')} with {clean(engine)}{f', {jobs} at a time' if jobs else ''}"
