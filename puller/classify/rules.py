"""The words of engines and registries → kinds, in one table: the host first, then the special before the general."""

import re

from puller.errors import FailureKind

_K = FailureKind

RULES: tuple[tuple[FailureKind, tuple[str, ...]], ...] = (
    # The host first.
    (
        _K.SOCKET_PERMISSION,
        (r"permission denied.{0,120}(?:docker|podman|containerd)[\w/. -]{0,40}(?:socket|\.sock|api)",),
    ),
    (
        _K.DAEMON_UNREACHABLE,
        (
            r"cannot connect to (?:the docker daemon|podman)",
            r"is the docker daemon running",
            r"error during connect",
            r"error while fetching server api version",
            r"rootless containerd not running|cannot access containerd socket",
            r"dial unix [^ ]{1,200} (?:connect: )?(?:no such file|connection refused)",
        ),
    ),
    (_K.DISK_FULL, (r"no space left on device", r"disk quota exceeded")),
    # What the registry says of this image. A 429 may quote a page that speaks of anything.
    (_K.RATE_LIMITED, (r"toomanyrequests", r"too many requests", r"rate limit", r"rate exceeded")),
    (
        _K.NO_MATCHING_PLATFORM,
        (
            r"no matching manifest",
            r"no match for platform",
            r"does not (?:match|provide) the specified platform",
            r"no image found in .{0,60}platform",
        ),
    ),
    (
        _K.UNAUTHORIZED,
        (
            r"no basic auth credentials",
            r"incorrect username or password",
            r"\bunauthorized\b",
            r"authentication required",
            r"login prior to pull",
        ),
    ),
    # "pull access denied, repository does not exist or may require …" is a prefix; the rules above read its suffix.
    (_K.ACCESS_DENIED, (r"access (?:to the resource is )?(?:denied|forbidden)", r"\bdenied\b", r"\b403 forbidden")),
    (
        _K.NOT_FOUND,
        (
            r"(?:manifest|name) unknown",
            r"repository name not known",
            r"(?:manifest for|repository) .{1,400} not found",
            r"failed to resolve reference .{1,600} not found",
        ),
    ),
    (_K.BAD_REFERENCE, (r"invalid reference format", r"invalid repository name", r"must be lowercase")),
    # What arrived was not whole, or not what was announced.
    (
        _K.DIGEST_MISMATCH,
        (r"verification failed for digest", r"unexpected commit digest", r"digest mismatch", r"does not match digest"),
    ),
    (
        _K.REGISTRY_5XX,
        (
            r"\b5\d\d (?:internal server error|bad gateway|service unavailable|gateway time-?out)",
            r"unexpected (?:http )?status.{1,400}\b5\d\d\b",
        ),
    ),
    # The wire.
    (_K.X509_UNTRUSTED, (r"\bx509: ", r"failed to verify certificate", r"certificate signed by unknown")),
    (
        _K.DNS_FAILURE,
        (r"no such host", r"name or service not known", r"failure in name resolution", r"server misbehaving"),
    ),
    (_K.CONNECTION_REFUSED, (r"connection refused",)),
    (_K.CONNECTION_RESET, (r"connection reset", r"broken pipe", r"use of closed network connection")),
    (_K.NETWORK_UNREACHABLE, (r"network is unreachable", r"no route to host")),
    (_K.TIMEOUT, (r"time-?out", r"timed out", r"deadline exceeded")),
    (_K.UNEXPECTED_EOF, (r"unexpected eof", r"\beof\b", r"incompleteread", r"short read", r"connection broken")),
)
NAME = re.compile(r"(?<![\w.:@-])[\w.:@-]+(?:/[\w.:@%+-]+)+(?<![:.])")
"""References and URLs: a repository may be called `denied`, a tag `429`."""
FROM_REGISTRY = re.compile(
    r"(?:error response from daemon: )?"
    r"(?:error from registry|toomanyrequests|denied|unauthorized|error parsing http|unknown: (?!failed to))",
    re.IGNORECASE,
)
"""How a message begins that quotes what a registry wrote: its words are not about this host."""
