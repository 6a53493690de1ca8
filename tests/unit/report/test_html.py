"""The report as a page: what it says. `test_html_browser.py` has what it does in a browser."""

import base64
import hashlib
import re
from html import unescape

import pytest

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, classify, failure
from puller.model import Attempt, PullOutcome, RunDetails, Span, Status
from puller.report.html import render
from puller.report.html.timeline import Part, parts_of
from puller.report.html.view import View
from tests.lab.samples import outcome, report

RESET = classify("read: connection reset by peer")
LIMITED = classify("toomanyrequests: too many requests")
DETAILS = RunDetails(
    "build-7", "engine 28.5.2", ("images.txt", "more.txt"), "puller pull images.txt more.txt -j 4", "1.2.3", 1
)


def image(*attempts: Attempt, began: float = 2.0, seconds: float = 9.0, status: Status = Status.PULLED) -> PullOutcome:
    """End an image after these attempts."""
    return outcome(status=status)._replace(attempts=attempts, began=began, seconds=seconds)


RETRIED = image(Attempt(0, 4, RESET), Attempt(12, 2, None), began=0, seconds=14)


@pytest.mark.parametrize(
    ("ended", "parts"),
    [
        (
            image(
                Attempt(1.0, 2.0, RESET, phases=(Span("resolving", 0.0, 0.5), Span("downloading", 0.5, 1.5))),
                Attempt(6.0, 3.0, None, phases=(Span("extracting", 0.0, 3.0),)),
            ),
            [
                ("queued", 0, 3),
                ("resolving", 3, 0.5),
                ("downloading", 3.5, 1.5),
                ("retrying", 5, 3),
                ("extracting", 8, 3),
            ],
        ),
        (
            image(
                Attempt(0.0, 1.0, RESET, phases=(Span("new_phase", 0.0, 1.0),)),
                began=0,
                seconds=4,
                status=Status.FAILED,
            ),
            [("pulling", 0, 1), ("retrying", 1, 3)],
        ),
        (image(), [("queued", 0, 2), ("checking", 2, 9)]),
        (image(began=0, seconds=0, status=Status.CANCELLED), [("queued", 0, 20)]),
        (image(began=0, seconds=0, status=Status.FAILED), []),
    ],
    ids=["retried", "given up", "looked at", "never had its turn", "no reference"],
)
def test_a_bar_tells_where_the_time_went(ended: PullOutcome, parts: list[tuple[str, float, float]]) -> None:
    """Queued, each phase, waits between attempts: without a gap, whatever the report knows."""
    assert list(parts_of(ended, 20.0)) == [Part(*part) for part in parts]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 0.1s"),
        (4.2, "0 0.5s 1s 1.5s 2s"),
        (100.0, "0 15s 30s 45s 1m00s 1m15s 1m30s"),
        (7200.0, "0 15m00s 30m00s"),
    ],
)
def test_the_axis_has_round_numbers(seconds: float, words: str) -> None:
    """Whether a run took a blink or hours, a few round moments mark its axis."""
    ticks = [tick for _, tick in View(report()._replace(outcomes=(), seconds=seconds)).ticks]
    assert " ".join(ticks).startswith(words)
    assert len(ticks) < 10


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (
            [RETRIED],
            "8.0s of 20s were spent waiting for retries.",
        ),
        (
            [image(Attempt(0, 1, LIMITED), Attempt(6, 1, RESET), Attempt(10, 1, None), began=0, seconds=11)],
            "8.0s of 20s were spent waiting: 5.0s for a rate limit, 3.0s for retries.",
        ),
        (
            [
                RETRIED,
                image(Attempt(0, 11.5, None), began=0, seconds=11.5),
            ],
            "",
        ),
        ([image(Attempt(0, 9, None, phases=(Span("waiting", 0, 5), Span("downloading", 5, 4))))], "for the engine."),
        ([image()], ""),
    ],
    ids=["retries", "a rate limit too", "another image was pulled meanwhile", "the engine", "no wait"],
)
def test_waits_are_a_sentence(outcomes: list[PullOutcome], words: str) -> None:
    """Only time counts in which images waited and nothing else went on."""
    waits = View(report(*outcomes, seconds=20)).waits
    assert waits.endswith(words)
    assert bool(waits) == bool(words)


def test_the_axis_ends_with_the_work() -> None:
    """Retries of images that failed do not press everything else to the left; a sentence says that they went on."""
    hopeless = image(*(Attempt(2.0**n, 0.1, RESET) for n in range(6)), began=0, seconds=33, status=Status.FAILED)
    page = View(report(image(Attempt(0, 6, None), began=4, seconds=6), hopeless, seconds=33))
    assert page.axis == 10
    assert "ends at 10s, when all other images were done: 1 image took until 33s" in page.after_axis
    assert [row.bar.goes_on for row in page.rows] == [False, True]
    assert all(float(left[:-1]) + float(width[:-1]) <= 100.1 for row in page.rows for _, left, width in row.bar.parts)
    alone = View(report(hopeless, seconds=33))
    assert (alone.axis, alone.after_axis) == (33, "")


def test_the_page_says_which_run_it_is_of() -> None:
    """In a mail or a pipeline: where, when, by whom, with what end; an old report knows less of it."""
    page = render(report(outcome("nope", Status.FAILED), seconds=83)._replace(details=DETAILS))
    text = re.sub(r"<[^>]+>|\s+", " ", unescape(page.partition("<body>")[2]))
    text = re.sub(" +", " ", text)
    for words in (
        "The image is missing on build-7",
        "Host build-7 Engine 28.5.2 Lists images.txt, more.txt Version puller 1.2.3",
        "Exit code 1: some images failed",
        "Started 2026-11-23 08:00:00 UTC Ended 2026-11-23 08:01:23 UTC Command puller pull images.txt more.txt -j 4",
        "Next: puller pull --failed images.txt more.txt pulls the 1 missing image, after a fix",
        "Image or tag not found not_found 1 image",
        "More: puller explain not_found",
    ):
        assert words in text
    old = render(report(outcome("nope", Status.FAILED)))
    assert not any(f"<dt>{name}</dt>" in old for name in ("Host", "Engine", "Version", "Exit code", "Command"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("quay.io/minio/minio:latest", ("minio/minio", ":latest")),
        (f"nginx:1.27@sha256:{'ab' * 32}", ("nginx", ":1.27")),
        (f"nginx@sha256:{'ab' * 32}", ("nginx", "@sha256:abababababab")),
        ("localhost:5000/app", ("app", "")),
    ],
)
def test_names_keep_their_tag(text: str, name: tuple[str, str]) -> None:
    """A long name is cut before its tag; a digest is short, and left out beside a tag."""
    assert View(report(outcome(text))).rows[0].name == name


def test_sums_are_those_of_the_report() -> None:
    """Bytes, rates and what was saved, of the run and of each registry."""
    sizes = {"docker.io/a/b:1": 30_000_000, "docker.io/a/c:1": 10_000_000, "ghcr.io/a/b:1": 5_000_000}
    fetched = [
        image(Attempt(0, 4, None, bytes=size), began=0, seconds=4)._replace(size=30_000_000, reference=name)
        for name, size in sizes.items()
    ]
    page = render(report(*fetched, seconds=9))
    assert "<dd>45.0MB at 5.0MB/s</dd>" in page
    assert "<dt>Saved by shared layers</dt><dd>45.0MB</dd>" in page
    assert "2 images, 40.0MB at 10.0MB/s, slowest" in page
    assert "Saved" not in render(report(*fetched, outcome(), seconds=9))


def test_failures_come_first_with_cause_and_advice() -> None:
    """Who opens the page reads at once what went wrong, of which images, and what to do; one cause is told once."""
    page = unescape(render(report(outcome(), *(outcome(f"nope:{n}", Status.FAILED) for n in range(3)))))
    head, _, waterfall = page.partition('id="waterfall"')
    why = failure(FailureKind.NOT_FOUND, "manifest unknown")
    assert "3 of 4 images are missing" in head
    assert head.count(why.advice) == head.count(why.message) == 1
    assert [f"nope:{n}" in head for n in range(3)] == [True] * 3
    assert "nginx:1.27" in waterfall
    assert "nginx" not in head


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ((), "No images: there was nothing to pull"),
        ((outcome(),), "The image is present"),
        ((outcome(), outcome("b")), "All 2 images are present"),
        ((outcome(), outcome("b", Status.CANCELLED)), "1 of 2 images is missing"),
    ],
)
def test_the_verdict_is_the_title(outcomes: tuple[PullOutcome, ...], words: str) -> None:
    """A tab and a heading say how the run went."""
    page = render(report()._replace(outcomes=outcomes))
    assert re.search(rf"<title>[✓✗] {words} · puller</title>", page)
    assert f"<h1>{words}</h1>" in page


def test_the_page_lets_nothing_in() -> None:
    """Only the page's own style and script may run, by their hashes, and no address leads out of it."""
    page = render(report())
    policy = unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0])
    assert policy.startswith("default-src 'none'; ")
    for element in ("style", "script"):
        (inside,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not re.findall(r'(?:src|href|action)="(?!#|data:image)', page)
    assert not re.findall(r'\s(?:on\w+|style)="', page)


def test_secrets_and_controls_stay_out() -> None:
    """An engine that prints a password or moves the cursor does neither on the page."""
    why = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, "\x1b[31mhttps://joe:hunter2@r.example/", "advice")
    page = render(report(outcome("nope", Status.FAILED, why=why), stopped="token=hunter2"))
    assert "hunter2" not in page
    assert "\x1b" not in page
