"""The connection to a host's engine: by a forward of ssh, by TLS with certificates, or by a local socket."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from puller.cancellation import Cancellation
from puller.engine import EngineAddress, connect
from puller.engine.endpoint import resolve
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import EngineError, EngineUnreachableError, FailureKind, UsageError
from puller.failure import classify
from puller.fleet.folder import socket_folder
from puller.fleet.forward import LOGIN_SECONDS, Forward
from puller.fleet.hosts import FleetHost
from puller.fleet.ssh import SshProblem, problem_of
from puller.fleet.url import SshTarget, is_loopback, ssh_target
from puller.model import EngineResult, PullRequest
from puller.settings import BackendChoice, Timeouts
from puller.system.credentials import Keyring
from puller.system.process import Completed
from puller.text import clean

_DIAGNOSIS = 10.0
"""Time limit to look at the engine's socket on the host."""
_LOST = {FailureKind.DAEMON_UNREACHABLE, FailureKind.ENGINE_DISCONNECTED}
_PLAIN = ("tcp://", "http://")
_MODE = re.compile(r"^[-bcdlps][-rwxsStT]{9}", re.MULTILINE)
"""The mode of a file, as `ls -l` prints it."""


@contextmanager
def open_host(
    host: FleetHost, *, cancel: Cancellation, connections: int, keyring: Keyring, insecure: bool = False
) -> Iterator[Engine]:
    """Connect to the engine of a host for a number of concurrent pulls; closes the connection at the end of the block.

    Raises EngineUnreachableError with one line that says why and what to do, and CancelledError. Without `insecure`, an
    engine on another machine is asked only by ssh or TLS: whoever may use an engine is root there.
    """
    found = _address(host)
    with ExitStack() as stack:
        forward = None
        if found.url.startswith("ssh://"):
            forward = _open_forward(stack, _target(found.url), cancel)
            address = EngineAddress(host.name, f"unix://{forward.path}", local=False)
        else:
            address = found._replace(label=host.name, context=None)
            if address.url.startswith(_PLAIN) and not (address.tls or insecure or is_loopback(address.url)):
                words = (
                    f"{address.url} is without TLS: whoever sees it can take over the host; use ssh://, or a context "
                    "with certificates (--insecure connects anyway)"
                )
                raise EngineUnreachableError(words, kind=FailureKind.TLS_CONFIG, advised=True)
        cancel.check()
        try:
            with cancel.hook(forward.abort if forward else lambda: None):
                engine = _connect(address, forward, connections, keyring)
        except EngineUnreachableError:
            cancel.check()
            raise
        stack.enter_context(closing(engine))
        yield _Forwarded(engine, forward) if forward else engine


def target_of(host: FleetHost) -> SshTarget | None:
    """Return where ssh reaches a host; None if it is reached otherwise, or its context does not exist."""
    try:
        url = _address(host).url
        return _target(url) if url.startswith("ssh://") else None
    except EngineUnreachableError:
        return None


def forward_of(engine: Engine) -> Forward | None:
    """Return the forward that leads to an engine of `open_host`, wrapped or not; None if it is not reached by ssh."""
    if isinstance(engine, _Forwarded):
        return engine.forward
    return forward_of(engine.wrapped) if isinstance(engine, EngineWrapper) else None


def lost_connection(engine: Engine) -> EngineUnreachableError | None:
    """Say why the connection to an engine of `open_host`, wrapped or not, is down; None if it is up, or not by ssh."""
    forward = forward_of(engine)
    problem = forward.why_down() if forward else None
    return problem.error if problem else None


def _address(host: FleetHost) -> EngineAddress:
    try:
        if host.url.startswith("context:"):
            return resolve(host.url.removeprefix("context:"), os.environ)
        if host.url.startswith("ssh://"):
            return EngineAddress(host.name, host.url)
        return resolve(None, {**os.environ, "DOCKER_HOST": host.url})
    except UsageError as error:
        raise EngineUnreachableError(str(error), kind=FailureKind.CONTEXT_NOT_FOUND) from None


def _target(url: str) -> SshTarget:
    try:
        return ssh_target(url)
    except ValueError as error:  # a context's
        raise EngineUnreachableError(clean(str(error)), kind=FailureKind.CONTEXT_NOT_FOUND) from None


def _open_forward(stack: ExitStack, target: SshTarget, cancel: Cancellation) -> Forward:
    try:
        folder: Path = stack.enter_context(socket_folder())
    except OSError as error:
        words = f"no directory for sockets: {error.strerror}; set XDG_RUNTIME_DIR or TMPDIR to one that can be written"
        raise EngineUnreachableError(words, kind=FailureKind.IO_ERROR, advised=True) from None
    forward = Forward(target, folder)
    stack.callback(forward.close)
    forward.open(LOGIN_SECONDS, cancel)
    return forward


def _connect(address: EngineAddress, forward: Forward | None, connections: int, keyring: Keyring) -> Engine:
    try:
        return connect(address, BackendChoice.API, connections=connections, keyring=keyring)
    except EngineUnreachableError as error:
        if forward is None:
            raise
        if refusal := forward.refusal():
            raise _refused(forward, refusal).error from None
        if problem := forward.problem:
            raise problem.error from None
        words = str(error).replace(address.url, forward.target.socket)
        kind = error.kind or classify(words).kind
        # The timeout is not that of a registry: nothing came through an open forward.
        kind = FailureKind.DAEMON_UNREACHABLE if kind is FailureKind.TIMEOUT else kind
        raise EngineUnreachableError(words, kind=kind) from None


def _refused(forward: Forward, refusal: str) -> SshProblem:
    """Say why the host's sshd does not connect to the engine's socket; it does not tell, so the socket is looked at."""
    target = forward.target
    if "prohibited" in refusal:
        return problem_of([refusal], target)
    look = ("sh", "-c", 'ls -ld "$1"; test -w "$1"', "sh", target.socket)
    return socket_problem(target, forward.call(look, _DIAGNOSIS))


def socket_problem(target: SshTarget, look: Completed | None) -> SshProblem:
    """Say what is wrong with the engine's socket of a host.

    `look` are the line of `ls -ld` and the exit code of `test -w`; None if no program can be run there.
    """
    start, socket = "start the engine there (systemctl start docker)", target.socket
    group = "add the user to the socket's group (sudo usermod -aG docker USER, on the host)"
    mode = _MODE.search(look.stdout) if look else None
    if look is None or (look.stdout and not mode):  # as for a user without a shell
        words = f"the engine's socket {socket} there cannot be used: {start}, or {group}"
        return SshProblem(FailureKind.DAEMON_UNREACHABLE, words)
    if mode is None or mode[0][0] != "s":
        other = f"write its path in the URL if it is another (ssh://{target.host}/run/user/1000/docker.sock)"
        return SshProblem(FailureKind.DAEMON_UNREACHABLE, f"no engine's socket {socket} there: {start}, or {other}")
    if look.code:
        words = f"no permission for the engine's socket {socket} there: {group}"
        return SshProblem(FailureKind.SOCKET_PERMISSION, words)
    forbidden = "or allow sshd to forward sockets (AllowStreamLocalForwarding yes in its sshd_config)"
    words = f"nothing answers at the engine's socket {socket} there: {start}, {forbidden}"
    return SshProblem(FailureKind.DAEMON_UNREACHABLE, words)


class _Forwarded(EngineWrapper):
    """An engine behind a forward: where a pull fails because the forward is down, the error says why."""

    def __init__(self, engine: Engine, forward: Forward) -> None:
        super().__init__(engine)
        self.forward = forward

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        try:
            return self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
        except EngineError as error:
            problem = self.forward.why_down() if error.kind in _LOST else None
            if problem is None:
                raise
            raise EngineError(f"{error.message}; {problem.words}", status=error.status, kind=error.kind) from None
