"""Waiting for an engine that has gone."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from puller.cancellation import Cancellation
from puller.errors import CancelledError
from puller.pull.context import Recovery


def waiting(*answers: bool, patience: float = 60.0) -> tuple[Recovery, list[str]]:
    """Make a wait for an engine that answers like this, the last answer for ever; and the list of complaints."""
    left, missed = list(answers), list[str]()
    return Recovery(lambda: left.pop(0) if len(left) > 1 else left[0], patience, lambda: missed.append("!")), missed


def test_an_engine_that_answers_is_not_waited_for() -> None:
    """Nobody is told anything."""
    engine, missed = waiting(True)
    assert not engine.missing()
    assert engine.comes_back(Cancellation())
    assert missed == []


def test_an_engine_that_comes_back_is_told_once() -> None:
    """However often it is looked for, one absence is one message; the next absence is another."""
    engine, missed = waiting(False, False, True, False, True)
    assert engine.comes_back(Cancellation())
    assert missed == ["!"]
    assert engine.comes_back(Cancellation())
    assert missed == ["!", "!"]


def test_patience_ends() -> None:
    """An engine that stays away is given up, and for all that ask after it at once."""
    engine, missed = waiting(False, patience=0.3)
    assert not engine.comes_back(Cancellation())
    assert engine.left == 0
    assert not engine.comes_back(Cancellation())
    assert missed == ["!"]


def test_a_run_that_is_stopped_waits_no_longer() -> None:
    """Ctrl-C while the engine is away ends the wait."""
    engine, _ = waiting(False)
    cancel = Cancellation()
    cancel.cancel("stop")
    with pytest.raises(CancelledError):
        engine.comes_back(cancel)


def test_all_who_waited_too_long_say_so() -> None:
    """The first to give the engine up ends the run; the others have lost the engine, too, and were not cancelled."""
    engine, _ = waiting(False, patience=0.3)
    cancel = Cancellation()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(engine.comes_back, cancel)
        assert not engine.comes_back(Cancellation())
        cancel.cancel("the engine is gone")
        assert not other.result()
