"""A run in which everything failed: the text names the first hundred failures and counts the rest."""

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
    assert sum(line.startswith("failed: a/b") for line in lines) == 100
    assert any("900 more" in line for line in lines)


def test_one_cause_of_many_images_names_a_hundred_of_them() -> None:
    """The cause is there once, with its advice."""
    why = classify("connection refused")
    lines = text.conclusion(report(*(outcome(f"a/b{number}:1", Status.FAILED, why=why) for number in range(1000))))
    assert lines.count("failed: a/b") == 100
    assert "900 more" in lines
