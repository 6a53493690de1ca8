"""What is said of an engine that does not answer, whichever library found out."""

from puller.errors import EngineError, FailureKind, causes
from puller.text import clean


def of_the_socket(
    error: Exception,
    absent: tuple[type[Exception], ...] = (),
    broken_off: tuple[type[Exception], ...] = (),
) -> EngineError:
    """Say why there was no answer, or no whole one; a socket that does not take us is told by its type.

    `absent` and `broken_off` are what a library raises where nobody listens, and where somebody hangs up.
    """
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, PermissionError):
            return EngineError(f"{cause}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
        if isinstance(cause, (ConnectionRefusedError, FileNotFoundError, *absent)):
            return EngineError(f"the engine is gone: {cause}", kind=FailureKind.DAEMON_UNREACHABLE)
    if broken := [cause for cause in found if isinstance(cause, (ConnectionError, *broken_off))]:
        return EngineError(f"the engine broke off: {broken[-1]}", kind=FailureKind.ENGINE_DISCONNECTED)
    return EngineError(str(error))


def unreachable(error: Exception, host: str | None) -> str:
    """Say that no engine answers at an address, and why."""
    reason = next((cause.strerror for cause in causes(error) if isinstance(cause, OSError) and cause.strerror), None)
    where = host or "the engine's default socket"
    return clean(f"cannot connect to the engine at {where}: {reason or error}")
