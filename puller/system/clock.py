"""The clock of time limits: it stands still while the process is stopped, as by SIGSTOP or with a suspended host."""

import os
import time
from threading import Lock, Thread

_BEAT = 0.5  # seconds between two readings, at most
_STOPPED = 2.0  # seconds without a reading after which the process was stopped, and not just slow


class _RunningTime:
    def __init__(self) -> None:
        self._lost, self._last, self._beats = 0.0, 0.0, False
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._reset)

    def __call__(self) -> float:
        """Return seconds as `time.monotonic` does, without those in which the process was stopped."""
        with self._lock:
            now = time.monotonic()
            if self._beats and now - self._last > _STOPPED:
                self._lost += now - self._last
            self._last = now
            self._beats = self._beats or self._start()
            return now - self._lost

    def _reset(self) -> None:
        """Forget the thread, which a fork does not copy."""
        self._lock, self._beats = Lock(), False

    def _start(self) -> bool:
        try:
            Thread(target=self._beat, name="clock", daemon=True).start()
        except RuntimeError:  # no more threads: without regular readings, all time counts
            return False
        return True

    def _beat(self) -> None:
        while True:
            time.sleep(_BEAT)
            self()


monotonic = _RunningTime()
