"""An engine by its command, which is docker, podman or nerdctl: one process for each pull."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from puller.cancellation import Cancellation
from puller.engine.cli.images import CliImageStore
from puller.engine.cli.terminal import is_drawing, last_words, read
from puller.engine.endpoint import DOCKER, EngineAddress
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.progress import PullStream
from puller.engine.responses import inspected, inspected_name, read_platform
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.system import process
from puller.text import clean

_PROBES = {
    "podman": ("info", "--format", "{{.Version.Version}}"),
    "nerdctl": ("info", "--format", "{{.ServerVersion}}"),
}
_DOCKER_PROBE = ("version", "--format", "{{.Server.Version}} {{(index .Server.Components 0).Name}}")
_PROBE_SECONDS = 30.0
_ALIVE_SECONDS = 10.0
_LONGEST = 32 << 20
"""Bytes of an output that must be complete: a list of images has some 500 for each."""
_ABSENT = re.compile(r"no such (?:image|object)|image not known", re.IGNORECASE)
"""Messages of docker, nerdctl and podman about a missing image."""
_PROMPT = re.compile(r"(?:Username|Password)(?: \([^)]*\))?: ?$")


class CliEngine:
    """Pulls by `docker pull` and its like. Docker gets a terminal, since it prints byte counts to nothing else.

    podman, nerdctl and a docker that does not draw print no byte counts; while they download, the time limit for
    unpacking applies.
    """

    def __init__(self, address: EngineAddress, command: str = DOCKER) -> None:
        """Ask the program for the engine's version; raises EngineUnreachableError."""
        self._program = PurePath(command).name or command
        self._environment: Mapping[str, str] = dict(os.environ)
        self._argv = (command, *(("--context", address.context) if address.context else ()))
        self._version = self._probe(_PROBE_SECONDS)
        # podman and nerdctl never print "up to date"; the image before the pull is compared with the one after it.
        self._silent = self._program in _PROBES or "podman" in self._version.lower()
        self._activity = LastActivity()
        self.store = CliImageStore(self._run, self._program, local=address.local)

    @property
    def engine(self) -> str:
        return f"engine {self._version.split()[0]} through the {self._program} command"

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        reference = request.reference
        before = self.inspect(reference, cancel=cancel) if self._silent else NOTHING
        timer = AttemptTimer(clocks, self._activity, coarse=True)
        output = _PullOutput(PullStream(request, progress, timer), timer, draws=not self._silent)
        platform = ("--platform", str(request.platform)) if request.platform else ()
        try:
            done = process.run(
                (*self._argv, "pull", *platform, inspected_name(reference)),
                environment=self._environment,
                cancel=cancel,
                terminal=not self._silent,
                on_line=output.line,
                on_tick=output.tick,
            )
        except OSError as error:
            raise EngineError(f"{self._program} cannot be run: {error}", kind=FailureKind.DAEMON_UNREACHABLE) from None
        if done.code != 0:
            raise EngineError(_words(done))
        return output.stream.pulled(before, lambda: self.inspect(reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        field = "ID" if self._program in _PROBES else "Id"  # podman and nerdctl use the Go field, docker the JSON key
        fields = [field, "RepoDigests", "Os", "Architecture"]  # docker fails on an image without a Variant
        if self._program == "podman":
            fields.append("Digest")  # what the tag resolved to; RepoDigests has the platform's manifest as well, sorted
        form = f"[{','.join(f'{{{{json .{field}}}}}' for field in fields)}]"
        arguments = ("image", "inspect", "--format", form, inspected_name(reference))
        try:
            done = self._ask(arguments, _PROBE_SECONDS, cancel)
            if done.code != 0:
                return NOTHING if _ABSENT.search(done.stderr) else None
            identity, digests, *rest = json.loads(done.stdout)
            first = rest[2:]
            digests = sorted(digests or (), key=lambda name: name.rpartition("@")[2] not in first)
            return inspected(identity, digests, reference, _platform(*rest[:2]))
        except (OSError, TimeoutError, TypeError, ValueError):
            return None

    def alive(self) -> bool:
        try:
            self._probe(_ALIVE_SECONDS)
        except EngineUnreachableError:
            return False
        return True

    def close(self) -> None:
        pass  # each process ended with its pull

    def _ask(self, arguments: Sequence[str], seconds: float, cancel: Cancellation) -> process.Completed:
        argv = (*self._argv, *arguments)
        return process.run(argv, environment=self._environment, cancel=cancel, timeout=seconds, keep=_LONGEST)

    def _run(self, *arguments: str, seconds: float = _PROBE_SECONDS) -> str:
        try:
            done = self._ask(arguments, seconds, Cancellation())
        except (OSError, TimeoutError) as error:
            raise EngineError(f"{self._program} {arguments[0]} failed: {error}") from None
        if done.code != 0:
            raise EngineError(_words(done))
        return done.stdout

    def _probe(self, seconds: float) -> str:
        arguments = _PROBES.get(self._program, _DOCKER_PROBE)
        try:
            done = self._ask(arguments, seconds, Cancellation())
        except FileNotFoundError:
            words = f"{self._argv[0]}: command not found"
            raise EngineUnreachableError(words, kind=FailureKind.CLIENT_MISSING) from None
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {seconds:g}s"
            raise EngineUnreachableError(f"{self._program} {arguments[0]} failed: {reason}") from None
        if done.code != 0:
            raise EngineUnreachableError(clean(done.stderr or done.stdout) or f"{self._program} exits with {done.code}")
        return clean(done.stdout) or "?"


class _PullOutput:
    """The output of one program while it pulls."""

    def __init__(self, stream: PullStream, timer: AttemptTimer, *, draws: bool) -> None:
        self.stream = stream
        self._timer = timer
        self._draws = draws

    def line(self, line: str) -> None:
        if self._draws and is_drawing(line):
            self._timer.coarse = False
        if message := read(line):
            self.stream.feed(message.status, message.layer, message.current, message.total)

    def tick(self, unfinished: str) -> None:
        """Check the time limits, and end a program that prompts for a login, as docker 28 does after a 401."""
        if _PROMPT.search(unfinished):
            message = "unauthorized: the registry requires a login; the command prompted for a user name"
            raise EngineError(message, kind=FailureKind.UNAUTHORIZED)
        self._timer.check()


def _platform(system: str = "", machine: str = "") -> Platform | None:
    """Make a platform of the inspected fields; None for arm, whose variant is not among them."""
    return None if machine == "arm" else read_platform(system, machine)


def _words(done: process.Completed) -> str:
    """Return the error message of a failed command, without the prefixes that say only that it failed."""
    words = done.stderr.strip() or last_words(done.stdout) or f"exit code {done.code}"
    words = words[max(words.find("\nError: "), 0) :].strip()  # podman prints first what it is going to do
    return words.removeprefix("Error: ").removeprefix("Error response from daemon: ")
