"""An engine that does not answer a question of ours, in one line and with the right exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.errors import EngineError, EngineUnreachableError, PullerError
from puller.failure import classify, failure
from puller.model import ENGINE_GONE


@contextmanager
def asking() -> Iterator[None]:
    """Raise EngineUnreachableError for an engine that has gone, PullerError for one that says something else."""
    try:
        yield
    except EngineError as error:
        why = failure(error.kind, error.message) if error.kind else classify(error.message, error.status)
        kind = EngineUnreachableError if why.kind in ENGINE_GONE else PullerError
        raise kind(f"the engine does not say what it holds: {why.message}") from None
