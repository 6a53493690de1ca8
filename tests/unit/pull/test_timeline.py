"""What an attempt spends its time on, as the report tells it."""

from itertools import count, pairwise

from puller.events import Phase
from puller.model import Span
from puller.pull.attempt import Timeline


def test_phases_follow_each_other_without_a_gap() -> None:
    """A phase lasts from its first mention to that of another; the first is resolving."""
    seconds = iter((100.0, 101.0, 104.0, 110.0))
    timeline = Timeline(lambda: next(seconds))
    for phase, fetched in (
        (Phase.RESOLVING, 0),
        (Phase.DOWNLOADING, 10),
        (Phase.DOWNLOADING, 80),
        (Phase.EXTRACTING, 0),
    ):
        timeline.record(phase, fetched)
    assert timeline.phases() == (
        Span("resolving", 0.0, 1.0),
        Span("downloading", 1.0, 3.0),
        Span("extracting", 4.0, 6.0),
    )
    assert timeline.bytes == 90


def test_bytes_never_shrink() -> None:
    """An engine that begins a layer again has not fetched less."""
    timeline = Timeline()
    for new in (50, 20, -50):
        timeline.record(Phase.DOWNLOADING, new)
    assert timeline.bytes == 70


def test_an_engine_that_cannot_make_up_its_mind_does_not_fill_the_report() -> None:
    """Ten thousand changes of phase are a hundred, and still reach to the end."""
    ticks = count()
    timeline = Timeline(lambda: float(next(ticks)))
    for _ in range(5000):
        timeline.record(Phase.DOWNLOADING, 0)
        timeline.record(Phase.EXTRACTING, 0)
    phases = timeline.phases()
    assert len(phases) == 101
    assert all(one.started + one.seconds == other.started for one, other in pairwise(phases))
