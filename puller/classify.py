"""The words of engines and registries → what went wrong, whether it may pass, and what to do: one table.

Text comes first and status second: engine 20.10 answers 500 for everything, and one 404 means four things.
What makes the whole host fail comes before what one registry says; what is special before what is general.
"""

import re
from dataclasses import dataclass
from functools import cache

from puller.errors import FailureClass, FailureKind
from puller.text import clean

_C, _K = FailureClass, FailureKind


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    kind: FailureKind
    failure_class: FailureClass
    message: str
    """The engine's own words: one line, no control characters, no secrets."""
    advice: str
    """What to do about it, as one sentence."""

    @property
    def retryable(self) -> bool:
        """Whether another attempt may end better."""
        return self.failure_class in (_C.TRANSIENT, _C.RATE_LIMITED)


KINDS: dict[FailureKind, tuple[FailureClass, str]] = {
    _K.ACCESS_DENIED: (
        _C.PERMANENT,
        "Check the name; if the repository is private, `docker login` to its registry.",
    ),
    _K.BAD_REFERENCE: (
        _C.PERMANENT,
        "Correct the reference: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], in lower case.",
    ),
    _K.CANCELLED: (_C.TRANSIENT, "Run the same list again: what is already there is not fetched twice."),
    _K.CONNECTION_REFUSED: (
        _C.TRANSIENT,
        "Nothing listens there: check the registry's address and that it is up.",
    ),
    _K.CONNECTION_RESET: (
        _C.TRANSIENT,
        "The network broke off: run again; if it repeats, look at proxies and MTU.",
    ),
    _K.DAEMON_UNREACHABLE: (
        _C.HOST_FATAL,
        "Start the engine, or point DOCKER_HOST or --context at one that runs.",
    ),
    _K.DIGEST_MISMATCH: (
        _C.TRANSIENT,
        "What arrived is not what was announced: run again; then suspect a proxy or cache.",
    ),
    _K.DISK_FULL: (
        _C.HOST_FATAL,
        "Free space at the engine's data root (`docker system df`, `docker image prune`).",
    ),
    _K.DNS_FAILURE: (
        _C.TRANSIENT,
        "The registry's name does not resolve: check its spelling and the host's DNS.",
    ),
    _K.INTERNAL: (_C.PERMANENT, "This is a fault of puller: please report it with the message."),
    _K.NETWORK_UNREACHABLE: (
        _C.TRANSIENT,
        "No route to the registry: check the host's network, VPN and firewall.",
    ),
    _K.NO_MATCHING_PLATFORM: (
        _C.PERMANENT,
        "The image has no such platform: choose another tag or --platform.",
    ),
    _K.NOT_FOUND: (_C.PERMANENT, "Check the repository and the tag: the registry does not have it."),
    _K.RATE_LIMITED: (_C.RATE_LIMITED, "Wait, or `docker login` for a larger quota, or use a mirror."),
    _K.REGISTRY_5XX: (_C.TRANSIENT, "The registry is in trouble: run again later; look at its status page."),
    _K.SOCKET_PERMISSION: (
        _C.HOST_FATAL,
        "Join the docker group, or run as a user who may use the engine's socket.",
    ),
    _K.TIMEOUT: (_C.TRANSIENT, "Nothing came back in time: run again, or raise --timeout for slow links."),
    _K.UNAUTHORIZED: (
        _C.PERMANENT,
        "Log in again: `docker login` to this registry; the credentials are missing or wrong.",
    ),
    _K.UNCLASSIFIED: (
        _C.TRANSIENT,
        "puller does not know this message: read it whole, and please report it.",
    ),
    _K.UNEXPECTED_EOF: (
        _C.TRANSIENT,
        "The connection ended too early: run again; if it repeats, look at proxies.",
    ),
    _K.X509_UNTRUSTED: (
        _C.PERMANENT,
        "Give the engine the registry's CA: /etc/docker/certs.d/REGISTRY/ca.crt.",
    ),
}
"""Class and advice of every kind."""

_RULES: tuple[tuple[FailureKind, tuple[str, ...]], ...] = (
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
_NAME = re.compile(r"(?<![\w.:@-])[\w.:@-]+(?:/[\w.:@%+-]+)+(?<![:.])")
"""References and URLs: a repository may be called `denied`, a tag `429`."""
_FROM_REGISTRY = re.compile(
    r"(?:error response from daemon: )?"
    r"(?:error from registry|toomanyrequests|denied|unauthorized|error parsing http|unknown: (?!failed to))",
    re.IGNORECASE,
)
"""How a message begins that quotes what a registry wrote: its words are not about this host."""
_STATUSES = {
    401: _K.UNAUTHORIZED,
    403: _K.ACCESS_DENIED,
    404: _K.NOT_FOUND,
    429: _K.RATE_LIMITED,
}


def classify(message: str, status: int | None = None) -> Failure:
    """Turn an engine's message, and its HTTP status where there is one, into a `Failure`; never raises."""
    line = clean(message)
    reason = _NAME.sub("/", line)
    quoted = bool(_FROM_REGISTRY.match(line))
    for kind, pattern in _patterns():
        about_host = KINDS[kind][0] is _C.HOST_FATAL
        if not (about_host and quoted) and pattern.search(line if about_host else reason):
            return failure(kind, line)
    return failure(_STATUSES.get(status or 0, _K.UNCLASSIFIED), line or "the engine gave no reason")


@cache
def _patterns() -> tuple[tuple[FailureKind, re.Pattern[str]], ...]:
    """Compile the rules when the first failure comes; most runs have none."""
    return tuple((kind, re.compile("|".join(rules), re.IGNORECASE)) for kind, rules in _RULES)


def failure(kind: FailureKind, message: str) -> Failure:
    """Build the failure of a kind that is known without reading: class and advice come from the table."""
    failure_class, advice = KINDS[kind]
    return Failure(kind, failure_class, clean(message), advice)
