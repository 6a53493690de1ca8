"""An engine by its command, which is docker, podman or nerdctl: one process for each pull and each question."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import PurePath
from typing import Any

from puller.cancellation import Cancellation
from puller.engine import responses
from puller.engine.cli.terminal import is_drawing, last_words, read
from puller.engine.endpoint import DOCKER, EngineAddress
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.model import Container, LocalImages
from puller.engine.progress import PullStream
from puller.engine.responses import JsonImageStore, inspected_name, read_json, readable
from puller.engine.timeouts import AttemptTimer, LastActivity, shares_downloads
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.system import process
from puller.text import clean, plain_error

_PROBES = {
    "podman": ("info", "--format", "{{.Version.Version}}"),
    "nerdctl": ("info", "--format", "{{.ServerVersion}}"),
}
_DOCKER_PROBE = ("version", "--format", "{{.Server.Version}} {{(index .Server.Components 0).Name}}")
_PROBE_SECONDS = 30.0
_FACTS_SECONDS = 5.0
_QUICK = 10.0
"""Seconds for questions whose answers help a pull, but are not necessary."""
_ALIVE_SECONDS = 10.0
_LONGEST = 32 << 20
"""Bytes of an output that must be complete: a list of images has some 500 for each."""
_ABSENT = re.compile(r"no such (?:image|object)|image not known", re.IGNORECASE)
"""Messages of docker, nerdctl and podman about a missing image."""
_PLATFORMS = (
    *(
        f"linux/{name}"
        for name in ("arm64", "amd64", "arm/v7", "arm/v6", "386", "ppc64le", "riscv64", "s390x", "loong64")
    ),
    "windows/amd64",
)
"""Platforms of images in common use."""
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
        self._closing = Cancellation()
        self._argv = (command, *(("--context", address.context) if address.context else ()))
        self._version = self._probe(_PROBE_SECONDS)
        # podman and nerdctl never print "up to date"; the image before the pull is compared with the one after it.
        self._silent = self._program in _PROBES or "podman" in self._version.lower()
        self._activity = LastActivity(shared=not self._silent and shares_downloads(self._version))
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
        stream = PullStream(request, progress, timer)

        def on_line(line: str) -> None:
            if not self._silent and is_drawing(line):
                timer.coarse = False
            if message := read(line):
                stream.feed(*message)

        def on_tick(unfinished: str) -> None:
            if _PROMPT.search(unfinished):  # docker 28 prompts after a 401
                words = "unauthorized: the registry requires a login; the command prompted for a user name"
                raise EngineError(words, kind=FailureKind.UNAUTHORIZED)
            timer.check()
            stream.tick()

        platform = ("--platform", str(request.platform)) if request.platform else ()
        try:
            with closing(stream):
                done = process.run(
                    (*self._argv, "pull", *platform, inspected_name(reference)),
                    environment=self._environment,
                    cancel=cancel,
                    terminal=not self._silent,
                    on_line=on_line,
                    on_tick=on_tick,
                )
        except OSError as error:
            raise EngineError(
                f"{self._program} cannot be run: {plain_error(error)}", kind=FailureKind.DAEMON_UNREACHABLE
            ) from None
        if done.code != 0:
            raise EngineError(_words(done))
        return stream.pulled(before, lambda: self.inspect(reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        try:
            done = self._ask(("image", "inspect", inspected_name(reference)), _QUICK, cancel)
            if done.code != 0:
                return NOTHING if _ABSENT.search(done.stderr) else None
            with readable("description of an image"):
                return self.store.inspected(read_json(done.stdout)[0], reference)
        except (EngineError, OSError, TimeoutError):
            return None

    def alive(self) -> bool:
        try:
            self._probe(_ALIVE_SECONDS)
        except EngineUnreachableError:
            return False
        return True

    def close(self) -> None:
        self._closing.cancel("the engine is closed")

    def _ask(self, arguments: Sequence[str], seconds: float, cancel: Cancellation) -> process.Completed:
        argv = (*self._argv, *arguments)
        return process.run(argv, environment=self._environment, cancel=cancel, timeout=seconds, keep=_LONGEST)

    def _run(self, *arguments: str, seconds: float = _PROBE_SECONDS) -> str:
        try:
            done = self._ask(arguments, seconds, self._closing)
        except FileNotFoundError:
            raise EngineError(f"{self._argv[0]}: command not found", kind=FailureKind.CLIENT_MISSING) from None
        except (OSError, TimeoutError) as error:
            kind = FailureKind.TIMEOUT if isinstance(error, TimeoutError) else None
            reason = plain_error(error) or f"no answer within {seconds:g}s"
            words = f"{self._program} {arguments[0]} failed: {reason}"
            raise EngineError(words, kind=kind, otherwise=FailureKind.DAEMON_UNREACHABLE) from None
        if done.code != 0:
            raise EngineError(_words(done))
        return done.stdout

    def _probe(self, seconds: float) -> str:
        try:
            return clean(self._run(*_PROBES.get(self._program, _DOCKER_PROBE), seconds=seconds)) or "?"
        except EngineError as error:
            raise EngineUnreachableError(clean(error.message), kind=error.kind) from None


class CliImageStore(JsonImageStore):
    """`ImageStore` by `docker image …` and its like."""

    def __init__(self, run: Callable[..., str], program: str, *, local: bool) -> None:
        """`run` runs the program with arguments and returns its output, or raises EngineError."""
        super().__init__(local=local)
        self._run = run
        self._podman = program == "podman"
        self._form = "json" if self._podman else "{{json .}}"

    def holdings(self) -> LocalImages:
        with readable("list of images"):
            rows = self._listed("image", "ls", "--no-trunc", "--digests")
            return responses.read_images(rows) if self._podman else responses.read_rows(rows)

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        options = () if self._podman else ("--no-trunc", "--human=false")
        try:
            return responses.read_layer_sizes(self._listed("history", *options, identity))
        except (ValueError, AttributeError, TypeError):  # nerdctl prints sizes with units
            return ()

    def containers(self, tries: int = 3) -> tuple[Container, ...]:
        identities = self._run("ps", "--all", "--quiet", "--no-trunc").split()
        try:
            output = self._run("container", "inspect", *identities) if identities else "[]"
        except EngineError:  # a container may have gone away meanwhile
            if tries == 1:
                raise
            return self.containers(tries - 1)
        with readable("list of containers"):
            return tuple(Container(str(each["Name"]).lstrip("/"), str(each["Image"])) for each in read_json(output))

    def tag(self, source: str, target: ImageReference) -> None:
        self._run("tag", source, f"{target.name}:{target.tag or 'latest'}")

    def untag(self, name: str) -> None:
        self._run("rmi", name, seconds=responses.REMOVE_SECONDS)

    def _listed(self, *arguments: str) -> list[Any]:
        """Run a command that prints a list: podman prints an array, docker and nerdctl a line for each."""
        output = self._run(*arguments, "--format", self._form)
        return list(read_json(output)) if self._podman else [read_json(line) for line in output.splitlines() if line]

    def _info(self) -> Any:
        return read_json(self._run("info", "--format", self._form, seconds=_FACTS_SECONDS))

    def _listed_platforms(self, identities: Sequence[str]) -> dict[str, Platform]:
        found: dict[str, Platform] = {}
        for platform in map(Platform.parse, _PLATFORMS):  # no command lists them
            left = [identity for identity in identities if identity not in found]
            found |= dict.fromkeys(self._inspect(left, platform), platform)
        return found

    def _inspect(self, identities: Sequence[str], platform: Platform | None = None) -> Mapping[str, Any]:
        """Run one command for all images, or if one of them is missing a command for each."""
        if not identities:
            return {}
        try:
            options = ("--platform", str(platform)) if platform else ()
            images = read_json(self._run("image", "inspect", *options, *identities))
        except EngineError as error:
            # "platform": the image lacks it, or an older program does not know the option.
            if not _ABSENT.search(error.message) and "platform" not in error.message.lower():
                raise
            if len(identities) == 1:
                return {}
            return {key: value for each in identities for key, value in self._inspect((each,), platform).items()}
        return dict(zip(identities, images, strict=True))


def _words(done: process.Completed) -> str:
    """Return the error message of a failed command, without the prefixes that say only that it failed."""
    words = done.stderr.strip() or last_words(done.stdout) or f"exit code {done.code}"
    words = words[max(words.find("\nError: "), 0) :].strip()  # podman prints first what it is going to do
    return words.removeprefix("Error: ").removeprefix("Error response from daemon: ")
