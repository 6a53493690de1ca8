"""Every kind of failure: its class, whose it is, and what to do. One table; the published page is made from it."""

from dataclasses import dataclass
from enum import StrEnum

from puller.errors import FailureClass, FailureKind


class Origin(StrEnum):
    """Whose fault a failure is: where somebody has to look."""

    NETWORK = "network"
    REGISTRY = "registry"
    CREDENTIALS = "credentials"
    LIST = "list"
    """What was asked for: a name, a tag, a platform."""
    HOST = "host"
    ENGINE = "engine"
    PULLER = "puller"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of a failure once its kind is known."""

    failure_class: FailureClass
    origin: Origin
    advice: str
    """What to do about it, as one sentence."""


_C, _K, _O = FailureClass, FailureKind, Origin

KINDS: dict[FailureKind, Meaning] = {
    _K.ACCESS_DENIED: Meaning(
        _C.PERMANENT,
        _O.CREDENTIALS,
        "Check the name; if the repository is private, `docker login` to its registry.",
    ),
    _K.BAD_REFERENCE: Meaning(
        _C.PERMANENT,
        _O.LIST,
        "Correct the reference: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], in lower case.",
    ),
    _K.CANCELLED: Meaning(
        _C.TRANSIENT,
        _O.PULLER,
        "Run the same list again: what is already there is not fetched twice.",
    ),
    _K.CONNECTION_REFUSED: Meaning(
        _C.TRANSIENT,
        _O.REGISTRY,
        "Nothing listens there: check the registry's address and that it is up.",
    ),
    _K.CONNECTION_RESET: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "The network broke off: run again; if it repeats, look at proxies and MTU.",
    ),
    _K.ENGINE_DISCONNECTED: Meaning(
        _C.TRANSIENT,
        _O.ENGINE,
        "The engine broke off and came back: see its log for why it was restarted.",
    ),
    _K.REGISTRY_UNAVAILABLE: Meaning(
        _C.TRANSIENT,
        _O.REGISTRY,
        "Too many connections to this registry failed in a row: run again when it is up.",
    ),
    _K.STALLED: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "The transfer stood still: run again, or raise --stall-timeout for slow links.",
    ),
    _K.DAEMON_UNREACHABLE: Meaning(
        _C.HOST_FATAL,
        _O.ENGINE,
        "Start the engine, or point DOCKER_HOST or --context at one that runs.",
    ),
    _K.DIGEST_MISMATCH: Meaning(
        _C.TRANSIENT,
        _O.REGISTRY,
        "What arrived is not what was announced: run again; then suspect a proxy or cache.",
    ),
    _K.DISK_FULL: Meaning(
        _C.HOST_FATAL,
        _O.HOST,
        "Free space at the engine's data root (`docker system df`, `docker image prune`).",
    ),
    _K.DNS_FAILURE: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "The registry's name does not resolve: check its spelling and the host's DNS.",
    ),
    _K.INTERNAL: Meaning(
        _C.PERMANENT,
        _O.PULLER,
        "This is a fault of puller: please report it with the message.",
    ),
    _K.NETWORK_UNREACHABLE: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "No route to the registry: check the host's network, VPN and firewall.",
    ),
    _K.NO_MATCHING_PLATFORM: Meaning(
        _C.PERMANENT,
        _O.LIST,
        "The image has no such platform: choose another tag or --platform.",
    ),
    _K.NOT_FOUND: Meaning(
        _C.PERMANENT,
        _O.LIST,
        "Check the repository and the tag: the registry does not have it.",
    ),
    _K.RATE_LIMITED: Meaning(
        _C.RATE_LIMITED,
        _O.REGISTRY,
        "Wait, or `docker login` for a larger quota, or use a mirror.",
    ),
    _K.REGISTRY_5XX: Meaning(
        _C.TRANSIENT,
        _O.REGISTRY,
        "The registry is in trouble: run again later; look at its status page.",
    ),
    _K.SOCKET_PERMISSION: Meaning(
        _C.HOST_FATAL,
        _O.HOST,
        "Join the docker group, or run as a user who may use the engine's socket.",
    ),
    _K.TIMEOUT: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "Nothing came back in time: run again, or raise --timeout for slow links.",
    ),
    _K.UNAUTHORIZED: Meaning(
        _C.PERMANENT,
        _O.CREDENTIALS,
        "Log in again: `docker login` to this registry; the credentials are missing or wrong.",
    ),
    _K.UNCLASSIFIED: Meaning(
        _C.TRANSIENT,
        _O.PULLER,
        "puller does not know this message: read it whole, and please report it.",
    ),
    _K.UNEXPECTED_EOF: Meaning(
        _C.TRANSIENT,
        _O.NETWORK,
        "The connection ended too early: run again; if it repeats, look at proxies.",
    ),
    _K.X509_UNTRUSTED: Meaning(
        _C.PERMANENT,
        _O.HOST,
        "Give the engine the registry's CA: /etc/docker/certs.d/REGISTRY/ca.crt.",
    ),
}
"""What every kind means."""
