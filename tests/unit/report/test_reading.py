"""A JSON report read back is the report it was written from, and what is none is refused in one line."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from puller.errors import FailureClass, FailureKind, UsageError
from puller.failure import Failure
from puller.image.reference import Platform
from puller.model import Attempt, PullOutcome, Report, RunDetails, Span, Status
from puller.model.hosts import Fleet, HostResult, HostState
from puller.report.json import render, report_of, summary_of
from tests.lab.samples import DIGEST, outcome, report

SECONDS = st.floats(min_value=0, max_value=1e9)
BYTES = st.integers(min_value=0, max_value=10**15)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
PLATFORMS = st.sampled_from(["linux/amd64", "linux/arm/v7", "windows/amd64"]).map(Platform.parse)
FAILURES = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.sampled_from(FailureClass),
    st.text(),
    st.text(),
    until=st.none() | MOMENTS,
)
WORDS = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True)
SPANS = st.builds(Span, WORDS, SECONDS, SECONDS)
ATTEMPTS = st.builds(Attempt, SECONDS, SECONDS, st.none() | FAILURES, st.lists(SPANS, max_size=3).map(tuple), BYTES)


def outcomes(statuses: Iterable[Status], failures: st.SearchStrategy[Failure | None]) -> st.SearchStrategy[PullOutcome]:
    """Make outcomes of some statuses, which go with some failures."""
    return st.builds(
        PullOutcome,
        st.text(),
        st.lists(st.text(), min_size=1, max_size=2).map(tuple),
        st.sampled_from([*statuses]),
        st.none() | PLATFORMS,
        st.none() | st.just(DIGEST),
        st.lists(ATTEMPTS, max_size=2).map(tuple),
        SECONDS,
        failures,
        SECONDS,
        mirror=st.none() | WORDS,
        host=st.none() | WORDS,
        size=st.none() | BYTES,
    )


BAD = (Status.FAILED, Status.CANCELLED)
OUTCOMES = outcomes(BAD, FAILURES) | outcomes({*Status} - {*BAD}, st.none())
DETAILS = st.builds(
    RunDetails,
    st.text(),
    st.text(),
    st.lists(st.text()).map(tuple),
    st.text(),
    st.text(),
    st.none() | st.integers(0, 255),
    hosts=st.integers(0, 1000),
)
HOSTS = st.builds(
    HostResult,
    WORDS,
    st.text(),
    st.sampled_from(HostState),
    wave=st.none() | st.integers(0, 9),
    began=SECONDS,
    seconds=SECONDS,
    failure=st.none() | FAILURES,
    jobs=st.none() | st.integers(1, 9),
)
FLEETS = st.builds(Fleet, st.lists(HOSTS, max_size=2).map(tuple), st.text(), st.booleans())
REPORTS = st.builds(
    Report,
    MOMENTS,
    SECONDS,
    st.lists(OUTCOMES, max_size=3).map(tuple),
    st.text(),
    DETAILS,
    st.none() | FLEETS,
    st.integers(0, 10**12),
)


@given(REPORTS)
def test_what_was_written_is_read(written: Report) -> None:
    """Every report survives being written and read, to the millisecond."""
    text = render(written)
    read = report_of(text)
    assert render(read) == text
    assert [each.bytes for each in read.outcomes] == [each.bytes for each in written.outcomes]
    assert read.details == written.details


@given(REPORTS)
def test_the_summary_says_what_the_report_says(written: Report) -> None:
    """Whoever lists runs need not read their images."""
    summary = summary_of(render(written))
    assert (summary.ok, summary.stopped, summary.counts) == (written.ok, written.stopped, written.counts)
    assert (summary.bytes, summary.details) == (written.bytes, written.details)
    assert summary.seconds == round(written.seconds, 3)
    assert abs(summary.started - written.started) < timedelta(seconds=1)


def test_a_kind_that_only_a_later_puller_knows_is_borne() -> None:
    """New kinds of failure may appear in a report; what it says otherwise stays."""
    document = json.loads(render(report(outcome("nope", Status.FAILED))))
    document["images"][0]["error"]["kind"] = "moon_in_the_way"
    (failed,) = report_of(json.dumps(document)).failed
    assert failed.failure
    assert failed.failure.kind is FailureKind.UNCLASSIFIED
    assert failed.failure.message == "manifest unknown"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 100_000, "nginx:1.27\n", '{"schema": "puller.report/2"}', '{"schema": ["puller.report/1"]}'],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    """A file of another kind is called one, in one line."""
    with pytest.raises(UsageError, match=r"this is not a report of puller: it .*") as refused:
        report_of(text)
    assert "\n" not in str(refused.value)


def spoil(document: Any, path: tuple[str | int, ...], value: object) -> None:
    """Put a value where it does not belong."""
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("images",), None, "images: None is not of type 'array'"),
        (("images", 0), 7, "images[0]: 7 is not of type 'object'"),
        (("images", 0, "status"), "done", "images[0].status: 'done' is not one of ['pulled', "),
        (("images", 0, "seconds"), float("nan"), "it is not JSON (NaN is not a number)"),
        (("images", 0, "seconds"), -1, "images[0].seconds: -1 is less than the minimum of 0"),
        (("images", 0, "seconds"), 10**400, "images[0].seconds: 1000"),
        (("seconds",), float("1e10"), "seconds: 10000000000.0 is greater than the maximum of 1000000000"),
        (("bytes",), 10**400, "bytes: 1000"),
        (("images", 0, "requested"), [], "images[0].requested: []"),
        (("images", 0, "platform"), "moon", "images[0].platform: 'moon' does not match "),
        (("images", 0, "tries"), {}, "images[0].tries: {} is not of type 'array'"),
        (("images", 0, "tries", 0, "bytes"), -1, "images[0].tries[0].bytes: -1 is less than the minimum of 0"),
        (("images", 0, "tries", 0, "phases"), [1], "images[0].tries[0].phases[0]: 1 is not of type 'object'"),
        (
            ("images", 0, "error", "class"),
            "x\x1b[31m",
            "images[0].error.class: 'x\\x1b[31m' is not one of ['transient', ",
        ),
        (("images", 0, "error"), None, "images[0].error: None is not of type 'object'"),
        (("started",), "2026-11-23T08:00:00", "started: '2026-11-23T08:00:00' does not match "),
        (("started",), "2026-11-99T08:00:00Z", "day is out of range for month"),
        (("stopped",), ["x" * 1000], "stopped: ['" + "x" * 150),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path: tuple[str | int, ...], value: object, complaint: str) -> None:
    """Somebody who has to find out what is wrong with a file is told where to look."""
    document = json.loads(render(report(outcome("nope", Status.FAILED))))
    spoil(document, path, value)
    with pytest.raises(UsageError) as refused:
        report_of(json.dumps(document))
    message = str(refused.value)
    assert message.startswith(f"this is not a report of puller: {complaint}")
    assert message.isprintable()
