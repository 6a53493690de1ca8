"""A run in which everything failed: the text names the first hundred failures and counts the rest."""

from datetime import UTC, datetime, timedelta

from puller.failure import classify
from puller.model import Status
from puller.report import text
from tests.lab.samples import outcome, report


def test_the_words_about_failures_are_bounded() -> None:
    """Every image is in the other reports, and in the table."""
    failures = [
        outcome(f"a/b{number}:1", Status.FAILED, why=classify(f"manifest for a/b{number}:1 not found"))
        for number in range(1000)
    ]
    lines = text.conclusion(report(*failures)).splitlines()
    assert len(lines) < 500
    assert sum(line.startswith("    a/b") for line in lines) == 100
    assert any("900 more" in line for line in lines)


def test_one_cause_of_many_images_names_a_hundred_of_them() -> None:
    """The cause is there once, with its advice."""
    why = classify("connection refused")
    lines = text.conclusion(report(*(outcome(f"a/b{number}:1", Status.FAILED, why=why) for number in range(1000))))
    assert lines.count("\n    a/b") == 100
    assert "900 more" in lines


def test_a_terminal_that_has_shown_each_image_gets_ten_names_of_a_cause() -> None:
    """The rest is counted."""
    why = classify("connection refused")
    made = report(*(outcome(f"a/b{number}:1", Status.FAILED, why=why) for number in range(1000)))
    lines = text.conclusion(made, brief=True)
    assert lines.count("\n    a/b") == 10
    assert "990 more" in lines


def test_a_rate_limit_with_several_ends_is_one_cause() -> None:
    """The last end counts."""
    start = datetime(2026, 11, 23, tzinfo=UTC)
    failures = [
        outcome(f"a/b{n}:1", Status.FAILED, why=classify("toomanyrequests")._replace(until=start + timedelta(hours=n)))
        for n in range(20)
    ]
    lines = text.conclusion(report(*failures)).splitlines()
    assert lines[0] == "failed: 20 images: rate limited (rate_limited)"
    assert "  → A retry may succeed at 2026-11-23T19:00:00Z." in lines


def test_the_number_of_causes_is_bounded() -> None:
    """Images that failed for the hundred-and-first reason are counted."""
    failures = [
        outcome(f"a/b{n}:1", Status.FAILED, why=classify("connection refused")._replace(advice=f"Try {n}."))
        for n in range(300)
    ]
    lines = text.conclusion(report(*failures))
    assert lines.count("failed: a/b") == 100
    assert "failed: 200 images more for other reasons" in lines
