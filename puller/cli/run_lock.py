"""The lock that a run has on its engine, and a random wait before it: no second run goes on beside it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import click

from puller.errors import EngineBusyError
from puller.settings import Policy
from puller.system.run_lock import RunLock
from puller.text import clean, format_seconds, shorten

_TICK = 0.25
"""Seconds between two looks at a lock that another run holds."""
_DOING = 200


@dataclass(frozen=True, slots=True)
class RunLockSettings:
    """What a run does for the sake of other runs."""

    jitter: float
    """Seconds: the longest random wait before the run."""
    lock: bool
    """Whether it wants the engine for itself."""
    lock_wait: float
    """Seconds that it waits for a run that is there already."""
    quiet: bool
    verbose: int

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Take them from the options of a verb that has `LOCK_OPTIONS`; who changes nothing disturbs nobody."""
        idle = options.get("policy") == Policy.NEVER or options.get("dry_run", False)
        lock = not (options["no_lock"] or idle)
        quiet, verbose = options.get("quiet", False), options.get("verbose", 0)
        return cls(options.get("jitter", 0.0), lock, options["lock_wait"], quiet, verbose)


class EngineLock:
    """A run's lock on its engine: `take` waits for it, the end of the block releases it. A signal ends any wait."""

    def __init__(self, settings: RunLockSettings, *names: str) -> None:
        """Take the names of what the run is about, such as its lists: who finds the engine held is told them."""
        self._settings = settings
        self._doing = shorten(" ".join(("puller", *names)), _DOING)
        self._lock: RunLock | None = None

    def __enter__(self) -> Self:
        """Take nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what was taken."""
        if self._lock:
            self._lock.release()

    def take(self, engine: str) -> None:
        """Wait, and lock the engine with this identity; raises EngineBusyError when another run keeps it too long."""
        if self._settings.jitter:
            from random import SystemRandom  # noqa: PLC0415 - few want to wait

            seconds = SystemRandom().uniform(0, self._settings.jitter)
            self._tell(f"begins in {format_seconds(seconds)} (--jitter)")
            time.sleep(seconds)
        if self._settings.lock:
            try:
                self._lock_or_wait(engine)
            except OSError as error:
                self._tell(f"goes on without a lock: {error}", loud=False)

    def _lock_or_wait(self, engine: str) -> None:
        self._lock = RunLock(engine)
        ends, told = time.monotonic() + self._settings.lock_wait, False
        while holder := self._lock.take(self._doing):
            left = ends - time.monotonic()
            if left <= 0:
                cure = "" if self._settings.lock_wait else "; --lock-wait waits for it, --no-lock goes on beside it"
                raise EngineBusyError(f"another run is at this engine: {holder}{cure}")
            if not told:
                self._tell(f"waits up to {format_seconds(left)} for another run at this engine: {holder}")
                told = True
            time.sleep(min(_TICK, left))

    def _tell(self, words: str, *, loud: bool = True) -> None:
        if (loud and not self._settings.quiet) or self._settings.verbose:
            click.echo(f"puller: {clean(words)}", err=True)
