"""Stand-ins for an engine: a scripted backend in memory, one behind a socket, and a `docker` that is a script."""

import json
import re
import shlex
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from puller.cancellation import Cancellation, interruptible
from puller.engine.interface import NOTHING, Engine, ImageStore, InspectedImage, ProgressSink
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.events import Observer, ignore
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullOutcome, PullRequest, Report
from puller.pull.session import PullSession
from puller.registry.resolver import Resolver
from puller.settings import Settings, Timeouts
from tests.lab.samples import DIGEST

PULLED = EngineResult(DIGEST, up_to_date=False)
UP_TO_DATE = EngineResult(DIGEST, up_to_date=True)

Result = EngineResult | BaseException | Callable[[Cancellation], EngineResult]
"""What one attempt does: end well, raise, or whatever a function does with the run's cancellation."""


class FakeStore:
    """Images that an engine was told to hold, and a record of what was done to their names."""

    def __init__(
        self,
        holdings: LocalImages | None = None,
        facts: EngineInfo | None = None,
        platforms: Mapping[str, Sequence[Platform]] | None = None,
        contents: Sequence[ImageContents] = (),
    ) -> None:
        """`platforms` is what each image's ID holds, `contents` what it is made of."""
        self.made_of = {content.identity: content for content in contents}
        self.held = holdings or LocalImages()
        self.has = dict(platforms or {})
        self.inspected: list[tuple[tuple[str, ...], Platform | None]] = []
        self.said = facts or EngineInfo()
        self.tagged: list[tuple[str, str]] = []
        self.untagged: list[str] = []
        self.questions = 0

    def holdings(self) -> LocalImages:
        """Say what it was told."""
        self.questions += 1
        return self.held

    def facts(self) -> EngineInfo:
        """Say what it was told."""
        return self.said

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Say what it was told, in that order: the platform asked for where it has that, else the first."""
        self.inspected.append((tuple(identities), asked))
        has = {identity: self.has[identity] for identity in identities if self.has.get(identity)}
        return {identity: asked if asked and asked in held else held[0] for identity, held in has.items()}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Say what it was told."""
        return tuple(self.made_of[identity] for identity in identities if identity in self.made_of)

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Tell nothing."""
        return ()

    def containers(self) -> tuple[Container, ...]:
        """Say that there are none."""
        return ()

    def tag(self, source: str, target: ImageReference) -> None:
        """Remember it."""
        self.tagged.append((source, target.canonical))

    def untag(self, name: str) -> None:
        """Remember it."""
        self.untagged.append(name)


class FakeBackend:
    """An engine that does at once what its script says; the last result of a reference is for all later attempts."""

    def __init__(
        self,
        script: "Mapping[str, Sequence[Result] | Result] | None" = None,
        otherwise: Result = PULLED,
        *,
        has: "Mapping[str, InspectedImage] | None" = None,
        answers: Sequence[bool] = (True,),
        store: FakeStore | None = None,
    ) -> None:
        """`has` is what it says it has, where that differs from what it pulled; `answers` is for `alive`, in order."""
        self.store: ImageStore = store or FakeStore()
        self._has = dict(has or {})
        self._pulled: dict[str, InspectedImage] = {}
        self._answers = answers
        self.probes = 0
        """How often it was asked whether it is alive; the last answer is for all later times."""
        self._script: dict[str, Sequence[Result]] = {
            text: [one] if isinstance(one, EngineResult | BaseException) or callable(one) else one
            for text, one in (script or {}).items()
        }
        self._otherwise = otherwise
        self._lock = threading.Lock()
        self._now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        """The most pulls that were in flight at once, by registry, and over all of them under the name `""`."""
        self.attempts: dict[str, int] = {}
        """How often each reference was tried, as it was typed."""
        self.clocks: set[Timeouts] = set()
        self.closed = False

    @property
    def engine(self) -> str:
        """A name that no engine has."""
        return "engine 0 (a fake)"

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Do what the script says for this reference and attempt."""
        result = self._enter(request, clocks)
        try:
            if isinstance(result, BaseException):
                raise result
            pulled = result if isinstance(result, EngineResult) else result(cancel)
            with self._lock:
                digests = (pulled.digest,) if pulled.digest else ()
                self._pulled[request.reference.text] = InspectedImage("sha256:" + "1" * 64, digests)
            return pulled
        finally:
            self._leave(request)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Say what it was told to have, or else what it has pulled."""
        with self._lock:
            return self._has.get(reference.text) or self._pulled.get(reference.text, NOTHING)

    def alive(self) -> bool:
        """Give the next of its answers."""
        with self._lock:
            self.probes += 1
            return self._answers[min(self.probes, len(self._answers)) - 1]

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _enter(self, request: PullRequest, clocks: Timeouts) -> Result:
        text = request.reference.text
        with self._lock:
            self.clocks.add(clocks)
            number = self.attempts[text] = self.attempts.get(text, 0) + 1
            for name in ("", request.reference.registry):
                self._now[name] = self._now.get(name, 0) + 1
                self.most[name] = max(self.most.get(name, 0), self._now[name])
            results = self._script.get(text, [self._otherwise])
            return results[min(number, len(results)) - 1]

    def _leave(self, request: PullRequest) -> None:
        with self._lock:
            for name in ("", request.reference.registry):
                self._now[name] -= 1


def pull_all(
    requests: Sequence[PullRequest],
    engine: Engine,
    settings: Settings,
    *,
    observer: Observer = ignore,
    rejected: Sequence[PullOutcome] = (),
    registries: Resolver | None = None,
) -> Report:
    """Pull in one session, without a look at any disk; an interrupt cancels it."""
    cancel = Cancellation()
    settings = settings._replace(disk_check=False)
    with PullSession(engine, registries or Resolver(), settings, observer, cancel=cancel) as session:
        return interruptible(lambda: session.pull(requests, rejected), cancel)


def until_cancelled(cancel: Cancellation) -> EngineResult:
    """Hang as an engine does whose registry never answers, until the run is stopped."""
    stopped = threading.Event()
    with cancel.hook(stopped.set):
        stopped.wait()
    cancel.check()
    raise AssertionError


HANG = "sleep 3600"
PROMPT = f"printf 'Login prior to pull:\\nUsername: '; {HANG}"
STUBBORN = f"trap '' TERM; printf 'abcdef012345: Downloading\\n'; {HANG}"
FLOOD = "dd if=/dev/zero bs=1048576 count=10 2>/dev/null | tr '\\0' 'x'"
DOCKER_VERSION = "echo '28.5.2 Engine'"


def complain(message: str, code: int = 1) -> str:
    """Fail as a program does: words on standard error, and an exit code."""
    return f"{say(message)} >&2\nexit {code}"


def say(*lines: str) -> str:
    """Print lines, without a process for that."""
    return f"printf '%s\\n' {shlex.join(lines)}"


def good_pull(*layers: str, digest: str = DIGEST, status: str = "Downloaded newer image for x") -> str:
    """Print what `docker pull` prints, without a terminal, when all is well."""
    lines = [
        f"{layer}: {word}" for layer in layers for word in ("Pulling fs layer", "Download complete", "Pull complete")
    ]
    return say("latest: Pulling from x", *lines, f"Digest: {digest}", f"Status: {status}", "docker.io/x")


HAS_EVERYTHING = f"""case "$2" in inspect) echo '[{{"Id": "sha256:{"1" * 64}"}}]' ;; *) exit 1 ;; esac"""
"""Describe any image that is asked for, without its digests, and list none."""


def draw(layer: str, status: str) -> str:
    """Draw one line as docker does on a terminal: up, erase, write, down."""
    return f"printf '\\033[1A\\033[2K\\r{layer}: {status} \\r\\033[1B'"


Script = Callable[["EngineAnswer"], None]


class EngineAnswer(BaseHTTPRequestHandler):
    """One request to a made-up engine, and the means to answer it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Do what the script says."""
        engine: FakeEngine = self.server.engine  # type: ignore[attr-defined]
        path = re.sub(r"^/v[\d.]+", "", self.path)
        engine.asked.append(unquote(path))
        script = next((script for start, script in engine.scripts.items() if path.startswith(start)), None)
        with suppress(OSError):
            script(self) if script else self.answer(b"", 404)

    do_POST = do_DELETE = do_GET  # noqa: N815 - likewise

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer at once."""
        self.begin(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def begin(self, status: int = 200, **headers: str) -> None:
        """Send the head of an answer."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def message(self, **fields: object) -> None:
        """Send one message of a stream that was begun with Transfer_Encoding="chunked"; none ends it."""
        data = json.dumps(fields).encode() + b"\r\n" if fields else b""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def ping(answer: EngineAnswer) -> None:
    """Answer as an engine does that is well."""
    answer.answer(b"OK", Api_Version="1.41", Server="Docker/0.1 (linux)")


class FakeEngine:
    """An engine behind a socket that does what its scripts say; the longest path that fits must come first."""

    def __init__(self, folder: Path, scripts: Mapping[str, Script]) -> None:
        self.scripts = {"/_ping": ping, **scripts}
        self.asked: list[str] = []
        """The paths of all requests, without the API's version."""
        self._path = folder / "engine.sock"
        self.host = f"unix://{self._path}"

    def __enter__(self) -> Self:
        """Listen."""
        self._server = socketserver.ThreadingUnixStreamServer(str(self._path), EngineAnswer)
        self._server.daemon_threads = True
        self._server.engine = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; what is under way ends with its client."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink()


class FakeProgram:
    """A program that records how it is called and runs one piece of shell for each verb."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "docker",
        version: str = DOCKER_VERSION,
        pull: str = good_pull(),
        inspect: str = HAS_EVERYTHING,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.path = folder / name
        self._log = folder / f"{name}.log"
        self._environment = folder / f"{name}.env"
        self.path.write_text(
            f"""#!/bin/sh
{{ printf '%s\\037' "$@"; echo; }} >> '{self._log}'
env > '{self._environment}'
[ "$1" = --context ] && shift 2
case "$1" in
version|info)
{version}
;;
pull)
{pull}
;;
image)
{inspect}
;;
*)
exit 64
esac
"""
        )
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        if not self._log.exists():
            return []
        return [line.removesuffix("\x1f").split("\x1f") for line in self._log.read_text().splitlines()]

    @property
    def pulls(self) -> list[list[str]]:
        """The arguments of the calls that pulled."""
        return [call for call in self.calls if "pull" in call]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the last call."""
        lines = self._environment.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def python(program: str) -> list[str]:
    """Give the command line of a short Python program that starts quickly."""
    return [sys.executable, "-IS", "-c", program]
