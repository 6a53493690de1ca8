"""Stopping a run: once, for good, and at once."""

import signal
import threading

import pytest

from puller.cancellation import Cancellation, interruptible
from puller.errors import CancelledError


def test_a_run_goes_on_until_it_is_told_to_stop() -> None:
    """Nothing is cancelled by itself."""
    cancel = Cancellation()
    cancel.check()
    assert not cancel.requested
    assert cancel.reason == ""


def test_the_first_reason_stays() -> None:
    """A report says what stopped the run, not what came after it."""
    cancel = Cancellation()
    cancel.cancel("interrupted by SIGTERM")
    cancel.cancel("disk full")
    assert cancel.requested
    assert cancel.reason == "interrupted by SIGTERM"
    with pytest.raises(CancelledError, match="SIGTERM"):
        cancel.check()


def test_a_sleeper_wakes_up() -> None:
    """A wait of an hour ends when the run is stopped from another thread."""
    cancel = Cancellation()
    threading.Timer(0.01, cancel.cancel, ("enough",)).start()
    with pytest.raises(CancelledError, match="enough"):
        cancel.sleep(3600)


def test_a_sleep_that_is_over_is_just_over() -> None:
    """Nothing is raised when nobody stopped the run."""
    Cancellation().sleep(0)


def test_every_hook_runs_though_one_fails() -> None:
    """A connection that is gone already does not keep the others from being broken off."""
    cancel, seen = Cancellation(), []

    def broken() -> None:
        seen.append("broken")
        raise OSError("already closed")

    with cancel.hook(broken), cancel.hook(lambda: seen.append("whole")):
        cancel.cancel("stop")
    assert seen == ["broken", "whole"]


def test_a_hook_that_comes_too_late_runs_at_once() -> None:
    """A pull that begins while the run is being stopped is stopped, too."""
    cancel, seen = Cancellation(), []
    cancel.cancel("stop")
    with cancel.hook(lambda: seen.append(1)):
        assert seen == [1]


def test_a_hook_is_gone_after_its_block() -> None:
    """What has ended is not stopped any more."""
    cancel, seen = Cancellation(), []
    with cancel.hook(lambda: seen.append(1)):
        pass
    cancel.cancel("stop")
    assert seen == []


def test_many_threads_may_cancel_at_once() -> None:
    """Each hook runs once, and one reason wins."""
    cancel, seen, barrier = Cancellation(), [], threading.Barrier(8)

    def stop(number: int) -> None:
        barrier.wait()
        cancel.cancel(f"reason {number}")

    with cancel.hook(lambda: seen.append(1)):
        threads = [threading.Thread(target=stop, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [1]
    assert cancel.reason.startswith("reason ")


def test_a_child_is_cancelled_with_its_parent() -> None:
    """With the parent's reason, and so are its own children; whatever waits below wakes up."""
    root = Cancellation()
    child = Cancellation(root)
    grandchild = Cancellation(child)
    threading.Timer(0.01, root.cancel, ("interrupted by SIGINT",)).start()
    with pytest.raises(CancelledError, match="SIGINT"):
        grandchild.sleep(3600)
    assert child.reason == grandchild.reason == "interrupted by SIGINT"


def test_a_parent_and_its_other_children_outlive_a_child() -> None:
    """A full disk on one host ends what is done there, and nothing else."""
    root = Cancellation()
    one, other = Cancellation(root), Cancellation(root)
    one.cancel("disk full")
    assert (one.requested, other.requested, root.requested) == (True, False, False)
    root.cancel("interrupted")
    assert (one.reason, other.reason) == ("disk full", "interrupted")


def test_a_child_that_comes_too_late_is_cancelled_at_once() -> None:
    """Nothing begins below what has been stopped."""
    root = Cancellation()
    root.cancel("too late")
    assert Cancellation(root).reason == "too late"


def test_work_that_is_interrupted_is_cancelled_and_waited_for() -> None:
    """A KeyboardInterrupt of the waiting thread tears nothing apart: the work ends as its cancellation has it."""
    cancel, begun = Cancellation(), threading.Event()

    def work() -> str:
        begun.set()
        with pytest.raises(CancelledError):
            cancel.sleep(60)
        return cancel.reason

    def interrupt() -> None:
        begun.wait(60)
        main = threading.main_thread().ident
        assert main
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert interruptible(work, cancel) == "interrupted"


def test_what_the_work_raises_is_raised() -> None:
    """As if it had been done in the same thread."""

    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        interruptible(work, Cancellation())
