"""The Markdown report, as it is rendered."""

import html
import re

import pytest
from hypothesis import given, strategies as st
from markdown_it import MarkdownIt

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure
from puller.failure.kinds import KINDS
from puller.model import PullOutcome, Report, Status
from puller.report import LARGEST_SUMMARY, markdown
from tests.lab.samples import outcome, report

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = {
    *["h3", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"],
}


def page(made: Report, limit: int = LARGEST_SUMMARY) -> str:
    """Render the Markdown as HTML."""
    return str(GFM.render(markdown.render(made, limit=limit)))


def shown(page: str) -> str:
    """Give what a reader sees."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def hostile(text: str) -> Report:
    """Make a run in which everything foreign says the same."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, text, text)
    failed = PullOutcome(text, (text,), Status.FAILED, digest=f"sha256:{text}", failure=reason)
    cancelled = PullOutcome(text, (text,), Status.CANCELLED, failure=reason)
    return report(failed, cancelled, stopped=text)


def test_the_verdict_comes_first_then_failures_then_the_table() -> None:
    """Whoever reads three lines knows what to do."""
    made = markdown.render(report(outcome(), outcome("nope", Status.FAILED, seconds=0.2), seconds=12))
    assert made == (
        "### puller: 1 of 2 images is present\n"
        "\n"
        "1 pulled, 1 failed in 12s\n"
        "\n"
        "- **failed:** `nope`: image or tag not found (`not_found`): manifest unknown"
        f" → {KINDS[FailureKind.NOT_FOUND].advice}\n"
        "\n"
        "Next: `puller pull --failed`, `puller explain not_found`\n"
        "\n"
        "| status | image | digest | fetched | attempts | took |\n"
        "| --- | --- | --- | ---: | ---: | ---: |\n"
        "| pulled | `nginx:1.27` | `0123456789ab` |  | 1 | 4.2s |\n"
        "| **failed** | `nope` |  |  | 1 | 0.2s |\n"
    )


def test_a_stopped_run_says_so() -> None:
    """Why, and how many were cancelled."""
    made = page(report(*(outcome(f"a:{n}", Status.CANCELLED) for n in range(3)), stopped="interrupted by SIGINT"))
    assert "<strong>stopped: interrupted (Ctrl-C)</strong>" in made
    assert "<strong>interrupted: 3 images not pulled</strong>" in made


def test_what_rests_on_the_word_of_a_mirror_is_said() -> None:
    """The summary hides nothing that the log tells."""
    made = page(report(outcome()._replace(mirror="m.example/hub", confirmed=False)))
    assert "<p>mirror m.example/hub: 1 image, 1 not confirmed: the registry itself did not answer</p>" in made


def test_a_long_table_is_folded_and_failures_are_not() -> None:
    """Forty rows are behind a click; what failed is before it."""
    made = page(report(*(outcome(f"a:{n}", Status.FAILED if n == 30 else Status.PULLED) for n in range(40))))
    top, _, folded = made.partition("<details>")
    assert "a:30" in top
    assert folded.count("<tr>") == 41
    assert "<details>" not in page(report())


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "a \\| b",
        "`code` ``",
        "<script>alert(1)</script><img src=x>",
        "&lt;b&gt; &#60;",
        "**bold** _it_ ~~no~~ $x$",
        "[link](http://evil.example) ![pic](x) https://evil.example www.evil.example",
        "@someone #12 </details></td></table>",
        "line\n# heading\n| a |\n```\n",
        "- item\n> quote",
    ],
)
def test_foreign_words_stay_words(text: str) -> None:
    """Pipes, backticks, HTML and line breaks neither end a cell nor begin anything."""
    made = page(hostile(text))
    assert {tag.lower() for tag in re.findall(r"</?([a-zA-Z0-9]+)", made)} <= OURS
    assert made.count("<td>") + made.count("<td ") == 12
    assert shown(made).count(" ".join(text.split())) >= 5


def test_nobody_is_mentioned_and_nothing_is_linked() -> None:
    """What GitHub would make of bare words, too, is spelled so that it makes nothing of it."""
    made = markdown.render(hostile("@octocat #12 https://evil.example www.evil.example GH_x"))
    assert not re.search(r"@octocat|#12(?!\d*;)|https://|www\.", made)


@given(words=st.text())
def test_no_words_add_a_tag(words: str) -> None:
    """Whatever engines and lists say, the page has the tags that it is made of."""
    made = page(hostile(words))
    assert {tag.lower() for tag in re.findall(r"<([a-zA-Z0-9]+)", made)} <= OURS
    assert made.count("<tr>") == 3


def test_what_does_not_fit_is_counted() -> None:
    """GitHub shows nothing of a summary above 1 MiB: failures come first, and the rest is a number."""
    many = [outcome()._replace(requested=("x" * 900,))] * 1500
    broken = [
        outcome(
            f"b:{n}", Status.FAILED, why=Failure(FailureKind.IO_ERROR, FailureClass.TRANSIENT, f"{n}|" * 900, f"x{n}")
        )
        for n in range(300)
    ]
    made = markdown.render(report(*many, *broken))
    assert len(made.encode()) <= 1024 * 1024
    causes = re.search(r"… and (\d+) more causes", made)
    images = re.search(r"… and (\d+) more images", made)
    assert causes
    assert images
    assert made.count("**failed:**") + int(causes[1]) == 300
    assert len(re.findall(r"^\| (?:pulled|\*\*failed)", made, re.MULTILINE)) + int(images[1]) == 1800
    assert made.endswith("</details>\n")


def test_one_cause_of_very_many_names_a_hundred() -> None:
    """The table has the others."""
    made = markdown.render(report(*(outcome(f"b:{n}", Status.FAILED) for n in range(250))))
    assert made.count("\n  - `b:") == 100
    assert "  - … and 150 more\n" in made
    assert made.count("manifest unknown") == 1
