"""The ways to an engine. Adding one is a file that fulfils `Backend`, and a line in `connect`."""

import os
from pathlib import PurePath

from puller.engine.api.engine import ApiEngine
from puller.engine.cli.engine import CliEngine
from puller.engine.endpoint import address, resolve
from puller.engine.interface import Engine
from puller.errors import EngineUnreachableError
from puller.settings import BackendChoice

_DOCKER = "docker"


def connect(
    choice: BackendChoice, *, docker_command: str = _DOCKER, context: str | None = None, connections: int = 3
) -> Engine:
    """Reach the engine, or raise EngineUnreachableError; `connections` is how many pulls will be in flight.

    `auto` takes the SDK when the engine's API answers and no other program than docker is asked for, else the CLI.
    """
    if choice is BackendChoice.CLI or (choice is BackendChoice.AUTO and docker_command != _DOCKER):
        return _cli(docker_command, context)
    try:
        return ApiEngine(resolve(context, os.environ), connections)
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


def _cli(command: str, context: str | None) -> Engine:

    return CliEngine(command, context)
