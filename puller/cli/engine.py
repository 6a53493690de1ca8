"""The engine of a verb: its address and connection, the lock of a run on it, and its errors."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from errno import ENOENT, EROFS
from pathlib import Path
from random import SystemRandom
from shutil import which
from typing import Any

import click

from puller.engine import EngineAddress, connect, locate
from puller.engine.endpoint import DEFAULT_HOST, DOCKER
from puller.engine.interface import Engine
from puller.errors import EngineBusyError, EngineError, EngineUnreachableError, FailureKind, PullerError
from puller.failure import classify, failure_of
from puller.model import ENGINE_GONE
from puller.settings import BackendChoice, Policy
from puller.system.clock import monotonic
from puller.system.credentials import Keyring
from puller.system.run_lock import RunLock
from puller.text import clean, format_seconds, plain_error, shorten, source_name

_TICK = 0.25
"""Seconds between two attempts to take a lock."""
_DOING = 200


class EngineLock(AbstractContextManager["EngineLock"]):
    """A run's lock on its engine: `take` waits for it, the end of the block releases it. A signal ends any wait."""

    def __init__(self, options: Mapping[str, Any], *names: str) -> None:
        """Read the options of a verb that has `LOCK_OPTIONS`; a run that changes nothing needs no lock.

        `names` describe this run to others that wait for the lock, such as its verb and lists.
        """
        self._options = options
        self._needed = not (options["no_lock"] or options.get("dry_run") or options.get("policy") == Policy.NEVER)
        self._doing = shorten(" ".join(("puller", *map(source_name, names))), _DOING)
        self._lock: RunLock | None = None

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._lock.release()

    def take(self, engine: str) -> None:
        """Wait, and lock the engine with this identity; raises EngineBusyError after `--lock-wait`."""
        if jitter := self._options.get("jitter"):
            seconds = SystemRandom().uniform(0, jitter)
            self._tell(f"starts in {format_seconds(seconds)} (--jitter)")
            time.sleep(seconds)
        ends, told = monotonic() + self._options["lock_wait"], False
        while True:
            try:
                return self.take_now(engine, "this engine", ends)
            except EngineBusyError as error:
                if not error.left:
                    raise
                if not told:
                    self._tell(waiting_words(error))
                told = True
                time.sleep(min(_TICK, error.left))

    def take_now(self, engine: str, name: str, ends: float) -> None:
        """Lock an engine; raises EngineBusyError, which may be waited for until `ends`, on the monotonic clock."""
        if not self._needed:
            return
        try:
            self._lock = RunLock(engine)
            if holder := self._lock.take(self._doing):
                cure = "" if self._options["lock_wait"] else "; --lock-wait waits for it, --no-lock ignores it"
                raise EngineBusyError(f"another run uses {name}: {holder}{cure}", max(0.0, ends - monotonic()))
            if self._lock.note:
                click.echo(f"puller: {clean(self._lock.note)}", err=True)
        except OSError as error:
            harmless = error.errno in (ENOENT, EROFS)  # nobody put anything in the way
            if self._options.get("verbose") or not harmless:
                click.echo(f"puller: continues without a lock: {plain_error(error)}", err=True)

    def _tell(self, words: str) -> None:
        if self._options.get("verbose") or not self._options.get("quiet"):
            click.echo(f"puller: {clean(words)}", err=True)


def waiting_words(error: EngineBusyError) -> str:
    """Say that puller waits for another run."""
    return f"waits up to {format_seconds(error.left)}: {error}"


def open_engine(
    options: Mapping[str, Any], connections: int = 3, lock: EngineLock | None = None, keyring: Keyring | None = None
) -> Engine:
    """Take the lock of the engine that `engine_options` name, if one is given, and connect; the caller closes it.

    Raises UsageError for a bad context, EngineBusyError and EngineUnreachableError, which says what to do.
    """
    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    address = locate(choice, docker_command=command, context=options["context"])
    if lock:
        lock.take(address.identity)
    try:
        return connect(address, choice, docker_command=command, connections=connections, keyring=keyring)
    except EngineUnreachableError as error:
        kind = error.kind or classify(str(error)).kind
        raise EngineUnreachableError(f"{error}{_remedy(str(error), kind, address)}", kind=kind) from None


def is_without_engine(kind: FailureKind) -> bool:
    """Tell whether an engine that could not be reached is probably not installed."""
    return kind is FailureKind.CLIENT_MISSING or not (kind is FailureKind.SOCKET_PERMISSION or which(DOCKER))


def _remedy(error: str, kind: FailureKind, address: EngineAddress) -> str:
    """Return what to do about an engine that cannot be reached; empty if the error says it."""
    if kind is FailureKind.SOCKET_PERMISSION:
        group = ""
        with suppress(OSError, KeyError):
            group = Path(address.url.removeprefix("unix://")).group()
        if group in ("", "root"):
            return "; run puller as a user who may use this socket"
        return f"; add this user to the group {clean(group)} (sudo usermod -aG {clean(group)} $USER) and log in again"
    if "DOCKER_HOST=" in error or kind is not FailureKind.DAEMON_UNREACHABLE:
        return ""
    start = "start the engine (systemctl start docker)" if address.url == DEFAULT_HOST else "start the engine"
    return f"; {start}, or set DOCKER_HOST or --context to a running one"


@contextmanager
def fatal_engine_errors() -> Iterator[None]:
    """Turn an EngineError in the block into EngineUnreachableError (exit code 69) or PullerError (exit code 1)."""
    try:
        yield
    except EngineError as error:
        why = failure_of(error)
        kind = EngineUnreachableError if why.kind in ENGINE_GONE else PullerError
        raise kind(f"the engine cannot list its images: {why.message}") from None
