"""Progress as lines: for logs, and for programs."""

import io
import json
import os
import re
import unicodedata

import pytest
from hypothesis import given, strategies as st

from puller.cli.progress import ProgressMode
from puller.cli.progress.lines import PlainLines
from puller.errors import FailureClass, FailureKind
from puller.events import (
    Event,
    Fetched,
    Finished,
    Paused,
    Phase,
    Postponed,
    Progress,
    RetryScheduled,
    RunStarted,
    SizeKnown,
    Started,
)
from puller.failure import Failure, failure
from puller.model import Attempt, RunDetails, Status
from tests.lab.samples import DIGEST, outcome, request
from tests.unit.cli.progress import observe

NGINX, NOPE = request("nginx:1.27"), request("nope:latest", "linux/arm64")
BUSY = failure(FailureKind.REGISTRY_5XX, "503 Service Unavailable")
RUN: tuple[Event, ...] = (
    RunStarted(2, "Docker 28.5"),
    Started(NGINX, 1),
    Progress(NGINX, Phase.DOWNLOADING, 50, 200, 1, 4),
    RetryScheduled(NGINX, 1, BUSY, 1.3),
    Finished(NGINX, outcome("nginx:1.27")),
    Finished(NOPE, outcome("nope:latest", Status.FAILED, platform="linux/arm64")),
)


def shown(mode: ProgressMode, *events: Event, verbose: int = 0) -> list[str]:
    """Observe the events and give the lines that came of them."""
    stream = io.StringIO()
    with observe(mode, stream, verbose=verbose) as observer:
        for event in events:
            observer(event)
    return stream.getvalue().splitlines()


def test_plain_tells_starts_ends_and_retries() -> None:
    """A log has a line for the run, one for each image's start and end, and one for each retry."""
    assert shown(ProgressMode.PLAIN, *RUN) == [
        "pulling 2 images with Docker 28.5",
        "[0/2] starts      nginx:1.27",
        "retry in 1.3s  nginx:1.27  attempt 1: registry error (registry_5xx): 503 Service Unavailable",
        "[1/2] pulled      nginx:1.27  4.2s",
        "[2/2] failed      nope:latest (linux/arm64)  4.2s  image or tag not found (not_found): manifest unknown",
    ]


def test_plain_tells_what_a_run_waits_for() -> None:
    """A registry that wants to be left alone, and an image that gets another try later, are a line each."""
    throttled = failure(FailureKind.RATE_LIMITED, "toomanyrequests: slow down")
    assert shown(ProgressMode.PLAIN, Paused("ghcr.io", throttled, 30), Postponed(NGINX, BUSY)) == [
        "paused for 30s  ghcr.io  rate limited (rate_limited): toomanyrequests: slow down",
        "will retry at the end  nginx:1.27  registry error (registry_5xx): 503 Service Unavailable",
    ]


@pytest.mark.parametrize(("engine", "kind"), [("oci:out/s6", "OCI layout"), ("archive:out/s6", "archive")])
def test_plain_tells_where_files_are_written(engine: str, kind: str) -> None:
    """There `--jobs` is no limit, so no number is claimed."""
    lines = PlainLines(jobs=3)
    assert lines(RunStarted(6, engine)) == f"pulling 6 images into out/s6 ({kind})"
    assert lines(RunStarted(6, "Docker")) == "pulling 6 images with Docker, 3 at a time"


def test_plain_tells_a_load_from_a_pull() -> None:
    """The images come from files."""
    lines = PlainLines(details=RunDetails(command="puller load images.tar"))
    assert lines(RunStarted(4, "engine 28.5")) == "loading 4 images into engine 28.5"
    assert lines(Finished(NGINX, outcome("nginx:1.27"))) == "[1/4] loaded      nginx:1.27  4.2s"
    assert lines.end().startswith("[1/4] ended: 1 loaded, 3 not tried in ")


def test_plain_tells_the_words_of_a_rate_limit_once() -> None:
    """The line of the retry has the title; if it has other words, those too."""
    limited, other = failure(FailureKind.RATE_LIMITED, "slow down"), failure(FailureKind.RATE_LIMITED, "429")
    paused, *retries = shown(
        ProgressMode.PLAIN,
        Paused("docker.io", limited, 12),
        RetryScheduled(NGINX, 1, limited._replace(wait=12.0), 12),
        RetryScheduled(NGINX, 2, other, 12),
    )
    assert paused == "paused for 12s  docker.io  rate limited (rate_limited): slow down"
    assert retries == [
        "retry in 12s  nginx:1.27  attempt 1: rate limited (rate_limited)",
        "retry in 12s  nginx:1.27  attempt 2: rate limited (rate_limited): 429",
    ]


def test_plain_tells_the_message_of_a_common_cause_twenty_times() -> None:
    """Three hundred images of a registry that is down do not fill a log with one sentence; another cause is told."""
    down = failure(FailureKind.REGISTRY_UNAVAILABLE, "reg.example.org does not answer")
    ends = [
        Finished(NGINX, outcome(f"app:{number}", Status.FAILED, attempts=0, seconds=1, why=down))
        for number in range(30)
    ]
    told = shown(ProgressMode.PLAIN, *ends, Finished(NOPE, outcome("nope", Status.FAILED)))
    assert [line.endswith("(registry_unavailable): reg.example.org does not answer") for line in told[:20]] == [
        True
    ] * 20
    assert told[20] == "[21/?] failed      app:20  1.0s  registry unavailable (registry_unavailable)"
    assert told[30].endswith("image or tag not found (not_found): manifest unknown")


def test_jsonl_tells_seconds_of_every_wait() -> None:
    """A program can add up what was waited."""
    throttled = failure(FailureKind.RATE_LIMITED, "slow down")
    events = (RUN[3], Paused("ghcr.io", throttled, 30), Postponed(NGINX, BUSY))
    retry, paused, postponed = (json.loads(line) for line in shown(ProgressMode.JSON, *events))
    assert (retry["seconds"], paused["seconds"], paused["id"]) == (1.3, 30, "ghcr.io")
    assert (postponed["event"], postponed["id"]) == ("postponed", "docker.io/library/nginx:1.27")


def test_the_end_of_an_image_tells_bytes_and_the_time_without_the_queue() -> None:
    """The seconds begin with the first attempt, as the line of its start does."""
    attempts = (Attempt(10.0, 1.0, BUSY, bytes=2_000_000), Attempt(12.0, 30.0, None, bytes=10_000_000))
    end = outcome("nginx:1.27", seconds=42.0)._replace(attempts=attempts, warning="not for linux/amd64")
    assert shown(ProgressMode.PLAIN, Finished(NGINX, end)) == [
        "[1/?] pulled      nginx:1.27  12.0MB in 32s  warning: not for linux/amd64"
    ]


def test_verbose_tells_later_attempts_mirrors_and_digests() -> None:
    """Once, -v is about images; -vv also has each change of phase."""
    end = outcome("nginx:1.27")._replace(mirror="mirror.example")
    phases = [Progress(NGINX, phase) for phase in (Phase.RESOLVING, Phase.DOWNLOADING, Phase.DOWNLOADING)]
    events: tuple[Event, ...] = (Started(NGINX, 1, "mirror.example"), Started(NGINX, 2), *phases, Finished(NGINX, end))
    first, second, *more, last = shown(ProgressMode.PLAIN, *events, verbose=1)
    assert (first, second) == (
        "[0/?] starts      nginx:1.27  from mirror.example",
        "[0/?] starts      nginx:1.27  attempt 2",
    )
    assert (more, last) == ([], f"[1/?] pulled      nginx:1.27  4.2s  {DIGEST}  from mirror.example")
    assert shown(ProgressMode.PLAIN, *events, verbose=2)[2:-1] == [
        "[0/?] resolving   nginx:1.27",
        "[0/?] downloading  nginx:1.27",
    ]


def test_auto_is_plain_where_nobody_watches() -> None:
    """A pipe gets lines, not a live view."""
    assert shown(ProgressMode.AUTO, *RUN) == shown(ProgressMode.PLAIN, *RUN)


def test_quiet_says_nothing() -> None:
    """Quiet is quiet."""
    assert shown(ProgressMode.QUIET, *RUN) == []


def test_jsonl_has_one_object_for_every_event() -> None:
    """A program can follow the run with docker compose's names."""
    lines = [json.loads(line) for line in shown(ProgressMode.JSON, *RUN)]
    assert [line["event"] for line in lines] == ["run_started", "started", "progress", "retry", "finished", "finished"]
    assert [line["status"] for line in lines] == ["Working", "Working", "Working", "Warning", "Done", "Error"]
    assert lines[2]["id"] == "docker.io/library/nginx:1.27"
    assert (lines[2]["text"], lines[2]["details"]) == ("Downloading", "1/4 layers")
    assert (lines[2]["current"], lines[2]["total"], lines[2]["percent"]) == (50, 200, 25)
    assert lines[5]["id"] == "docker.io/library/nope:latest (linux/arm64)"
    assert lines[5]["details"] == "image or tag not found (not_found): manifest unknown"
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)


def test_jsonl_tells_bytes_and_totals() -> None:
    """The end of an image has the bytes that came, its size if that is known, and its seconds; so has the run.

    An image that is there is complete, also if other images brought its layers, or if bytes came twice.
    """
    end = outcome()._replace(attempts=(Attempt(0.0, 4.2, None, bytes=13_800_000),), size=27_600_000)
    events = (SizeKnown(60_800_000, 2), Progress(NGINX, Phase.DOWNLOADING, 50, 200, counted=40), Finished(NGINX, end))
    size, progress, finished = (json.loads(line) for line in shown(ProgressMode.JSON, *events))
    assert (size["event"], size["total"], size["unknown"]) == ("size_known", 60_800_000, 2)
    assert (progress["current"], progress["counted"], progress["total"]) == (50, 40, 200)
    assert (finished["current"], finished["total"], finished["seconds"]) == (13_800_000, 27_600_000, 4.2)
    (fetched,) = shown(ProgressMode.JSON, Fetched(9_000_000))
    assert (json.loads(fetched)["event"], json.loads(fetched)["current"]) == ("fetched", 9_000_000)
    assert finished["percent"] == 100
    (twice,) = shown(ProgressMode.JSON, Finished(NGINX, end._replace(size=13_000_000)))
    assert (json.loads(twice)["current"], json.loads(twice)["total"]) == (13_800_000, 13_800_000)
    (unknown,) = shown(ProgressMode.JSON, Finished(NGINX, outcome()))
    assert (json.loads(unknown)["total"], json.loads(unknown)["percent"]) == (None, None)


@pytest.mark.parametrize("mode", [ProgressMode.PLAIN, ProgressMode.JSON, ProgressMode.TTY])
def test_a_closed_pipe_costs_nothing_but_the_display(mode: ProgressMode) -> None:
    """`puller pull … 2>&1 | head -1` pulls on."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(os.dup(writer), "w", buffering=1) as stream:
        with observe(mode, stream) as observer:
            for event in RUN * 2:
                observer(event)
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    os.close(writer)
    closed = io.StringIO()
    closed.close()
    with observe(mode, closed) as observer:
        observer(RUN[-1])


def test_an_ascii_stream_gets_every_line() -> None:
    """A character that the terminal lacks is spelled out; it does not end the display."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    odd = outcome("nope", Status.FAILED, why=failure(FailureKind.INTERNAL, "é"))
    with observe(ProgressMode.PLAIN, stream) as observer:
        observer(Finished(NOPE, odd))
        observer(RUN[-1])
    assert raw.getvalue().count(b"\n") == 2


@given(words=st.text())
def test_an_engines_words_stay_on_their_line(words: str) -> None:
    """No message can forge a line or move the cursor."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, words, words)
    end = outcome(status=Status.FAILED)._replace(failure=reason)
    for mode in (ProgressMode.PLAIN, ProgressMode.JSON):
        (line, again) = shown(mode, Finished(NGINX, end), RetryScheduled(NGINX, 1, reason, 1))
        assert not [char for char in line + again if unicodedata.category(char) in ("Cc", "Cs")]
