"""What CI systems obey: written as they document it, and never by a stranger."""

import re

import pytest
from hypothesis import given, strategies as st

from puller.cli import ci
from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, failure
from puller.model import PullOutcome, Status
from puller.report import RENDERERS
from tests.lab.samples import STARTED, outcome, report

ERROR = re.compile(r"::error title=([^:,\r\n]*)::([^\r\n]*)\n")


def obeyed(text: str) -> list[str]:
    """Give the lines that GitHub's runner would obey."""
    lines = re.split(r"[\r\n]", text)
    return [line for line in lines if line.strip().startswith("::") or "##[" in line]


def test_every_failure_is_an_error_with_cause_and_cure() -> None:
    """Title and message; a line break in a message is %0A."""
    why = failure(FailureKind.NOT_FOUND, "manifest unknown: 100%, really")
    (line,) = ci.github_errors(report(outcome(), outcome("a.io/b:1", Status.FAILED, why=why)))
    assert line == (
        "::error title=a.io/b%3A1%3A image or tag not found (not_found)::"
        "a.io/b:1: image or tag not found (not_found): manifest unknown: 100%25, really"
        f"%0A→ {why.advice.replace('%', '%25')}\n"
    )


def test_a_run_that_was_stopped_is_an_error_too() -> None:
    """No image failed, and yet somebody must look."""
    made = report(outcome(status=Status.CANCELLED), stopped="the engine does not answer")
    (line,) = ci.github_errors(made)
    assert line == "::error title=puller stopped::the engine does not answer\n"


def test_no_more_errors_than_github_shows() -> None:
    """Ten; where there are more, the last of them says how many."""
    ten = [*ci.github_errors(report(*(outcome(f"a:{n}", Status.FAILED) for n in range(10))))]
    forty = [*ci.github_errors(report(*(outcome(f"a:{n}", Status.FAILED) for n in range(40))))]
    assert (len(ten), len(forty)) == (10, 10)
    assert "a:9" in ten[-1]
    assert "31 more images failed" in forty[-1]


def test_markers_are_those_that_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """`::group::` and `::endgroup::`; `section_start` and `section_end` with one name, and the run's own times."""
    made = report(*[outcome()] * 3)
    for variable in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(variable, raising=False)
    assert ci.markers(made) == ("", "")
    monkeypatch.setenv("GITLAB_CI", "true")
    start = int(STARTED.timestamp())
    assert ci.markers(made) == (
        f"\x1b[0Ksection_start:{start}:puller_{start}[collapsed=true]\r\x1b[0K3 images\n",
        f"\x1b[0Ksection_end:{start + 12}:puller_{start}\r\x1b[0K\n",
    )
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert ci.markers(made) == ("::group::3 images\n", "::endgroup::\n")


@pytest.mark.parametrize(
    "text",
    [
        "::set-output name=x::y",
        "a\n::stop-commands::x",
        "a\n \t\u2003::add-mask::e",
        "a\r::error::x",
        "fine ##[add-mask]e",
        "###[group]x",
        ":::error::x",
        "\n\n::debug::x",
    ],
)
def test_what_would_be_obeyed_is_broken(text: str) -> None:
    """A space is all that it takes, and nothing else changes."""
    assert obeyed(text)
    assert not obeyed(ci.escaped(text))
    assert "".join(ci.escaped(text).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["", "a::b", "nginx:1.27", "# [x]", "std::cout << x\n", "[::1]:5000/x"])
def test_what_nobody_obeys_stays_as_it_is(text: str) -> None:
    """A registry on ::1 is a registry."""
    assert ci.escaped(text) == text


@pytest.mark.parametrize("kind", RENDERERS)
@given(words=st.text() | st.sampled_from(["##[add-mask]x", "::stop-commands::x", "\n::debug::"]))
def test_no_report_commands_a_runner(kind: str, words: str) -> None:
    """Whatever engines and lists say, only our own lines are commands, and each of them is whole."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, words, words)
    made = report(PullOutcome(words, (words,), Status.FAILED, digest=words, failure=reason), stopped=words)
    assert not obeyed(ci.escaped(RENDERERS[kind](made)))
    assert all(ERROR.fullmatch(line) for line in ci.github_errors(made))
