"""What can go wrong: the exceptions of a run, and the words for the failure of one image.

    PullerError                  the run cannot go on; carries its exit code
    ├── UsageError               a wrong option, a context that does not exist        exit 2
    ├── ListError                a list with bad lines                                exit 2
    └── EngineUnreachableError   nobody answers                                       exit 69
    EngineError                  an engine's own words about one image; classified, never shown raw
    CancelledError               the run was told to stop; not an error of anybody

A failed image is a value (`puller.model.PullOutcome`), not an exception.
"""

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """The exit codes of every verb; 69 and 75 are EX_UNAVAILABLE and EX_TEMPFAIL of sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ENGINE_UNREACHABLE = 69
    TRY_AGAIN = 75
    INTERRUPTED = 130
    TERMINATED = 143


class FailureClass(StrEnum):
    """What a failure means for the next try."""

    TRANSIENT = "transient"
    """May pass by itself: worth a retry."""
    RATE_LIMITED = "rate_limited"
    """Passes after a wait that belongs to the registry."""
    PERMANENT = "permanent"
    """Will not pass until somebody changes something."""
    HOST_FATAL = "host_fatal"
    """No image of this run can succeed."""


class FailureKind(StrEnum):
    """Stable words for what went wrong; `puller.classify` holds class and advice of each."""

    ACCESS_DENIED = "access_denied"
    BAD_REFERENCE = "bad_reference"
    CANCELLED = "cancelled"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    DAEMON_UNREACHABLE = "daemon_unreachable"
    DIGEST_MISMATCH = "digest_mismatch"
    DISK_FULL = "disk_full"
    DNS_FAILURE = "dns_failure"
    ENGINE_DISCONNECTED = "engine_disconnected"
    INTERNAL = "internal"
    NETWORK_UNREACHABLE = "network_unreachable"
    NO_MATCHING_PLATFORM = "no_matching_platform"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    REGISTRY_5XX = "registry_5xx"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    SOCKET_PERMISSION = "socket_permission"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    UNCLASSIFIED = "unclassified"
    UNEXPECTED_EOF = "unexpected_eof"
    X509_UNTRUSTED = "x509_untrusted"


class PullerError(Exception):
    """The run cannot go on; `str()` of it is one line for a person."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class UsageError(PullerError):
    """An option, an environment variable or a context that cannot be meant."""

    exit_code = ExitCode.USAGE


class ListError(PullerError):
    """An image list that cannot be used; `problems` holds one `FILE:LINE: reason` for each bad line."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: "Sequence[str]") -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class EngineUnreachableError(PullerError):
    """The engine did not answer, or would not let us in."""

    exit_code = ExitCode.ENGINE_UNREACHABLE


class EngineError(Exception):
    """An engine's words about one pull, raw, with the HTTP status where there was one.

    `kind` is set where the backend knows what happened without reading the words.
    """

    def __init__(self, message: str, *, status: int | None = None, kind: FailureKind | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind


class CancelledError(Exception):
    """The run was told to stop while this pull was waiting or under way."""
