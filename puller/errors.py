"""Exceptions, exit codes, and the kinds and classes of failures.

A PullerError ends the run, with its exit code. A failed image is a value (`puller.model.PullOutcome`), no exception.
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import ClassVar

from puller.text import clean


class ExitCode(IntEnum):
    """The exit codes of every verb; 69, 74 and 75 are EX_UNAVAILABLE, EX_IOERR and EX_TEMPFAIL of sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    HOSTS_UNREACHABLE = 3
    """Of several hosts, some could not be reached; on all others every image is present."""
    HALTED = 4
    """A canary or `--max-fail` ended a run over several hosts before all of them had begun."""
    ENGINE_UNREACHABLE = 69
    OUTPUT_LOST = 74
    TRY_AGAIN = 75
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class FailureClass(StrEnum):
    """Whether another attempt may succeed."""

    TRANSIENT = "transient"
    """A temporary error: a retry may succeed."""
    RATE_LIMITED = "rate_limited"
    """A retry may succeed after a wait; the wait applies to the whole registry."""
    PERMANENT = "permanent"
    """A retry fails until somebody fixes the cause."""
    HOST_FATAL = "host_fatal"
    """Every image of this run fails."""


class FailureKind(StrEnum):
    """Stable names of failures; `puller.failure` has the class, summary and advice of each."""

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
    DISK_TOO_SMALL = "disk_too_small"
    DNS_BLOCKED = "dns_blocked"
    DNS_FAILURE = "dns_failure"
    ENGINE_BUSY = "engine_busy"
    ENGINE_DISCONNECTED = "engine_disconnected"
    ENGINE_MISCONFIGURED = "engine_misconfigured"
    ENGINE_PRIVILEGES = "engine_privileges"
    FD_EXHAUSTED = "fd_exhausted"
    GEO_BLOCKED = "geo_blocked"
    HOST_KEY = "host_key"
    HOST_UNREACHABLE = "host_unreachable"
    HTTP2_GOAWAY = "http2_goaway"
    IMAGE_MISSING = "image_missing"
    INTERNAL = "internal"
    IO_ERROR = "io_error"
    LAYER_CORRUPT = "layer_corrupt"
    LAYER_EXTRACT_FAILED = "layer_extract_failed"
    LOCAL_IMAGE_MISSING = "local_image_missing"
    LOGIN_DENIED = "login_denied"
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
    REDIRECT_REFUSED = "redirect_refused"
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
    TOO_LARGE = "too_large"
    UNAUTHORIZED = "unauthorized"
    UNCLASSIFIED = "unclassified"
    UNEXPECTED_EOF = "unexpected_eof"
    UNSUPPORTED_MANIFEST = "unsupported_manifest"
    UNVERIFIED = "unverified"
    USERNS_MAPPING = "userns_mapping"
    X509_EXPIRED = "x509_expired"
    X509_LEGACY_CN = "x509_legacy_cn"
    X509_SIGNATURE_CORRUPT = "x509_signature_corrupt"
    X509_UNTRUSTED = "x509_untrusted"
    X509_WRONG_HOST = "x509_wrong_host"
    XATTR_UNSUPPORTED = "xattr_unsupported"


class PullerError(Exception):
    """The run cannot continue; `str()` gives the message for the user."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class UsageError(PullerError):
    """An invalid option, environment variable, file or context."""

    exit_code = ExitCode.USAGE


class ListError(PullerError):
    """An invalid image list; `problems` has one `FILE:LINE: reason` for each invalid line."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class OutputError(PullerError):
    """The work is done, but its report or other output cannot be written."""

    exit_code = ExitCode.OUTPUT_LOST


class EngineUnreachableError(PullerError):
    """The engine does not answer or refuses access.

    `kind` is set if it is known without reading the message, and `advised` if the message says what to do.
    """

    exit_code = ExitCode.ENGINE_UNREACHABLE

    def __init__(self, message: str, *, kind: FailureKind | None = None, advised: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.advised = advised


class EngineBusyError(PullerError):
    """Another run of puller is using this engine; `left` are the seconds for which it may still be waited for."""

    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, message: str, left: float = 0.0) -> None:
        super().__init__(message)
        self.left = left


class EngineError(Exception):
    """An engine's raw error message about one image, with the HTTP status if there is one.

    `kind` is set if the backend knows it without reading the message, `otherwise` is the kind of an unknown message.
    `permanent` is the advice if a retry cannot help, whatever the kind.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        kind: FailureKind | None = None,
        otherwise: FailureKind = FailureKind.UNCLASSIFIED,
        permanent: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.permanent = permanent
        self.otherwise = otherwise


class CancelledError(Exception):
    """The run was cancelled while this pull was waiting or running."""


class RegistryError(Exception):
    """A request to a registry failed, or its response is unusable; `puller pull` then leaves the image to the engine.

    `status` is the HTTP status, if there was a response. `wait` is the number of seconds to wait that the registry
    asked for. `unanswered` is set if there was no response or an incomplete one, so that another request would probably
    fail too; `timed_out` is set if the request timed out. `challenged` is set for a status of 401 that names a way to
    log in. `kind` is set where the message is ours, and need not be classified; `otherwise` is that of an unknown one.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind | None = None,
        status: int | None = None,
        wait: float | None = None,
        unanswered: bool = False,
        timed_out: bool = False,
        challenged: bool = False,
        otherwise: FailureKind = FailureKind.UNCLASSIFIED,
    ) -> None:
        self.message = clean(message, 300)
        super().__init__(self.message)
        self.kind = kind
        self.status = status
        self.wait = wait
        self.unanswered = unanswered
        self.timed_out = timed_out
        self.challenged = challenged
        self.otherwise = otherwise
