"""What can go wrong: the exceptions of a run, and the words for the failure of one image.

    PullerError                  the run cannot go on; carries its exit code
    ├── UsageError               a wrong option, a context that does not exist        exit 2
    ├── ListError                a list with bad lines                                exit 2
    ├── EngineUnreachableError   nobody answers                                       exit 69
    └── EngineBusyError          another run is at it                                 exit 75
    EngineError                  an engine's own words about one image; classified, never shown raw
    RegistryError                a registry that cannot be asked, or whose answer cannot be used
    CancelledError               the run was told to stop; not an error of anybody

A failed image is a value (`puller.model.PullOutcome`), not an exception.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import ClassVar

from puller.text import clean


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
    """Stable words for what went wrong; `puller.failure` holds class and advice of each."""

    ACCESS_DENIED = "access_denied"
    API_VERSION_MISMATCH = "api_version_mismatch"
    AUTH_EXPIRED = "auth_expired"
    AUTH_SERVICE_FAILURE = "auth_service_failure"
    BAD_MIRROR = "bad_mirror"
    BAD_REFERENCE = "bad_reference"
    BLOB_UNKNOWN = "blob_unknown"
    CANCELLED = "cancelled"
    CLIENT_MISSING = "client_missing"
    CLIENT_USAGE = "client_usage"
    CLOCK_SKEW = "clock_skew"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    CONTAINERD_UNREACHABLE = "containerd_unreachable"
    CONTENT_LOST = "content_lost"
    CONTENT_TRUST = "content_trust"
    CONTEXT_NOT_FOUND = "context_not_found"
    CREDENTIAL_HELPER = "credential_helper"
    CREDENTIAL_HELPER_FAILED = "credential_helper_failed"
    DAEMON_BAD_RESPONSE = "daemon_bad_response"
    DAEMON_UNREACHABLE = "daemon_unreachable"
    DIGEST_MISMATCH = "digest_mismatch"
    DIGEST_TAKEN = "digest_taken"
    DISK_FULL = "disk_full"
    DNS_BLOCKED = "dns_blocked"
    DNS_FAILURE = "dns_failure"
    ENGINE_DISCONNECTED = "engine_disconnected"
    ENGINE_MISCONFIGURED = "engine_misconfigured"
    ENGINE_PRIVILEGES = "engine_privileges"
    FD_EXHAUSTED = "fd_exhausted"
    GEO_BLOCKED = "geo_blocked"
    HTTP2_GOAWAY = "http2_goaway"
    INTERNAL = "internal"
    IO_ERROR = "io_error"
    LAYER_CORRUPT = "layer_corrupt"
    LAYER_EXTRACT_FAILED = "layer_extract_failed"
    LOCAL_IMAGE_MISSING = "local_image_missing"
    LOGIN_THROTTLED = "login_throttled"
    NETWORK_UNREACHABLE = "network_unreachable"
    NO_MATCHING_PLATFORM = "no_matching_platform"
    NOT_FOUND = "not_found"
    NOT_FOUND_PROXY_RACE = "not_found_proxy_race"
    NOT_PRESENT = "not_present"
    OUT_OF_MEMORY = "out_of_memory"
    POLICY_BLOCKED = "policy_blocked"
    PROXY_ERROR = "proxy_error"
    PROXY_MISCONFIGURED = "proxy_misconfigured"
    PROXY_REFUSED = "proxy_refused"
    RATE_LIMITED = "rate_limited"
    READ_ONLY_FS = "read_only_fs"
    REGISTRY_5XX = "registry_5xx"
    REGISTRY_INCIDENT = "registry_incident"
    REGISTRY_PING_FAILED = "registry_ping_failed"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    REMOTE_AUTO_BLOCKED = "remote_auto_blocked"
    ROOTFS_MISMATCH = "rootfs_mismatch"
    SCAN_PENDING = "scan_pending"
    SIZE_MISMATCH = "size_mismatch"
    SOCKET_PERMISSION = "socket_permission"
    STALLED = "stalled"
    STORAGE_BROKEN = "storage_broken"
    STORAGE_CORRUPT = "storage_corrupt"
    TIMEOUT = "timeout"
    TLS_CONFIG = "tls_config"
    TLS_HANDSHAKE_TIMEOUT = "tls_handshake_timeout"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a kind, no secret
    TOKEN_RESPONSE_INVALID = "token_response_invalid"  # noqa: S105 - likewise
    UNAUTHORIZED = "unauthorized"
    UNCLASSIFIED = "unclassified"
    UNEXPECTED_EOF = "unexpected_eof"
    UNSUPPORTED_MANIFEST = "unsupported_manifest"
    USERNS_MAPPING = "userns_mapping"
    X509_EXPIRED = "x509_expired"
    X509_LEGACY_CN = "x509_legacy_cn"
    X509_SIGNATURE_CORRUPT = "x509_signature_corrupt"
    X509_UNTRUSTED = "x509_untrusted"
    X509_WRONG_HOST = "x509_wrong_host"
    XATTR_UNSUPPORTED = "xattr_unsupported"


class PullerError(Exception):
    """The run cannot go on; `str()` of it is one line for a person."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class UsageError(PullerError):
    """An option, an environment variable or a context that cannot be meant."""

    exit_code = ExitCode.USAGE


class ListError(PullerError):
    """An image list that cannot be used; `problems` holds one `FILE:LINE: reason` for each bad line."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class EngineUnreachableError(PullerError):
    """The engine did not answer, or would not let us in; `kind` is set where that needs no reading of the words."""

    exit_code = ExitCode.ENGINE_UNREACHABLE

    def __init__(self, message: str, *, kind: FailureKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class EngineBusyError(PullerError):
    """Another run of puller is at this engine."""

    exit_code = ExitCode.TRY_AGAIN


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


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception's causes and the exceptions among its arguments, as urllib3 and requests nest them."""
    seen: list[BaseException] = [error]
    for cause in seen:
        yield cause
        nested = (cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None))
        seen.extend(item for item in nested if isinstance(item, BaseException) and item not in seen)


_LONGEST_MESSAGE = 300


class RegistryError(Exception):
    """The registry could not be asked, or its answer cannot be used; a reason to ask the engine, and no more.

    `status` is that of the HTTP answer, if there was one; `wait` is how many seconds the registry wants us to wait;
    `lost` tells that there was no answer, or no whole one, so that the next question will hardly fare better, and
    `late` that it was waited for in vain.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        wait: float | None = None,
        lost: bool = False,
        late: bool = False,
    ) -> None:
        self.message = clean(message, _LONGEST_MESSAGE)
        super().__init__(self.message)
        self.status = status
        self.wait = wait
        self.lost = lost
        self.late = late
