"""Checks side by side: a stable order, and an end whatever hangs or breaks."""

from collections.abc import Iterator
from threading import Event

from puller.doctor.checks import Check, run_checks
from puller.doctor.findings import Finding, Subject, Verdict, until_failed

ONE = Subject("one")
PATIENCE = 60.0


def test_what_hangs_is_left_and_what_it_found_is_kept() -> None:
    """A registry that never answers costs its own time limit and no other check; the order is that of the checks."""
    never, second = Event(), Event()

    def hangs() -> Iterator[Finding]:
        yield ONE.ok("dns", "found")
        never.wait()

    def slow() -> Iterator[Finding]:
        second.wait()
        yield Subject("two").ok("tcp", "connected")

    def quick() -> Iterator[Finding]:
        second.set()
        yield Subject("three").ok("tcp", "connected")

    found = run_checks(
        [Check("one", hangs, 0.2, "curl one"), Check("two", slow, PATIENCE), Check("three", quick, PATIENCE)]
    )
    assert [(each.subject, each.check, each.status.value) for each in found] == [
        ("one", "dns", "ok"),
        ("one", "answer", "failed"),
        ("two", "tcp", "ok"),
        ("three", "tcp", "ok"),
    ]
    assert (found[1].words, found[1].fix) == ("no answer within 0.2s", "curl one")
    never.set()


def test_a_check_that_breaks_is_a_finding() -> None:
    """Its reason is told, without control characters, and the other checks are made."""

    def breaks() -> list[Finding]:
        raise ValueError("odd\x1b[31m answer")

    broken, good = run_checks([Check("one", breaks, PATIENCE), Check("two", lambda: [ONE.ok("x", "y")], PATIENCE)])
    assert (broken.status, broken.words) == (Verdict.FAILED, "internal error in this check: ValueError: odd answer")
    assert good.status is Verdict.OK


def test_nothing_is_asked_after_a_failure() -> None:
    """Where a name does not resolve, nobody need hear that there is no connection, too."""
    steps = ([ONE.warning("a", "", "")], [ONE.failed("b", "", ""), ONE.ok("c", "")], [ONE.ok("d", "")])
    assert [each.check for each in until_failed(*steps)] == ["a", "b"]
