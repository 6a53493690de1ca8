"""The page in a browser: folding, search, keyboard, hostile words, contrast, paper."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure
from puller.model import PullOutcome, Report, RunDetails, Status
from puller.report.html import render
from tests.lab.browser import Opened, chromium
from tests.lab.realistic import crowd, realistic
from tests.lab.samples import STARTED, every_status, outcome, report

DETAILS = RunDetails("build-7", "engine 28.5.2", ("images.txt",), "puller pull images.txt -j 4", "1.2.3", 1)
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


LOW_CONTRAST = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (color) => numbers(color).slice(0, 3).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (each) => {
        const color = getComputedStyle(each).backgroundColor;
        return (numbers(color)[3] ?? 1) ? color : ground(each.parentElement);
    };
    return [...document.querySelectorAll("body *")]
        .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
        .filter((each) => each.checkVisibility() && !each.matches("option, title, .skip"))
        .map((each) => {
            const { color, fill } = getComputedStyle(each);
            const ink = each.matches("text") ? fill : color;
            const [dark, bright] = [light(ink), light(ground(each))].sort((one, other) => one - other);
            return [(bright + 0.05) / (dark + 0.05), each.className, each.textContent.slice(0, 40)];
        })
        .filter(([ratio]) => ratio < 4.5);
}"""
"""Texts that are hard to read, each with its contrast."""

COVERED = """() => [...document.querySelectorAll("li details > summary")].filter((row) => {
    const [name, bar, result, bytes, took] = [...row.children].map((each) => each.getBoundingClientRect());
    const apart = name.right <= bar.left && bar.right <= result.left && result.right <= bytes.left;
    const inside = [name, bar].every((each) => each.top >= row.getBoundingClientRect().top - 5);
    return !(apart && inside && bytes.width > 30 && bytes.right <= took.left && took.right <= innerWidth);
}).length"""
"""The number of rows in which a bar lies on a name or another row, or a column is missing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for all pages."""
    with chromium() as browser:
        yield browser


def opened(browser: Browser, folder: Path, what: Report, **options: Any) -> Opened:
    """Write a report and open it."""
    path = folder / "report.html"
    path.write_text(render(what))
    return Opened(browser, path, **options)


def test_filter_and_sort(browser: Browser, tmp_path: Path) -> None:
    """Words and statuses choose rows, in any combination; rows and registries are sorted; Escape shows all again."""
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
        it.sort("slowest first")
        lane = it.page.locator(".lane").filter(has_text="registry.acme.example")
        assert lane.locator(".name").filter(visible=True).all_inner_texts()[:2] == [
            "data/warehouse:2026.11",
            "shop/worker:1.14.2",
        ]
        it.sort("failed first")
        assert it.shown[0] == "acme/intranet:2024"
        it.sort("largest first")
        assert it.shown[0] == "fluxcd/source-controller:v1.4.1"
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


def test_many_images_are_folded(browser: Browser, tmp_path: Path) -> None:
    """A long run shows a line for each registry and what is missing; a click, a search or an order shows the rest."""
    trouble = [outcome(f"docker.io/a/nope:{n}", Status.FAILED) for n in range(3)]
    with opened(browser, tmp_path, report(*trouble, *crowd(200).outcomes)) as it:
        assert it.shown == ["a/nope:0", "a/nope:1", "a/nope:2"]
        docker, ghcr = it.page.locator(".lane").all()
        assert re.search("103 images, 3 missing, .*GB at .*MB/s, slowest team", docker.inner_text())
        ghcr.get_by_role("button", name="ghcr.io").press("Enter")
        assert len(it.shown) == 103
        ghcr.get_by_text("100 images").click()
        assert len(it.shown) == 3
        docker.locator("a").first.click()
        assert len(it.shown) == 103
        it.find("app77:1.0")
        assert it.shown == ["team37/app77:1.0"] * 2
    path = tmp_path / "report.html"
    with Opened(browser, path, java_script_enabled=False) as it:
        assert len(it.shown) == 203


def test_everything_can_be_read(browser: Browser, tmp_path: Path) -> None:
    """Every text contrasts with its background as WCAG asks, in both designs and on paper."""
    outcomes = (*realistic().outcomes, *every_status())
    full = Report(STARTED, 20.0, outcomes, "interrupted", DETAILS)
    for options in ({"color_scheme": "light"}, {"color_scheme": "dark"}):
        with opened(browser, tmp_path, full, **options) as it:
            assert it.page.evaluate(LOW_CONTRAST) == []
            it.page.emulate_media(media="print")
            assert it.page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("width", [718, 740, 1047])
def test_the_page_is_readable_on_paper(browser: Browser, tmp_path: Path, width: int) -> None:
    """A4 and Letter, upright or not: rows do not overlap, and no column is missing."""
    long = outcome("registry.example.com/" + "a-very-long-name/" * 9 + "image:1.0")
    with opened(browser, tmp_path, report(*realistic().outcomes, long), viewport={"width": width, "height": 900}) as it:
        it.page.emulate_media(media="print")
        assert it.page.evaluate(COVERED) == 0
        assert it.page.locator(".axis").get_by_text("fetched").is_visible()
        assert it.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("number", "megabytes"), [(60, 0.5), (500, 4)])
def test_the_page_is_small_as_a_pdf(browser: Browser, tmp_path: Path, number: int, megabytes: float) -> None:
    """A printed page can be mailed: no browser makes pictures of its bars. It has all images, also the folded ones."""
    full = (*realistic().outcomes, *crowd(number - 26).outcomes)
    with opened(browser, tmp_path, Report(STARTED, 200.0, full, details=DETAILS)) as it:
        assert len(it.page.pdf(format="A4")) < megabytes * 1e6
        it.page.emulate_media(media="print")
        assert len(it.shown) == number


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
    """On a phone as on a desk nobody has to scroll sideways, however long a name is, and its tag can be seen."""
    path = tmp_path / "report.html"
    long = "registry.example.com:5000/" + "a-very-long-name/" * 9 + "image@sha256:" + "ab" * 32
    tagged = outcome("registry.example.com/" + "a-very-long-name/" * 9 + "image:2026.11")
    path.write_text(render(report(*every_status(), outcome(long), tagged, outcome("x" * 200, Status.FAILED))))
    with Opened(browser, path, viewport={"width": width, "height": 800}) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") == width
        name = it.page.locator(".name").filter(has_text=":2026.11")
        assert name.evaluate(
            """(name) => {
                const tag = document.createRange();
                tag.selectNode(name.lastChild);
                const [all, seen] = [name, tag].map((each) => each.getBoundingClientRect());
                return tag.toString() === ":2026.11" && seen.width > 30 && seen.right <= all.right;
            }"""
        )


def test_two_thousand_images(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A long list opens, is filtered and sorted while somebody waits; how fast is printed."""
    with opened(browser, tmp_path, crowd(2000)) as it:
        assert it.rows.count() == 2000
        figures = it.page.evaluate(TIMED)
    size = (tmp_path / "report.html").stat().st_size / 1e6
    words = "open in {:.0f} ms, filtered in {:.0f} ms, shown again in {:.0f} ms, sorted in {:.0f} ms".format(*figures)
    with capsys.disabled():
        print(f"\n2,000 images, {size:.1f} MB: {words}")  # noqa: T201 - a figure that somebody wants to see
