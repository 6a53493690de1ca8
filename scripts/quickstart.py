"""The part of scripts/quickstart that is easier in Python: the engine, the registry, the list and the two runs.

It takes one word: `probe` tells (exit code 0) whether the user's own engine can be used, `own` and `throwaway` run
the demonstration on that engine or on one started for it. Everything it starts ends with it, also on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import DockerException

from puller.engine.endpoint import resolve
from puller.errors import PullerError
from tests.lab import Engine, Registry, WorldError, layer, push_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

COMMAND = ("puller", "pull", "images.txt", "-j", "3")
IMAGES = (
    "shop/web:1.4", "shop/api:2.0", "shop/search:2.0", "shop/mail:0.9", "shop/jobs:2.0",
    "tools/backup:7", "tools/lint:3.1", "base/python:3.11", "base/node:22",
)  # fmt: skip
BASE_BYTES, OWN_BYTES = 4 << 20, 1 << 20
ANSWER_SECONDS, GRACE_SECONDS = 10, 3
FAILED = 1


def main() -> int:
    """Do what the one argument says."""
    _stop_on_signals()
    try:
        if sys.argv[1:] == ["probe"]:
            return 0 if _own_engine_serves() else FAILED
        with ExitStack() as stack:
            code = _demonstrate(stack, own=sys.argv[1:] == ["own"])
    except WorldError as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return FAILED
    program = os.path.relpath(_program())
    print(f"\nEverything throwaway is stopped and removed. Your turn: {program} pull YOUR-LIST -j 3")
    return code


def _demonstrate(stack: ExitStack, *, own: bool) -> int:
    """Pull the made-up images twice; the exit code is puller's own."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="puller-")))
    registry = stack.enter_context(Registry())
    images = _fill(registry)
    environment = _environment()
    if own:
        client = _own_engine()
        print(f"Engine: yours, {client.version()['Version']}")
        stack.enter_context(_removed_afterwards(client, images))
    else:
        engine = stack.enter_context(Engine())
        print(f"Engine: a throwaway one, {engine.version()}")
        # The user's credentials and contexts have nothing to do with it.
        environment = {name: value for name, value in environment.items() if not name.startswith("DOCKER_")}
        environment |= {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder)}
    print(f"Registry: a throwaway one, {registry.address}")
    (folder / COMMAND[2]).write_text("# the images of our shop\n" + "\n".join(images) + "\n")
    _show("cat", COMMAND[2])
    print((folder / COMMAND[2]).read_text(), end="")
    code = _run(folder, environment)
    print("\nThe same again. Nothing has changed in the registry, so there is nothing to do:")
    return _run(folder, environment) or code


def _run(folder: Path, environment: Mapping[str, str]) -> int:
    """Show the command line, run it, and return its exit code."""
    _show(*COMMAND)
    child = subprocess.Popen([_program(), *COMMAND[1:]], cwd=folder, env=environment)
    try:
        return child.wait()
    except SystemExit:
        # Ctrl-C in a terminal has reached it as well, a signal for this process alone has not.
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        child.terminate()
        child.wait()
        raise


def _program() -> Path:
    """Where the puller of this virtual environment is."""
    return Path(sys.executable).with_name(COMMAND[0])


def _show(*command: str) -> None:
    """Print a command line as if somebody had typed it."""
    print("\n$", *command, flush=True)


def _fill(registry: Registry) -> list[str]:
    """Push the made-up images, which share two bases, and return how an engine asks for them."""
    bases = [layer(f"quickstart base {number}", BASE_BYTES) for number in range(2)]
    references = []
    for number, name in enumerate(IMAGES):
        repository, _, tag = name.partition(":")
        own = layer(f"quickstart {name}", OWN_BYTES)
        references.append(push_image(registry, repository, tag, (bases[number % 2], own)).reference)
    return references


def _environment() -> dict[str, str]:
    """Return the environment for puller: without its settings and proxies, so that the command is what it seems."""
    drop = ("PULLER_", "PYTHONPATH")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(drop) and not name.lower().endswith("_proxy")
    }


def _own_engine() -> docker.APIClient:
    """Connect to the engine the user's settings name; raises DockerException or PullerError without one."""
    address = resolve(None, os.environ)
    if address.tls:
        raise PullerError("an engine behind TLS is on another machine")
    return docker.APIClient(base_url=address.url, version="auto", timeout=ANSWER_SECONDS)


def _own_engine_serves() -> bool:
    """Tell whether there is one, and whether it sees this machine's loopback: many run in a virtual machine."""
    try:
        client = _own_engine()
        with Registry() as registry:
            image = push_image(registry, "probe")
            client.inspect_distribution(image.reference)  # type: ignore[no-untyped-call]
    except (DockerException, requests.RequestException, PullerError, OSError):
        return False
    return True


@contextmanager
def _removed_afterwards(client: docker.APIClient, images: list[str]) -> Iterator[None]:
    """Leave the user's engine without the images of the demonstration, however the block ends."""
    try:
        yield
    finally:
        for image in images:
            with suppress(DockerException, requests.RequestException):
                client.remove_image(image)


def _stop_on_signals() -> None:
    """Turn the signals that end a program into SystemExit, once: what follows is cleaning up."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in signals:
        signal.signal(each, stop)


if __name__ == "__main__":
    sys.exit(main())
