"""The ways to an engine. Adding one is a file that fulfils `Backend`, and a line in `connect`."""

import os
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from puller.backends.endpoint import address, resolve
from puller.config import BackendChoice
from puller.errors import EngineUnreachableError

if TYPE_CHECKING:
    from puller.backends.base import Backend
    from puller.backends.endpoint import Endpoint
    from puller.backends.unix import Welcome

_DOCKER = "docker"


def connect(
    choice: BackendChoice, *, docker_command: str = _DOCKER, context: str | None = None, connections: int = 3
) -> "Backend":
    """Reach the engine, or raise EngineUnreachableError; `connections` is how many pulls will be in flight.

    `auto` takes the SDK when the engine's API answers and no other program than docker is asked for, else the CLI.
    """
    if choice is BackendChoice.CLI or (choice is BackendChoice.AUTO and docker_command != _DOCKER):
        return _cli(docker_command, context)
    try:
        return _sdk(context, connections)
    except EngineUnreachableError:
        if choice is BackendChoice.SDK:
            raise
        try:
            return _cli(docker_command, context)
        except EngineUnreachableError:
            pass  # the SDK's own reason says more than the CLI's
        raise


def identity(choice: BackendChoice, *, docker_command: str = _DOCKER, context: str | None = None) -> str:
    """Name the engine that `connect` would reach, without reaching it; two ways to one engine have one name.

    podman and nerdctl have a store for each user. Raises UsageError for a bad context.
    """
    program = PurePath(docker_command).name
    if choice is not BackendChoice.SDK and program != _DOCKER:
        return f"{program} of user {os.geteuid()}"
    return address(resolve(context, os.environ).host)


# Imported at use: docker-py takes longer to load than everything else together.


def _sdk(context: str | None, connections: int) -> "Backend":
    from puller.backends.local import LocalBackend, greet, socket_of  # noqa: PLC0415

    endpoint = resolve(context, os.environ)
    path = socket_of(endpoint)
    welcome = greet(path, endpoint) if path else None
    whole = partial(_whole, endpoint, connections, welcome)
    return LocalBackend(path, welcome, whole) if path and welcome else whole()


def _whole(endpoint: "Endpoint", connections: int, welcome: "Welcome | None") -> "Backend":
    from puller.backends.sdk import SdkBackend  # noqa: PLC0415

    return SdkBackend(endpoint, connections, welcome)


def _cli(command: str, context: str | None) -> "Backend":
    from puller.backends.cli import CliBackend  # noqa: PLC0415

    return CliBackend(command, context)
