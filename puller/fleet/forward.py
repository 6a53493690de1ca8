"""Forwards, by one login of ssh each: to the engine's socket of another host, or from a port there to this machine.

A forward is opened again when it ends, and is gone at the end of puller however that comes: `puller.system.process`
ends the programs that it started even if puller is killed.
"""

import errno
import os
import re
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import uniform
from threading import Event
from typing import Final, NamedTuple

from puller.cancellation import Cancellation
from puller.errors import CancelledError, FailureKind
from puller.fleet.ssh import (
    OPEN_FAILED,
    PROGRAM,
    SshProblem,
    forward_command,
    problem_of,
    remote_command,
    reverse_command,
)
from puller.fleet.url import SshTarget
from puller.system.clock import monotonic
from puller.system.process import Completed, run
from puller.system.threads import start

_LOGINS = 3
"""Logins until a forward is open the first time, while the host is busy: sshd refuses many at once (MaxStartups)."""
LOGIN_SECONDS = 30.0
"""Time limit for a login and its forward."""
_REOPENED = 20
"""How often a forward is opened again before it is given up; one that held for `_STEADY` seconds counts anew."""
_STEADY = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
"""Seconds before a forward is opened again: doubled each time."""
_LINES = 60
_POLLING = (0.005, 0.05)
_CLOSING = 5.0
_LATE = 0.5
"""Seconds until a message of ssh about a refused or broken connection has arrived."""
_ALLOCATED = re.compile(r"Allocated port (?P<port>\d{1,5}) for remote forward")
"""What ssh writes when the host's sshd has chosen a port."""


class _Login:
    """A login of ssh that is kept open; thread-safe."""

    def __init__(self, target: SshTarget) -> None:
        self.target: Final = target
        self._cancel = Cancellation()
        self._ended = Event()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._problem: SshProblem | None = None
        self._opened = self._held = False
        self._logins = 0

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _is_open(self) -> bool:
        raise NotImplementedError

    @property
    def problem(self) -> SshProblem | None:
        """Why the forward is down; None while it is open."""
        return self._problem

    def why_down(self) -> SshProblem | None:
        """Return `problem`, of a forward whose connections just broke: that may be a moment before ssh has ended."""
        deadline = monotonic() + _LATE
        while self._problem is None and monotonic() < deadline:
            if self._ended.wait(_POLLING[1]):
                break
        return self._problem

    @property
    def over(self) -> bool:
        """Whether the forward is closed or given up."""
        return self._ended.is_set()

    def open(self, seconds: float, cancel: Cancellation) -> None:
        """Log in, and wait until the forward is open.

        Raises EngineUnreachableError, after `seconds` at the latest, and CancelledError.
        """
        if start(self._keep_open, "forward") is None:
            raise SshProblem(FailureKind.OUT_OF_MEMORY, "this machine gives no more threads", is_advised=False).error
        deadline, (pause, longest) = monotonic() + seconds, _POLLING
        while not self._ended.is_set():
            if self._is_open():
                self._opened = True
                return
            if monotonic() > deadline:
                raise _too_late(seconds).error
            cancel.sleep(pause)
            pause = min(2 * pause, longest)
        raise (self._problem or problem_of((), self.target)).error

    def abort(self) -> None:
        """End ssh and what it started; whoever waits for the engine gets an error at once."""
        self._cancel.cancel("the forward is closed")

    def close(self) -> None:
        """End ssh and what it started, and wait for that."""
        self.abort()
        if self._logins:
            self._ended.wait(_CLOSING)

    def _keep_open(self) -> None:
        try:
            with suppress(CancelledError):
                self._log_in_again()
        finally:
            self._ended.set()

    def _log_in_again(self) -> None:
        failures = 0
        while True:
            began, opened = monotonic(), self._log_in()
            steady = opened and monotonic() - began > _STEADY
            failures = 1 if steady else failures + 1
            most = _REOPENED if self._opened else _LOGINS
            problem = self._problem
            if failures >= most or problem is None or problem.is_lasting or not (self._opened or problem.is_busy):
                return
            # Hosts that were refused together do not come back together.
            self._cancel.sleep(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE) * uniform(0.5, 1.0))  # noqa: S311

    def _log_in(self) -> bool:
        """Run ssh until it ends, and note why; return whether the forward was open. Raises CancelledError."""
        self._clear()
        self._logins += 1
        self._held, began = False, monotonic()

        def look(_: str) -> None:
            if not self._held and self._is_open():
                self._held, self._problem = True, None
            elif not self._held and monotonic() - began > LOGIN_SECONDS:
                raise TimeoutError

        try:
            run(self._command(), environment=_environment(), cancel=self._cancel, on_line=self._read, on_tick=look)
        except TimeoutError:
            self._problem = _too_late(LOGIN_SECONDS)
        except OSError as error:
            self._problem = _cannot_run(error)
        else:
            self._problem = problem_of([*self._lines], self.target)
        self._clear()
        return self._held

    def _clear(self) -> None:
        """Forget a login that has ended."""
        self._lines.clear()

    def _read(self, line: str) -> None:
        self._lines.append(line)


class Forward(_Login):
    """A Unix socket on this machine that is the engine's socket of another host. `open` it once, `close` it at the end.

    Thread-safe.
    """

    def __init__(self, target: SshTarget, folder: Path) -> None:
        """Use `folder`, which is private, for the sockets."""
        super().__init__(target)
        self.path: Final = folder / "d"
        """The socket on this machine."""
        self._control = folder / "c"
        self._refused = Event()
        self._refusal = ""

    def refusal(self) -> str:
        """Return what ssh says if the host's sshd does not connect to the engine's socket; empty if it does."""
        return self._refusal if self._refused.wait(_LATE) else ""

    def call(self, words: Sequence[str], seconds: float) -> Completed | None:
        """Run a program on the host, over the login of the forward; None if that is not possible."""
        command = remote_command(self.target, self._control, words)
        try:
            return run(command, environment=_environment(), cancel=self._cancel, timeout=seconds)
        except (OSError, TimeoutError, CancelledError):
            return None

    def _command(self) -> list[str]:
        return forward_command(self.target, self.path, self._control)

    def _is_open(self) -> bool:
        """Whether ssh listens: its socket has a name a moment before that."""
        if not self.path.is_socket():
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def _clear(self) -> None:
        """Remove the sockets of a login that has ended: who connects to them must not wait."""
        super()._clear()
        for path in (self.path, self._control):
            with suppress(OSError):
                path.unlink()

    def _read(self, line: str) -> None:
        super()._read(line)
        if OPEN_FAILED.search(line):
            self._refusal = line
            self._refused.set()


class OpenPort(NamedTuple):
    """A port on a host that leads to this machine, until the login ends."""

    port: int
    ended: Cancellation
    """Cancelled when the login ends; the next one has another port."""


class ReverseForward(_Login):
    """A port on another host's loopback that leads to one on this machine's. `open` it once, `close` it at the end.

    Its connection is its own, so that what the engine is asked does not wait behind layers. Thread-safe.
    """

    def __init__(self, target: SshTarget, local_port: int) -> None:
        super().__init__(target)
        self._local_port = local_port
        self._now: OpenPort | None = None

    @property
    def now(self) -> OpenPort | None:
        """The port on the host, which its sshd chooses at each login; None while the forward is down."""
        return self._now

    def _command(self) -> list[str]:
        return reverse_command(self.target, self._local_port)

    def _is_open(self) -> bool:
        return self._now is not None

    def _clear(self) -> None:
        super()._clear()
        before, self._now = self._now, None
        if before:
            before.ended.cancel("the forward of ssh has ended")

    def _read(self, line: str) -> None:
        super()._read(line)
        if found := _ALLOCATED.search(line):
            self._now = OpenPort(int(found["port"]), Cancellation())


def _too_late(seconds: float) -> SshProblem:
    words = f"ssh: no forward within {seconds:g}s: the host does not answer, or waits for something"
    return SshProblem(FailureKind.HOST_UNREACHABLE, words, is_lasting=False, is_advised=False)


def _cannot_run(error: OSError) -> SshProblem:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        words = "too many open files: raise the limit (ulimit -n), or use fewer --parallel-hosts"
        return SshProblem(FailureKind.FD_EXHAUSTED, words)
    cure = "install OpenSSH's client (apt-get install openssh-client)"
    return SshProblem(FailureKind.CLIENT_MISSING, f"{PROGRAM} cannot be run: {error.strerror}; {cure}")


def _environment() -> dict[str, str]:
    """Return puller's environment, in which ssh starts no program that asks for a password."""
    return {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
