"""puller from a process that has its modules already: every run is a fork, and Python's own start is paid once."""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NoReturn

import puller

ROOT = Path(__file__).parents[2]
LIBRARIES = ("docker", "docker_image.reference", "jinja2", "rich.live", "tenacity", "yaml")
"""What puller loads when the need arises."""
_LARGEST_REQUEST = 1 << 17
_NETWORK = Path("/proc/thread-self/ns/net")
_AT_HOME = _NETWORK.readlink()
_STARTING = Lock()


def serves() -> bool:
    """Tell whether the calling thread is in the namespaces in which runs are forked; see `tests.lab.seclusion`."""
    return _NETWORK.readlink() == _AT_HOME


class Started:
    """A run of puller in a process of its own."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, session: bool = False
    ) -> None:
        """Start `puller ARGUMENTS`; with `session` in a session of its own."""
        self._arguments = list(arguments)
        self._socket, theirs = socket.socketpair()
        self._ends, others = zip(os.pipe(), os.pipe(), strict=True)
        request = json.dumps((self._arguments, str(folder), dict(environment), session)).encode()
        with theirs:
            socket.send_fds(_loader(), [request], [theirs.fileno(), *others])
        for other in others:
            os.close(other)
        self._answers = self._socket.makefile()
        self.pid = int(self._answers.readline())
        self.max_rss = 0
        """Bytes, with those of the modules that were there before; known at the end."""

    def ended(self, seconds: float) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, as subprocess counts, and the two streams.

        Raises subprocess.TimeoutExpired, after the process was killed, when it takes longer than so many seconds.
        """
        with ThreadPoolExecutor(2) as readers, self._socket, self._answers:
            streams = [readers.submit(_read, end) for end in self._ends]
            self._socket.settimeout(seconds)
            try:
                code, kilobytes = map(int, self._answers.readline().split())
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(self._arguments, seconds) from None
            self.max_rss = kilobytes << 10
            return code, streams[0].result(), streams[1].result()


def _read(descriptor: int) -> str:
    with os.fdopen(descriptor) as stream:
        return stream.read()


def _loader() -> socket.socket:
    with _STARTING:
        return _started()


@functools.cache
def _started() -> socket.socket:
    """Start what forks; it ends when this process, which alone holds the other end of its socket, does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-W", "error", "-m", __name__, str(theirs.fileno())]
        loader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    atexit.register(loader.wait)
    atexit.register(ours.close)  # the last first
    return ours


def _serve(requests: socket.socket) -> NoReturn:
    """Load puller, and then for every request fork a process that becomes it, until nobody can ask any more."""
    for module in (*_modules(), *LIBRARIES):
        importlib.import_module(module)
    gc.freeze()  # pages that no child's collector touches stay shared
    ended, end = socket.socketpair()
    end.setblocking(False)
    signal.set_wakeup_fd(end.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked: dict[int, int] = {}
    """Where the end of a process is awaited."""
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            ended.recv(_LARGEST_REQUEST)
            _tell(asked)
        if requests in ready:
            request, descriptors, _, _ = socket.recv_fds(requests, _LARGEST_REQUEST, 3)
            if not request:
                os._exit(0)
            answers, stdout, stderr = descriptors
            process = os.fork()
            if process == 0:
                for each in (requests, ended, end):
                    each.detach()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.dup2(stdout, 1)
                os.dup2(stderr, 2)
                _become(*json.loads(request))
            os.close(stdout)
            os.close(stderr)
            asked[process] = answers
            os.write(answers, f"{process}\n".encode())


def _tell(asked: dict[int, int]) -> None:
    """Say the exit code and the largest memory of each process that has ended."""
    for process in list(asked):
        found, status, usage = os.wait4(process, os.WNOHANG)
        if found:
            with os.fdopen(asked.pop(process), "w") as answers, suppress(BrokenPipeError):
                answers.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}\n")
                answers.flush()


def _modules() -> Iterable[str]:
    names = (module.name for module in pkgutil.walk_packages(puller.__path__, "puller."))
    return (name for name in names if not name.endswith("__main__"))


def _become(arguments: Sequence[str], folder: str, environment: Mapping[str, str], session: bool) -> NoReturn:
    """Do as `python -m puller` does, and end."""
    if session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    sys.argv = ["puller", *arguments]
    runpy.run_module("puller", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
