"""The engine through its command line: docker, podman or nerdctl, one process for each pull."""

import json
import os
import re
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from puller.backends import process
from puller.backends.endpoint import resolve
from puller.backends.stream import NOTHING, Inspected, PullStream, repo_digest
from puller.cancellation import Cancellation
from puller.errors import EngineError, EngineUnreachableError, FailureKind, UsageError
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from puller.backends.base import ProgressSink
    from puller.config import Clocks
    from puller.model import Pulled, PullRequest
    from puller.reference import ImageReference

_PROBES = {
    "podman": ("info", "--format", "{{.Version.Version}}"),
    "nerdctl": ("info", "--format", "{{.ServerVersion}}"),
}
_DOCKER_PROBE = ("version", "--format", "{{.Server.Version}} {{(index .Server.Components 0).Name}}")
_PROBE_SECONDS = 30.0
_LAYER = re.compile(r"([0-9a-f]{12}): (.+)")
_PROMPT = re.compile(r"(?:Username|Password)(?: \([^)]*\))?: ?$")


class CliBackend:
    """Pulls by `docker pull` and its like; progress is as fine as the program's lines: layers, not bytes."""

    def __init__(self, command: str = "docker", context: str | None = None) -> None:
        """Ask the program for its engine; raises EngineUnreachableError, or UsageError for a bad context."""
        self._program = PurePath(command).name or command
        self._environment: Mapping[str, str] = dict(os.environ)
        if self._program == "docker":
            resolve(context, self._environment)
        elif context:
            raise UsageError(f"--context belongs to docker: {self._program} has none")
        self._argv = (command, *(("--context", context) if context else ()))
        probe = _PROBES.get(self._program, _DOCKER_PROBE)
        self._version = self._probe(probe)
        # podman and nerdctl never say "up to date": what the engine had before the pull tells it.
        self._silent = self._program in _PROBES or "podman" in self._version.lower()

    @property
    def engine(self) -> str:
        """The engine's version, and the program that leads to it."""
        return f"engine {self._version.split()[0]} through the {self._program} command"

    def pull(
        self,
        request: "PullRequest",
        *,
        cancel: Cancellation,
        clocks: "Clocks",
        progress: "ProgressSink",
    ) -> "Pulled":
        """Run one pull; see `Backend.pull`."""
        reference = request.reference
        before = self._inspect(reference, cancel) if self._silent else NOTHING
        stream = PullStream(request, progress)
        platform = ("--platform", str(request.platform)) if request.platform else ()
        try:
            done = process.run(
                (*self._argv, "pull", *platform, reference.canonical),
                environment=self._environment,
                cancel=cancel,
                timeout=clocks.attempt,
                on_line=partial(_feed, stream),
                on_prompt=_refuse_login,
            )
        except TimeoutError:
            raise EngineError(f"not done within {clocks.attempt:g}s", kind=FailureKind.TIMEOUT) from None
        except OSError as error:
            raise EngineError(f"{self._program} cannot be run: {error}", kind=FailureKind.DAEMON_UNREACHABLE) from None
        if done.code != 0:
            raise EngineError(_words(done))
        return stream.pulled(before, lambda: self._inspect(reference, cancel))

    def close(self) -> None:
        """Nothing to let go of: each process has ended with its pull."""

    def _probe(self, arguments: tuple[str, ...]) -> str:
        try:
            done = process.run(
                (*self._argv, *arguments),
                environment=self._environment,
                cancel=Cancellation(),
                timeout=_PROBE_SECONDS,
            )
        except FileNotFoundError:
            raise EngineUnreachableError(f"{self._argv[0]}: command not found") from None
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {_PROBE_SECONDS:g}s"
            raise EngineUnreachableError(f"{self._program} cannot be asked: {reason}") from None
        if done.code != 0:
            raise EngineUnreachableError(clean(done.stderr or done.stdout) or f"{self._program} exits with {done.code}")
        return clean(done.stdout) or "?"

    def _inspect(self, reference: "ImageReference", cancel: Cancellation) -> Inspected:
        field = "ID" if self._program in _PROBES else "Id"  # podman and nerdctl name the Go field, docker the JSON key
        form = f"[{{{{json .{field}}}}},{{{{json .RepoDigests}}}}]"
        arguments = ("image", "inspect", "--format", form, reference.canonical)
        try:
            done = process.run(
                (*self._argv, *arguments), environment=self._environment, cancel=cancel, timeout=_PROBE_SECONDS
            )
            identity, digests = json.loads(done.stdout)
        except (OSError, TimeoutError, ValueError):
            return NOTHING
        return Inspected(identity, repo_digest(digests or (), reference))


def _feed(stream: PullStream, line: str) -> None:
    if match := _LAYER.fullmatch(line):
        stream.feed(match.group(2), layer=match.group(1))
    else:
        stream.feed(line)


def _refuse_login(partial_line: str) -> None:
    """End a program that asks for a login: since CLI 28 a 401 makes it wait for a terminal that is not there."""
    if _PROMPT.search(partial_line):
        message = "unauthorized: the registry wants a login, and the command asked for a user name"
        raise EngineError(message, kind=FailureKind.UNAUTHORIZED)


def _words(done: process.Completed) -> str:
    """Find the reason in what a failed command said, without the prefixes that say only that it failed."""
    words = done.stderr.strip() or done.stdout.strip() or f"exit code {done.code}"
    words = words[max(words.find("\nError: "), 0) :].strip()  # podman tells first what it is about to do
    return words.removeprefix("Error: ").removeprefix("Error response from daemon: ")
