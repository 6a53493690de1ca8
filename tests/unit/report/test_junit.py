"""The JUnit report, as somebody else's parser reads it."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st
from junitparser import Error, Failure as JUnitFailure, JUnitXml, Skipped, TestCase as Case

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, failure
from puller.model import PullOutcome, Report, Status
from puller.report import RENDERERS, junit
from tests.lab.samples import outcome, report


def suites(made: Report, *, skip: bool = False) -> JUnitXml:
    """Render and read back."""
    return JUnitXml.fromroot(JUnitXml.fromstring(junit.render(made, skip_up_to_date=skip).encode())._elem)


def cases(made: Report, *, skip: bool = False) -> list[Case]:
    """Give the test cases."""
    return [case for suite in suites(made, skip=skip) for case in suite]


def test_every_image_is_a_case_of_its_registry() -> None:
    """GitLab shows the class name as the suite: images stand under their registry, by the name in the list."""
    found = cases(report(outcome("nginx:1.27"), outcome("ghcr.io/a/b", platform="linux/arm64", seconds=1.25)))
    assert [(case.classname, case.name, case.time) for case in found] == [
        ("docker.io", "nginx:1.27", 4.2),
        ("ghcr.io", "ghcr.io/a/b (linux/arm64)", 1.25),
    ]
    assert all(case.is_passed for case in found)


def test_a_failure_has_its_kind_its_cause_and_its_cure() -> None:
    """The text alone says all: GitLab shows nothing else."""
    until = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    why = Failure(FailureKind.RATE_LIMITED, FailureClass.RATE_LIMITED, "too <many>", "Log in.", 5.0, until)
    ((result,),) = (case.result for case in cases(report(outcome(status=Status.FAILED, why=why))))
    assert isinstance(result, JUnitFailure)
    assert (result.type, result.message) == ("rate_limited", "too <many>")
    assert (
        result.text == "rate limited (rate_limited): too <many>\nLog in.\nA retry may succeed at 2026-11-23T09:00:00Z."
    )


def test_a_cancelled_image_is_an_error_and_never_a_skipped_test() -> None:
    """Skipped tests leave a pipeline green, and the image is not there."""
    for skip in (False, True):
        ((result,),) = (case.result for case in cases(report(outcome(status=Status.CANCELLED)), skip=skip))
        assert isinstance(result, Error)
        assert (result.type, result.message) == ("cancelled", "interrupted")


@pytest.mark.parametrize(("status", "message"), [(Status.UP_TO_DATE, "up to date"), (Status.PRESENT, "present")])
def test_what_needed_no_pull_is_skipped_on_request(status: Status, message: str) -> None:
    """It passed, unless somebody wants to see what was pulled."""
    (passed,) = cases(report(outcome(status=status)))
    assert passed.is_passed
    ((result,),) = (case.result for case in cases(report(outcome(status=status)), skip=True))
    assert isinstance(result, Skipped)
    assert result.message == message


def test_the_counts_are_those_of_the_cases() -> None:
    """What a summary shows is what the list shows; a pulled image is never skipped."""
    found = suites(report(seconds=12.3456), skip=True)
    (suite,) = found
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 2)
    assert (found.tests, found.failures, found.errors, found.time) == (5, 1, 1, 12.346)
    assert (suite.timestamp, suite.time) == ("2026-11-23T08:00:00", 12.346)
    suite.update_statistics()  # type: ignore[no-untyped-call]
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 2)


def test_no_two_cases_have_one_name() -> None:
    """GitLab drops the second of two: a bad line may stand in a list twice."""
    why = failure(FailureKind.BAD_REFERENCE, "a.txt:3: no")
    bad = PullOutcome("A b", ("A b",), Status.FAILED, failure=why)
    assert [(case.classname, case.name) for case in cases(report(bad, bad))] == [
        ("image list", "A b"),
        ("image list", "A b (2)"),
    ]


def test_a_report_without_images_is_still_one() -> None:
    """An empty list gives an empty suite, not a broken file."""
    (suite,) = suites(Report(datetime(2026, 11, 23, tzinfo=UTC), 0.0, ()))
    assert suite.tests == 0


@given(words=st.text(), why=st.text())
def test_no_words_break_the_xml(words: str, why: str) -> None:
    """Whatever engines and lists say, a parser reads it."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, why, why)
    odd = PullOutcome(words, (words,), Status.FAILED, failure=reason)
    (case,) = cases(report(odd))
    assert case.result


def test_what_xml_cannot_hold_is_replaced() -> None:
    """U+FFFE and U+FFFF are no characters for XML, not even escaped."""
    odd = outcome(status=Status.FAILED, why=failure(FailureKind.IO_ERROR, "a\uffffb]]>"))
    rendered = RENDERERS["junit"](report(odd))
    assert JUnitXml.fromfile(io.BytesIO(rendered.encode()))
    assert "a\ufffdb]]&gt;" in rendered
