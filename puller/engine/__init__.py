"""Engines. To add one, write a class that implements `Engine`, and use it in `connect`."""

from puller.engine.api.engine import ApiEngine
from puller.engine.cli.engine import CliEngine
from puller.engine.endpoint import DOCKER, EngineAddress, locate
from puller.engine.interface import Engine
from puller.errors import EngineUnreachableError
from puller.settings import BackendChoice

__all__ = ["EngineAddress", "connect", "locate"]


def connect(
    address: EngineAddress,
    choice: BackendChoice = BackendChoice.AUTO,
    *,
    docker_command: str = DOCKER,
    connections: int = 3,
) -> Engine:
    """Connect to the engine for so many concurrent pulls; raises EngineUnreachableError.

    `auto` means the API if it answers and `docker_command` is docker, otherwise the command.
    """
    if choice is BackendChoice.CLI or (choice is BackendChoice.AUTO and docker_command != DOCKER):
        return CliEngine(address, docker_command)
    try:
        return ApiEngine(address, connections)
    except EngineUnreachableError:
        if choice is BackendChoice.SDK:
            raise
        try:
            return CliEngine(address, docker_command)
        except EngineUnreachableError:
            pass  # the reason of the API says more than the command's
        raise
