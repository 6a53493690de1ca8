"""The lock of a run on its engine, so that no two runs use one engine at a time, and a random wait before it."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from random import SystemRandom
from typing import Any, NamedTuple, Self

import click

from puller.errors import EngineBusyError
from puller.settings import Policy
from puller.system.run_lock import RunLock
from puller.text import clean, format_seconds, shorten

_TICK = 0.25
"""Seconds between two attempts to take a lock."""
_DOING = 200


class RunLockSettings(NamedTuple):
    """How a run avoids other runs on the same engine."""

    jitter: float
    """Seconds: the longest random wait before the run."""
    lock: bool
    """Whether the run locks the engine."""
    lock_wait: float
    """Seconds to wait for a run that has the lock."""
    quiet: bool
    verbose: int

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Read the options of a verb that has `LOCK_OPTIONS`; a run that changes nothing needs no lock."""
        idle = options.get("policy") == Policy.NEVER or options.get("dry_run", False)
        lock = not (options["no_lock"] or idle)
        quiet, verbose = options.get("quiet", False), options.get("verbose", 0)
        return cls(options.get("jitter", 0.0), lock, options["lock_wait"], quiet, verbose)


class EngineLock(AbstractContextManager["EngineLock"]):
    """A run's lock on its engine: `take` waits for it, the end of the block releases it. A signal ends any wait."""

    def __init__(self, settings: RunLockSettings, *names: str) -> None:
        """`names` describe this run to others that wait for the lock, such as its verb and lists."""
        self._settings = settings
        self._doing = shorten(" ".join(("puller", *names)), _DOING)
        self._lock: RunLock | None = None

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._lock.release()

    def take(self, engine: str) -> None:
        """Wait, and lock the engine with this identity; raises EngineBusyError after `--lock-wait`."""
        if self._settings.jitter:
            seconds = SystemRandom().uniform(0, self._settings.jitter)
            self._tell(f"starts in {format_seconds(seconds)} (--jitter)")
            time.sleep(seconds)
        if self._settings.lock:
            try:
                self._lock_or_wait(engine)
            except OSError as error:
                self._tell(f"continues without a lock: {error}", loud=False)

    def _lock_or_wait(self, engine: str) -> None:
        self._lock = RunLock(engine)
        ends, told = time.monotonic() + self._settings.lock_wait, False
        while holder := self._lock.take(self._doing):
            left = ends - time.monotonic()
            if left <= 0:
                cure = "" if self._settings.lock_wait else "; --lock-wait waits for it, --no-lock ignores it"
                raise EngineBusyError(f"another run uses this engine: {holder}{cure}")
            if not told:
                self._tell(f"waits up to {format_seconds(left)} for another run that uses this engine: {holder}")
                told = True
            time.sleep(min(_TICK, left))

    def _tell(self, words: str, *, loud: bool = True) -> None:
        if (loud and not self._settings.quiet) or self._settings.verbose:
            click.echo(f"puller: {clean(words)}", err=True)
