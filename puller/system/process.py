"""The ends of a program's pipes: what is read is handed over in lines, what is to be written never blocks."""

import fcntl
import os
import selectors
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from threading import Lock
from time import monotonic, sleep
from typing import IO, cast

from puller.cancellation import Cancellation

CHUNK = 64 * 1024
"""Bytes read at once, and kept of an output unless more are wanted: its end, where the reason stands."""


class Reader:
    """One output of a program: hands over whole lines, keeps the end."""

    def __init__(
        self, on_line: Callable[[str], None] | None = None, *, returns: bool = False, keep: int = CHUNK
    ) -> None:
        self.tail = b""
        self.partial = b""
        self._on_line = on_line
        self._returns = returns
        self._keep = keep

    def serve(self, descriptor: int) -> bool:
        """Read what is there; return whether there may be more."""
        try:
            data = os.read(descriptor, CHUNK)
        except OSError:
            data = b""  # EIO is how a terminal says that nobody is at its other end any more
        self.feed(data)
        return bool(data)

    def feed(self, data: bytes) -> None:
        """Take in a piece; with `returns` a carriage return ends a line as a newline does."""
        if self._returns:
            data = data.replace(b"\r", b"\n")
        self.tail = (self.tail + data)[-self._keep :]
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.partial = self.partial[-CHUNK:]
        for line in lines:
            self._hand_over(line)

    def finish(self) -> None:
        """Take what is left for a line."""
        if self.partial:
            self._hand_over(self.partial)

    def text(self) -> str:
        """Return the end of all that was read."""
        return self.tail.decode(errors="replace")

    def _hand_over(self, line: bytes) -> None:
        if self._on_line:
            self._on_line(line.decode(errors="replace").rstrip("\r"))


class Writer:
    """The input of a program: all that it is told, as fast as it reads."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def serve(self, descriptor: int) -> bool:
        """Write what the program takes now; return whether anything is left."""
        try:
            self._left = self._left[os.write(descriptor, self._left[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # it does not want to know
        return bool(self._left)


_ROWS, _COLUMNS = 4000, 300
"""Large enough that no line is shortened."""
_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""
_TICK = 0.2
"""Seconds between two looks at the clock while a process is silent."""
_START = 1.0
"""Seconds that a program may take from fork to exec."""
_NAPS = (0.0005, 0.05)
"""Seconds between two looks whether a program has ended: the first, and the longest."""
_running: set[subprocess.Popen[bytes]] = set()
_starting = Lock()


@dataclass(frozen=True, slots=True)
class Completed:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


def run(  # noqa: PLR0913 - the one door, with all that anybody needs of it
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cancel: Cancellation,
    timeout: float | None = None,
    stdin: bytes | None = None,
    terminal: bool = False,
    keep: int = CHUNK,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program to its end and return what it said; `on_line` gets each line of both its outputs.

    `stdin` is all that it gets to read, `keep` how many bytes of its standard output are returned: the last ones. With
    `terminal` that is a terminal where this system has one; a carriage return ends a line there, too. `on_tick` gets
    the line that is unfinished, several times a second, and may raise to end the program. Raises TimeoutError after
    `timeout` seconds, CancelledError, FileNotFoundError and PermissionError; when it raises, the program and its
    children are gone.
    """
    out, err = Reader(on_line, returns=terminal, keep=keep), Reader(on_line)
    deadline = monotonic() + timeout if timeout is not None else None
    with (
        _started(argv, environment, terminal=terminal, reads=stdin is not None) as process,
        cancel.hook(lambda: _signal(process, signal.SIGTERM)),
    ):
        for _ in _conversing(process, Writer(stdin or b""), out, err):
            cancel.check()
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError
            if on_tick:
                on_tick(out.partial.decode(errors="replace"))
        cancel.check()
        out.finish()
        err.finish()
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
def _started(
    argv: Sequence[str], environment: Mapping[str, str], *, terminal: bool, reads: bool
) -> Iterator[subprocess.Popen[bytes]]:
    ours, theirs = (terminal and open_terminal()) or (None, None)
    try:
        # A process group of its own: Ctrl-C reaches us and not the program, and its children end with it.
        with _starting:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                stdout=subprocess.PIPE if theirs is None else theirs,
                stderr=subprocess.PIPE,
                env={**environment, "LC_ALL": "C"},
                process_group=0,
            )
            _running.add(process)
    except BaseException:
        if ours is not None:
            os.close(ours)
        raise
    finally:
        if theirs is not None:
            os.close(theirs)
    if ours is not None:
        process.stdout = cast(IO[bytes], FileIO(ours))
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()


def _conversing(process: subprocess.Popen[bytes], written: Writer, out: Reader, err: Reader) -> Iterator[None]:
    """Write and read until the program has ended, coming up for a look around at least every tick."""
    with selectors.DefaultSelector() as selector:
        for pipe, reader in ((process.stdout, out), (process.stderr, err)):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, reader)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, written)
        while selector.get_map():
            # Looked at before the pipes are: what the program wrote last is in them when it has ended.
            ended = _has_ended(process)
            ready = selector.select(0 if ended else _TICK)
            for key, _ in ready:
                if not key.data.serve(key.fd):
                    selector.unregister(key.fileobj)
                    if key.fileobj is process.stdin:
                        process.stdin.close()
            if ended and not ready:
                return  # a child of the program holds the pipes open, and has nothing to say
            yield
    while not _has_ended(process, _TICK):
        yield


def _has_ended(process: subprocess.Popen[bytes], seconds: float = 0.0) -> bool:
    """Wait for a program's end without reaping it: until then its number, and its group's, is nobody else's."""
    deadline, (nap, longest) = monotonic() + seconds, _NAPS
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if monotonic() >= deadline:
            return False
        sleep(nap)
        nap = min(2 * nap, longest)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, politely first; a child may outlive the program, so the group is killed in any case."""
    _signal(process, signal.SIGTERM)
    _has_ended(process, _GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.returncode is None:  # not yet reaped, so the number cannot be somebody else's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def open_terminal() -> tuple[int, int] | None:
    """Open a terminal and return our end and the program's; None where this system gives none."""
    try:
        ours, theirs = os.openpty()
    except OSError:
        return None
    with suppress(OSError):
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    return ours, theirs
