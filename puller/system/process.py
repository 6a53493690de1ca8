"""Runs programs: no shell, a process group each, a time limit, bounded output. The only home of subprocess."""

import fcntl
import os
import selectors
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from io import FileIO
from threading import Lock
from time import sleep
from typing import IO, NamedTuple, cast

from puller.cancellation import Cancellation
from puller.system.clock import monotonic

CHUNK = 64 * 1024
"""Bytes read at a time. Also the default number of bytes of an output that are kept: the last ones."""
_ROWS, _COLUMNS = 4000, 300  # size of the terminal: large enough that no line is shortened
_GRACE = 1.0  # seconds between SIGTERM and SIGKILL
_TICK = 0.2  # longest time between two checks of the time limit, in seconds
_START = 1.0  # seconds that a program may take from fork to exec
_POLLING = (0.0005, 0.05)  # shortest and longest time between two checks whether a program has ended, in seconds
_running: set[subprocess.Popen[bytes]] = set()
_WATCH = """while read -r sign pid; do
case $sign in +) all="$all $pid " ;; *) all="${all%% $pid *} ${all#* $pid }" ;; esac
done
for pid in $all; do kill -KILL -"$pid"; done"""
"""A shell script that kills the process groups that are left when its input ends, as when puller is killed."""
_starting = Lock()


class _Reader:
    """Reads one output of a program: passes on whole lines and keeps the last bytes."""

    def __init__(self, on_line: Callable[[str], None] | None, *, returns: bool = False, keep: int = CHUNK) -> None:
        self.tail = b""
        self.partial = b""  # a line whose end has not come yet
        self._on_line = on_line
        self._returns = returns  # whether a carriage return ends a line, as a newline does
        self._keep = keep

    def read(self, descriptor: int) -> bool:
        """Read the available bytes; return False at the end of the output."""
        try:
            data = os.read(descriptor, CHUNK)
        except OSError:
            data = b""  # a terminal reports EIO when the program has closed it
        if self._returns:
            data = data.replace(b"\r", b"\n")
        self.tail = (self.tail + data)[-self._keep :]
        *lines, partial = (self.partial + data).split(b"\n")
        self.partial = partial[-CHUNK:]
        self.pass_on(*lines)
        return bool(data)

    def pass_on(self, *lines: bytes) -> None:
        if self._on_line:
            for line in lines:
                self._on_line(_text(line).rstrip("\r"))


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _writer(data: bytes) -> Callable[[int], bool]:
    """Return a function that writes as much of the data as a pipe takes, and tells whether anything is left."""
    left = memoryview(data)

    def write(descriptor: int) -> bool:
        nonlocal left
        try:
            left = left[os.write(descriptor, left[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # the program does not read its input
        return bool(left)

    return write


class Completed(NamedTuple):
    """The exit code of a program and its output."""

    code: int
    stdout: str
    stderr: str


def run(  # noqa: PLR0913 - the only way to run a program, with everything that its callers need
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
    """Run a program until it ends and return its output; `on_line` gets each line of both its outputs.

    `stdin` is its whole input; `keep` is the number of last bytes of its standard output that are returned. With
    `terminal` its standard output is a terminal if this system has one, and a carriage return ends a line there too.
    `on_tick` gets the unfinished line several times a second, and may raise an exception to end the program.

    Raises TimeoutError after `timeout` seconds, CancelledError, FileNotFoundError and PermissionError. When it raises,
    the program and its children have ended.
    """
    out, err = _Reader(on_line, returns=terminal, keep=keep), _Reader(on_line)
    deadline = monotonic() + timeout if timeout is not None else None
    cancel.check()  # a program that is stopped after its start may have done its work
    with (
        _started(argv, environment, terminal=terminal, reads=stdin is not None) as process,
        cancel.hook(lambda: _signal(process, signal.SIGTERM)),
    ):
        for _ in _exchange(process, stdin or b"", out, err):
            cancel.check()
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError
            if on_tick:
                on_tick(_text(out.partial))
        cancel.check()
        for output in (out, err):
            if output.partial:
                output.pass_on(output.partial)
        return Completed(process.wait(), _text(out.tail), _text(err.tail))


def kill_all() -> None:
    """Kill every running program, for a process that is about to exit without cleaning up."""
    # Wait for a thread that is starting a program, but not forever: this may be a signal handler in that thread.
    acquired = _starting.acquire(timeout=_START)
    for process in list(_running):
        _signal(process, signal.SIGKILL)
    if acquired:
        _starting.release()


def _watch(line: str) -> None:
    """Tell the watching shell of a program that was started or has ended; without a shell there is none."""
    with suppress(OSError):
        os.write(_watcher(), f"{line}\n".encode())


@cache
def _watcher() -> int:
    """Start the shell that kills the programs if puller is killed, and return its input."""
    theirs, ours = os.pipe()
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    actions = [(os.POSIX_SPAWN_DUP2, theirs, 0), null, (os.POSIX_SPAWN_DUP2, 1, 2)]
    try:
        os.posix_spawn("/bin/sh", ["sh", "-c", _WATCH], {}, file_actions=actions, setpgroup=0)
    except OSError:
        os.close(ours)
        ours = -1
    os.close(theirs)
    return ours


@contextmanager
def _started(
    argv: Sequence[str], environment: Mapping[str, str], *, terminal: bool, reads: bool
) -> Iterator[subprocess.Popen[bytes]]:
    ours, theirs = (terminal and _open_terminal()) or (None, None)
    try:
        # In its own process group, so that Ctrl-C reaches puller and not the program, and its children end with it.
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
            _watch(f"+ {process.pid}")
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
        _watch(f"- {process.pid}")
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()


def _exchange(process: subprocess.Popen[bytes], stdin: bytes, out: _Reader, err: _Reader) -> Iterator[None]:
    """Write and read until the program has ended; yields at least every tick."""
    with selectors.DefaultSelector() as selector:
        for pipe, reader in ((process.stdout, out), (process.stderr, err)):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, reader.read)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, _writer(stdin))
        while selector.get_map():
            # Checked before the pipes: when the program has ended, its last output is already in them.
            ended = _has_ended(process)
            ready = selector.select(0 if ended else _TICK)
            for key, _ in ready:
                if not key.data(key.fd):
                    selector.unregister(key.fileobj)
                    if key.fileobj is process.stdin:
                        process.stdin.close()
            if ended and not ready:
                return  # a child of the program keeps the pipes open, but writes nothing
            yield
    while not _has_ended(process, _TICK):
        yield


def _has_ended(process: subprocess.Popen[bytes], seconds: float = 0.0) -> bool:
    """Wait up to `seconds` for the end of a program without reaping it, so that its ID is not given to another one."""
    deadline, (pause, longest) = monotonic() + seconds, _POLLING
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if monotonic() >= deadline:
            return False
        sleep(pause)
        pause = min(2 * pause, longest)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, then SIGKILL, to the process group: children may outlive the program."""
    _signal(process, signal.SIGTERM)
    _has_ended(process, _GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.returncode is None:  # not reaped yet, so no other process has its ID
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _open_terminal() -> tuple[int, int] | None:
    """Open a pseudo-terminal and return puller's end and the program's; None if the system has none."""
    try:
        ours, theirs = os.openpty()
    except OSError:
        return None
    with suppress(OSError):
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    return ours, theirs
