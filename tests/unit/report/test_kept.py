"""Failed images of which the engine has an image from before the run: no report calls them missing."""

import json
import re
from html import unescape

import pytest

from puller.cli.ci import github_errors
from puller.cli.progress.lines import json_line
from puller.errors import FailureKind
from puller.events import Finished
from puller.failure import failure
from puller.model import PullOutcome, RunDetails, Status
from puller.report import RENDERERS, text
from puller.report.json import report_of
from puller.report.words import KEPT
from tests.lab.samples import outcome, report, request


def kept(name: str = "a/kept:1", status: Status = Status.FAILED) -> PullOutcome:
    """End an image that the registry did not give, and that the engine has from before."""
    return outcome(name, status, why=failure(FailureKind.REGISTRY_5XX, "503 for you"))._replace(kept=True)


MISSING = kept("a/missing:1")._replace(kept=False)


@pytest.mark.parametrize(
    ("images", "verdict", "more", "command", "title"),
    [
        (
            [kept(), kept("b")],
            "0 of 2 images are up to date: 2 failed in 12s",
            "; 2 images from before the run are still present",
            "pulls the 2 images that are not updated; a retry may succeed",
            "2 of 2 images are not updated on vm",
        ),
        (
            [outcome(), kept(), MISSING],
            "1 of 3 images is up to date: 1 pulled, 2 failed in 12s",
            "; 1 image from before the run is still present",
            "pulls the 2 images that are missing or not updated; a retry may succeed",
            "2 of 3 images are missing or not updated on vm",
        ),
        (
            [kept(status=Status.CANCELLED)],
            "0 of 1 image is up to date: 1 cancelled in 12s",
            "; 1 image from before the run is still present",
            "pulls the 1 image that is not updated; a retry may succeed",
            "The image is not updated on vm",
        ),
        (
            [MISSING, outcome()],
            "1 of 2 images is present: 1 pulled, 1 failed in 12s",
            "",
            "pulls the 1 missing image; a retry may succeed",
            "1 of 2 images is missing on vm",
        ),
    ],
)
def test_a_summary_tells_missing_images_from_those_that_are_not_updated(
    images: list[PullOutcome], verdict: str, more: str, command: str, title: str
) -> None:
    """In the last lines of the text, the heading of the page, the Markdown and the list of failed images."""
    made = report(*images, seconds=12)._replace(details=RunDetails(host="vm", engine="engine 1"))
    lines = RENDERERS["text"](made).splitlines()
    assert f"{verdict}{more}" in lines
    assert any(line.endswith(f"# {command}") for line in lines)
    assert f"### puller: {verdict.partition(':')[0]}\n" in RENDERERS["markdown"](made)
    assert RENDERERS["failed"](made).startswith(f"# {verdict.partition(':')[0]}; ")
    page = RENDERERS["html"](made)
    assert f"<h1>{title}</h1>" in page
    assert (" missing" in unescape(re.sub("<[^>]+>", "", page.partition("<body>")[2]))) == ("missing" in title)


def test_each_report_names_the_images_that_are_not_updated() -> None:
    """Beside the reason, which stays as the engine wrote it; a live line and an annotation do likewise."""
    made = report(kept(), MISSING)
    assert f"    a/kept:1 ({KEPT})\n    a/missing:1\n" in text.render(made)
    assert f"  503 for you\n  {KEPT}\n  → " in text.render(report(kept()))
    assert f"  - `a/kept:1` ({KEPT})\n  - `a/missing:1`\n" in RENDERERS["markdown"](made)
    for kind in ("junit", "html"):
        assert RENDERERS[kind](made).lower().count(KEPT) == 1, kind
    assert [KEPT in line for line in github_errors(made)] == [True, False]
    line = json.loads(json_line(Finished(request("a/kept:1"), kept())))
    assert line["details"] == f"registry error (registry_5xx): 503 for you; {KEPT}"


def test_a_report_that_is_read_again_knows_them() -> None:
    """One of an earlier version, which does not have the key, has none."""
    document = RENDERERS["json"](report(kept(), MISSING))
    assert [each.kept for each in report_of(document).outcomes] == [True, False]
    older = json.loads(document)
    for image in older["images"]:
        del image["kept"]
    assert not any(each.kept for each in report_of(json.dumps(older)).outcomes)


@pytest.mark.parametrize(
    ("lists", "run", "command"),
    [
        (("la.txt",), "", "puller pull --failed la.txt"),
        (("my list.txt", "nginx"), "", "puller pull --failed 'my list.txt' nginx"),
        ((), "", "puller pull --failed"),
        (("la.txt",), "20261123T080000.000Z-1-1", "puller pull --failed=20261123T080000.000Z-1-1"),
    ],
)
@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_the_next_command_pulls_the_images_of_this_run(
    kind: str, lists: tuple[str, ...], run: str, command: str
) -> None:
    """It names the lists, quoted for the shell, or the run: the last run that failed may be that of another list."""
    made = report(MISSING)._replace(details=RunDetails(engine="engine 1", lists=lists))
    shown = unescape(re.sub("</?code[^>]*>|`", "", RENDERERS[kind](made, run=run)))
    assert re.search(rf"(?i)next:(</strong>)? {re.escape(command)}(,| +#| pulls)", shown)
