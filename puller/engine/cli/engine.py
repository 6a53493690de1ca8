"""The engine through its command line: docker, podman or nerdctl, one process for each pull."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import PurePath

from puller.cancellation import Cancellation
from puller.engine.cli.images import CliImageStore
from puller.engine.cli.terminal import is_drawing, last_words, read
from puller.engine.endpoint import is_local, resolve
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.progress import PullStream, inspected, inspected_name
from puller.engine.responses import read_platform
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, EngineUnreachableError, FailureKind, UsageError
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
"""Bytes of an answer that must be whole: the list of all images has some 500 for each."""
_ABSENT = re.compile(r"no such (?:image|object)|image not known", re.IGNORECASE)
"""What docker and nerdctl, and podman, say of an image that they do not have."""
_PROMPT = re.compile(r"(?:Username|Password)(?: \([^)]*\))?: ?$")


class CliEngine:
    """Pulls by `docker pull` and its like. Docker gets a terminal, since it tells bytes to nothing else.

    Of podman and nerdctl, and of a docker that draws nothing, only lines are heard: their silence while layers are
    fetched is measured as it is while they unpack.
    """

    def __init__(self, command: str = "docker", context: str | None = None) -> None:
        """Ask the program for its engine; raises EngineUnreachableError, or UsageError for a bad context."""
        self._program = PurePath(command).name or command
        self._environment: Mapping[str, str] = dict(os.environ)
        endpoint = None
        if self._program == "docker":
            endpoint = resolve(context, self._environment)
        elif context:
            raise UsageError(f"--context belongs to docker: {self._program} has none")
        self._argv = (command, *(("--context", context) if context else ()))
        self._version = self._probe(_PROBE_SECONDS)
        # podman and nerdctl never say "up to date": what the engine had before the pull tells it.
        self._silent = self._program in _PROBES or "podman" in self._version.lower()
        self._pulse = LastActivity()
        self.store = CliImageStore(self._run, self._program, local=is_local(endpoint.host if endpoint else None))

    @property
    def engine(self) -> str:
        """The engine's version, and the program that leads to it."""
        return f"engine {self._version.split()[0]} through the {self._program} command"

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Run one pull; see `Backend.pull`."""
        reference = request.reference
        before = self.inspect(reference, cancel=cancel) if self._silent else NOTHING
        watch = AttemptTimer(clocks, self._pulse, coarse=True)
        hearing = _Hearing(PullStream(request, progress, watch), watch, draws=not self._silent)
        platform = ("--platform", str(request.platform)) if request.platform else ()
        try:
            done = process.run(
                (*self._argv, "pull", *platform, inspected_name(reference)),
                environment=self._environment,
                cancel=cancel,
                terminal=not self._silent,
                on_line=hearing.line,
                on_tick=hearing.tick,
            )
        except OSError as error:
            raise EngineError(f"{self._program} cannot be run: {error}", kind=FailureKind.DAEMON_UNREACHABLE) from None
        if done.code != 0:
            raise EngineError(_words(done))
        return hearing.stream.pulled(before, lambda: self.inspect(reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Run one `image inspect`; see `Backend.inspect`."""
        field = "ID" if self._program in _PROBES else "Id"  # podman and nerdctl name the Go field, docker the JSON key
        fields = [field, "RepoDigests", "Os", "Architecture"]  # a Variant makes docker fail where there is none
        if self._program == "podman":
            fields.append("Digest")  # what the tag stood for; RepoDigests has the platform's manifest as well, sorted
        form = f"[{','.join(f'{{{{json .{field}}}}}' for field in fields)}]"
        arguments = ("image", "inspect", "--format", form, inspected_name(reference))
        try:
            done = process.run(
                (*self._argv, *arguments), environment=self._environment, cancel=cancel, timeout=_PROBE_SECONDS
            )
            if done.code != 0:
                return NOTHING if _ABSENT.search(done.stderr) else None
            identity, digests, *rest = json.loads(done.stdout)
            first = rest[2:]
            digests = sorted(digests or (), key=lambda name: name.rpartition("@")[2] not in first)
            return inspected(identity, digests, reference, _platform(*rest[:2]))
        except (OSError, TimeoutError, TypeError, ValueError):
            return None

    def alive(self) -> bool:
        """Ask the program for its engine's version."""
        try:
            self._probe(_ALIVE_SECONDS)
        except EngineUnreachableError:
            return False
        return True

    def close(self) -> None:
        """Nothing to let go of: each process has ended with its pull."""

    def _run(self, *arguments: str, seconds: float = _PROBE_SECONDS) -> str:
        try:
            done = process.run(
                (*self._argv, *arguments),
                environment=self._environment,
                cancel=Cancellation(),
                timeout=seconds,
                keep=_LONGEST,
            )
        except (OSError, TimeoutError) as error:
            raise EngineError(f"{self._program} cannot be asked: {error}") from None
        if done.code != 0:
            raise EngineError(_words(done))
        return done.stdout

    def _probe(self, seconds: float) -> str:
        arguments = _PROBES.get(self._program, _DOCKER_PROBE)
        try:
            done = process.run(
                (*self._argv, *arguments),
                environment=self._environment,
                cancel=Cancellation(),
                timeout=seconds,
            )
        except FileNotFoundError:
            words = f"{self._argv[0]}: command not found"
            raise EngineUnreachableError(words, kind=FailureKind.CLIENT_MISSING) from None
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {seconds:g}s"
            raise EngineUnreachableError(f"{self._program} cannot be asked: {reason}") from None
        if done.code != 0:
            raise EngineUnreachableError(clean(done.stderr or done.stdout) or f"{self._program} exits with {done.code}")
        return clean(done.stdout) or "?"


class _Hearing:
    """Hears one program while it pulls."""

    def __init__(self, stream: PullStream, watch: AttemptTimer, *, draws: bool) -> None:
        self.stream = stream
        self._watch = watch
        self._draws = draws

    def line(self, line: str) -> None:
        if self._draws and is_drawing(line):
            self._watch.coarse = False
        if message := read(line):
            self.stream.feed(message.status, message.layer, message.current, message.total)

    def tick(self, unfinished: str) -> None:
        """End a program that asks for a login: since CLI 28 a 401 makes it wait for an answer that never comes."""
        if _PROMPT.search(unfinished):
            message = "unauthorized: the registry wants a login, and the command asked for a user name"
            raise EngineError(message, kind=FailureKind.UNAUTHORIZED)
        self._watch.check()


def _platform(system: str = "", machine: str = "") -> Platform | None:
    """Make a platform of what was inspected; 32 bits of arm without a variant may be any."""
    return None if machine == "arm" else read_platform(system, machine)


def _words(done: process.Completed) -> str:
    """Find the reason in what a failed command said, without the prefixes that say only that it failed."""
    words = done.stderr.strip() or last_words(done.stdout) or f"exit code {done.code}"
    words = words[max(words.find("\nError: "), 0) :].strip()  # podman tells first what it is about to do
    return words.removeprefix("Error: ").removeprefix("Error response from daemon: ")
