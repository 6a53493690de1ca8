"""Engines. To add one, write a class that implements `Engine`, and name it here."""

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from puller.engine.endpoint import DOCKER, EngineAddress, locate, other_sockets
from puller.engine.interface import Engine
from puller.errors import EngineUnreachableError
from puller.settings import BackendChoice
from puller.system.credentials import Keyring

__all__ = ["EngineAddress", "connect", "locate"]

_WAYS = {
    BackendChoice.API: ("api.engine", "ApiEngine"),
    BackendChoice.SDK: ("api.docker_py", "SdkEngine"),
    BackendChoice.CLI: ("cli.engine", "CliEngine"),
}
"""The module and the class of each way, which is imported when it is chosen."""


def connect(
    address: EngineAddress,
    choice: BackendChoice = BackendChoice.AUTO,
    *,
    docker_command: str = DOCKER,
    connections: int = 3,
    keyring: Keyring | None = None,
) -> Engine:
    """Connect to the engine for as many concurrent pulls as `connections`; raises EngineUnreachableError.

    `auto` means the API if it answers and `docker_command` is docker, otherwise the command. The API takes the user's
    credentials from `keyring`; the command has its own.
    """
    try:
        if choice is BackendChoice.CLI or (choice is BackendChoice.AUTO and docker_command != DOCKER):
            return _imported(BackendChoice.CLI)(address, docker_command)
        way = BackendChoice.API if choice is BackendChoice.AUTO else choice
        return _imported(way)(address, connections, keyring)
    except EngineUnreachableError as error:
        if choice is BackendChoice.AUTO and docker_command == DOCKER:
            with suppress(EngineUnreachableError):  # the reason of the API says more than the command's
                return _imported(BackendChoice.CLI)(address, docker_command)
        others = other_sockets(address, os.environ) if address.url.startswith("unix://") else ()
        if not others:
            raise
        words = f"{error}; another engine's socket is at {' and '.join(others)}: DOCKER_HOST=unix://{others[0]} uses it"
        raise EngineUnreachableError(words, kind=error.kind) from None


def _imported(way: BackendChoice) -> Callable[..., Engine]:
    module, name = _WAYS[way]
    made: Callable[..., Engine] = getattr(import_module(f"puller.engine.{module}"), name)
    return made
