"""Ctrl-Z: what a display does before the process stops, and when it goes on."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def suspendable(stop: Callable[[], object], go_on: Callable[[], object]) -> Iterator[None]:
    """Call `stop` before SIGTSTP stops the process in the block, and `go_on` once SIGCONT has let it go on.

    Both are called in the main thread; in any other thread, and where SIGTSTP is ignored, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
        yield
        return

    def handle(*_: object) -> None:
        stop()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)  # this thread, so that it stops here
        if not ended:
            signal.signal(signal.SIGTSTP, handle)
            go_on()

    ended = False
    signal.signal(signal.SIGTSTP, handle)
    try:
        yield
    finally:
        ended = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
