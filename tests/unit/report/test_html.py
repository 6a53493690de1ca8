"""The report as a page: what it says without a browser, and what it does in one."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, classify, failure
from puller.model import Attempt, PullOutcome, Report, Span, Status
from puller.report.html import render
from puller.report.html.timeline import Part, parts_of
from puller.report.html.view import View
from tests.lab.browser import Opened, chromium
from tests.lab.realistic import crowd, realistic
from tests.lab.samples import every_status, outcome, report

RESET = classify("read: connection reset by peer")
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    '"><svg onload=alert(1)>',
    "'-alert(1)-'</title></style></script><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}${alert(1)}`docker <b>login</b>`",
    "javascript:alert(1)",
)

TIMED = """() => {
    const tell = (id, value) => {
        const began = performance.now(), what = document.getElementById(id);
        what.value = value;
        what.dispatchEvent(new Event("input", { bubbles: true }));
        document.body.getBoundingClientRect();
        return performance.now() - began;
    };
    const { loadEventEnd } = performance.getEntriesByType("navigation")[0];
    return [loadEventEnd, tell("find", "app7"), tell("find", ""), tell("sort", "seconds")];
}"""
"""Milliseconds from the click on the file to the end of loading, and of three things that somebody may do then."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for all pages."""
    with chromium() as browser:
        yield browser


def opened(browser: Browser, folder: Path, what: Report) -> Opened:
    """Write a report and open it."""
    path = folder / "report.html"
    path.write_text(render(what))
    return Opened(browser, path)


def image(*attempts: Attempt, began: float = 2.0, seconds: float = 9.0, status: Status = Status.PULLED) -> PullOutcome:
    """End an image after these attempts."""
    return replace(outcome(status=status), attempts=attempts, began=began, seconds=seconds)


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
    ticks = [tick for _, tick in View(replace(report(), outcomes=(), seconds=seconds)).ticks]
    assert " ".join(ticks).startswith(words)
    assert len(ticks) < 10


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
    page = render(replace(report(), outcomes=outcomes))
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


def test_filter_and_sort(browser: Browser, tmp_path: Path) -> None:
    """Words and statuses choose rows, in any combination; each lane is sorted; Escape shows all again."""
    with opened(browser, tmp_path, realistic()) as it:
        everything, shown = it.shown, it.page.locator("#shown")
        assert len(everything) == 26
        it.find("acme 503")
        assert it.shown == ["shop/worker:1.14.2", "data/warehouse:2026.11"]
        assert shown.inner_text() == "2 of 26 images"
        it.page.get_by_label("pulled").uncheck()
        assert it.shown == ["data/warehouse:2026.11"]
        assert it.page.locator(".lane").filter(visible=True).count() == 1
        it.find("no such thing")
        assert it.page.get_by_text("No image matches.").is_visible()
        it.page.get_by_label("Find").press("Escape")
        assert it.shown == everything

        it.page.get_by_label("up to date").uncheck()
        it.sort("duration")
        lane = it.page.locator(".lane").filter(has_text="registry.acme.example")
        assert lane.locator(".name").filter(visible=True).all_inner_texts()[:2] == [
            "data/warehouse:2026.11",
            "shop/worker:1.14.2",
        ]
        it.sort("status")
        assert it.shown[0] == "acme/intranet:2024"
        it.sort("size")
        assert it.shown[0] == "prom/prometheus:v2.55.0"
        it.sort("list order")
        it.page.get_by_label("up to date").check()
        assert it.shown == everything


def test_the_keyboard_is_enough(browser: Browser, tmp_path: Path) -> None:
    """A cause leads to its row, opened; arrows go on from there, and Enter tells all about the next image."""
    with opened(browser, tmp_path, realistic()) as it:
        it.find("nginx")
        link = it.page.get_by_role("link", name="quay.io/jetstack/trust-manager:v0.12")
        link.focus()
        it.page.keyboard.press("Enter")
        row = it.row("jetstack/trust-manager:v0.12")
        assert row.get_by_text("Attempt 1 at").is_visible()
        it.page.keyboard.press("ArrowUp")
        it.page.keyboard.press("Enter")
        assert it.row("keycloak/keycloak:26.0").get_by_text("Attempt 1 at").is_visible()


def test_hostile_words_stay_words(browser: Browser, tmp_path: Path) -> None:
    """A name or a message that holds a script is shown as it is, in causes and rows, and does nothing."""
    bad = [
        PullOutcome(
            words,
            (words,),
            Status.FAILED,
            failure=Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, words, words),
        )
        for words in HOSTILE
    ]
    with opened(browser, tmp_path, report(*bad, stopped=HOSTILE[0])) as it:
        assert it.shown == list(HOSTILE)
        assert it.page.locator(".cause .message").all_inner_texts() == list(HOSTILE)
        for words in HOSTILE:
            it.find(words.split()[0])
            it.page.get_by_role("link", name=words, exact=True).click()
        assert it.page.title() == "✗ 6 of 6 images are missing · puller"
        assert it.page.locator("script").count() == 1
        assert it.page.locator("img, svg[onload], b").count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out(browser: Browser, tmp_path: Path, width: int) -> None:
    """On a phone as on a desk nobody has to scroll sideways, however long a name is."""
    path = tmp_path / "report.html"
    long = "registry.example.com:5000/" + "a-very-long-name/" * 9 + "image@sha256:" + "ab" * 32
    path.write_text(render(report(*every_status(), outcome(long), outcome("x" * 200, Status.FAILED))))
    with Opened(browser, path, viewport={"width": width, "height": 800}) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") == width


def test_two_thousand_images(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A long list opens, is filtered and sorted while somebody waits; how fast is printed."""
    with opened(browser, tmp_path, crowd(2000)) as it:
        assert it.rows.count() == 2000
        figures = it.page.evaluate(TIMED)
    size = (tmp_path / "report.html").stat().st_size / 1e6
    words = "open in {:.0f} ms, filtered in {:.0f} ms, shown again in {:.0f} ms, sorted in {:.0f} ms".format(*figures)
    with capsys.disabled():
        print(f"\n2,000 images, {size:.1f} MB: {words}")  # noqa: T201 - a figure that somebody wants to see
