"""The ways to an engine. To add one, write a file that fulfils `Engine`, and name it in `connect`."""

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
    """Reach the engine, or raise EngineUnreachableError; `connections` is how many pulls will be in flight.

    `auto` takes the SDK when the engine's API answers and no other program than docker is asked for, else the CLI.
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
            pass  # the SDK's own reason says more than the CLI's
        raise
