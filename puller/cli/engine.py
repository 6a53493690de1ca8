"""The engine of a verb, by the options `engine_options`."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from puller.engine import EngineAddress, connect, locate
from puller.engine.interface import Engine
from puller.errors import EngineError, EngineUnreachableError, PullerError
from puller.failure import failure_of
from puller.model import ENGINE_GONE
from puller.settings import BackendChoice


def address_of(options: Mapping[str, Any]) -> EngineAddress:
    """Return the engine's address without asking the engine; raises UsageError for a bad context."""
    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    return locate(choice, docker_command=command, context=options["context"])


@contextmanager
def engine_at(address: EngineAddress, options: Mapping[str, Any], connections: int = 3) -> Iterator[Engine]:
    """Connect to the engine, and close it after the block; raises EngineUnreachableError."""
    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    with closing(connect(address, choice, docker_command=command, connections=connections)) as engine:
        yield engine


@contextmanager
def fatal_engine_errors() -> Iterator[None]:
    """Turn an EngineError in the block into EngineUnreachableError (exit code 69) or PullerError (exit code 1)."""
    try:
        yield
    except EngineError as error:
        why = failure_of(error)
        kind = EngineUnreachableError if why.kind in ENGINE_GONE else PullerError
        raise kind(f"the engine cannot list its images: {why.message}") from None
