"""EngineErrors that end a command: one line for the user and the right exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.errors import EngineError, EngineUnreachableError, PullerError
from puller.failure import engine_failure
from puller.model import ENGINE_GONE


@contextmanager
def fatal_engine_errors() -> Iterator[None]:
    """Turn an EngineError in the block into EngineUnreachableError (exit code 69) or PullerError (exit code 1)."""
    try:
        yield
    except EngineError as error:
        why = engine_failure(error)
        kind = EngineUnreachableError if why.kind in ENGINE_GONE else PullerError
        raise kind(f"the engine cannot list its images: {why.message}") from None
