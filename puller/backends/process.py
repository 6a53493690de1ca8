"""The one door to subprocesses: argv lists, no shell, no standard input, bounded output, and always an end."""

import os
import selectors
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from puller.cancellation import Cancellation

_KEEP = 64 * 1024
"""Bytes kept of each stream: its end, where the reason stands."""
_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""
_TICK = 0.2
"""Seconds between two looks at the clock while a process is silent."""
_START = 1.0
"""Seconds that a program may take from fork to exec."""
_running: set[subprocess.Popen[bytes]] = set()
_starting = Lock()


@dataclass(frozen=True, slots=True)
class Completed:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


class _Reader:
    """One stream of a process: hands over whole lines, keeps the end."""

    def __init__(self, on_line: "Callable[[str], None] | None" = None) -> None:
        self.tail = b""
        self.partial = b""
        self._on_line = on_line

    def feed(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-_KEEP:]
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.partial = self.partial[-_KEEP:]
        for line in lines:
            self._hand_over(line)

    def finish(self) -> None:
        if self.partial:
            self._hand_over(self.partial)

    def _hand_over(self, line: bytes) -> None:
        if self._on_line:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def text(self) -> str:
        return self.tail.decode(errors="replace")


def run(
    argv: "Sequence[str]",
    *,
    environment: "Mapping[str, str]",
    cancel: "Cancellation",
    timeout: float | None = None,
    on_line: "Callable[[str], None] | None" = None,
    on_prompt: "Callable[[str], None] | None" = None,
) -> Completed:
    """Run a program to its end and return what it said; `on_line` gets each line of its standard output.

    `on_prompt` gets an unfinished line, and may raise to end a program that waits for an answer. Raises
    TimeoutError after `timeout` seconds, CancelledError, FileNotFoundError and PermissionError; when it raises,
    the program and its children are gone.
    """
    out, err = _Reader(on_line), _Reader()
    deadline = monotonic() + timeout if timeout is not None else None
    with _started(argv, environment) as process, cancel.hook(lambda: _signal(process, signal.SIGTERM)):
        for _ in _reading(process, out, err):
            cancel.check()
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError
            if out.partial and on_prompt:
                on_prompt(out.partial.decode(errors="replace"))
        cancel.check()
        out.finish()
        return Completed(process.wait(), out.text(), err.text())


def kill_all() -> None:
    """Kill every program still running, at once: for a process that is about to leave without clearing up."""
    # One that a thread is just starting shall be among them; a signal handler may be that very thread, so no longer.
    held = _starting.acquire(timeout=_START)
    for process in list(_running):
        _signal(process, signal.SIGKILL)
    if held:
        _starting.release()


@contextmanager
def _started(argv: "Sequence[str]", environment: "Mapping[str, str]") -> "Iterator[subprocess.Popen[bytes]]":
    # A process group of its own: Ctrl-C reaches us and not the program, and its children end with it.
    with _starting:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "LC_ALL": "C"},
            process_group=0,
        )
        _running.add(process)
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _reading(process: "subprocess.Popen[bytes]", out: _Reader, err: _Reader) -> "Iterator[None]":
    """Feed the readers until the program has ended, coming up for a look around at least every tick."""
    with selectors.DefaultSelector() as selector:
        for pipe, reader in ((process.stdout, out), (process.stderr, err)):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, reader)
        while selector.get_map():
            ready = selector.select(_TICK)
            for key, _ in ready:
                data = os.read(key.fd, _KEEP)
                key.data.feed(data)
                if not data:
                    selector.unregister(key.fileobj)
            if not ready and process.poll() is not None:
                return  # a child of the program holds the pipes open, and has nothing to say
            yield
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TICK)
        yield


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group, politely first; a child may outlive the program, so the group is killed in any case."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    if process.returncode is None:  # not yet reaped, so the number cannot be somebody else's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
