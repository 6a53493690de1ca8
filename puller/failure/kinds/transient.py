"""What may pass by itself, or after a wait: the network, and registries in trouble."""

from puller.errors import FailureClass, FailureKind
from puller.failure.kinds.meaning import Meaning, Origin

_K, _O, _PASSING, _LIMITED = FailureKind, Origin, FailureClass.TRANSIENT, FailureClass.RATE_LIMITED

PASSING: dict[FailureKind, Meaning] = {
    _K.AUTH_SERVICE_FAILURE: Meaning(
        _PASSING,
        _O.REGISTRY,
        "The registry's token service refuses a token that anybody may have.",
        "Run again later; look at the registry's status page, and at proxies in between.",
    ),
    _K.CANCELLED: Meaning(
        _PASSING,
        _O.PULLER,
        "The pull was called off before its end.",
        "Run the same list again: what is already there is not fetched twice.",
    ),
    _K.CONNECTION_REFUSED: Meaning(
        _PASSING,
        _O.REGISTRY,
        "Nothing listens at the registry's address.",
        "Check the registry's address and that it is up.",
    ),
    _K.CONNECTION_RESET: Meaning(
        _PASSING,
        _O.NETWORK,
        "The connection was cut in the middle.",
        "Run again; if it repeats, look at proxies and MTU.",
    ),
    _K.CONTENT_LOST: Meaning(
        _PASSING,
        _O.ENGINE,
        "The engine removed what it had fetched of the image before the pull had ended.",
        "Run again; if it repeats, see what prunes images at that time, and the engine's log.",
    ),
    _K.DIGEST_MISMATCH: Meaning(
        _PASSING,
        _O.REGISTRY,
        "What arrived is not what was announced.",
        "Run again; if it repeats, suspect a proxy or cache in between.",
    ),
    _K.DNS_FAILURE: Meaning(
        _PASSING,
        _O.NETWORK,
        "The registry's name does not resolve.",
        "Check its spelling and the host's DNS.",
    ),
    _K.ENGINE_DISCONNECTED: Meaning(
        _PASSING,
        _O.ENGINE,
        "The engine broke off and came back.",
        "See the engine's log for why it was restarted.",
    ),
    _K.HTTP2_GOAWAY: Meaning(
        _PASSING,
        _O.NETWORK,
        "The server closed a shared HTTP/2 connection.",
        "Run again: it closes such connections when it is restarted.",
    ),
    _K.LAYER_CORRUPT: Meaning(
        _PASSING,
        _O.NETWORK,
        "A layer arrived damaged and could not be decompressed.",
        "Run again; if it repeats, the image itself is damaged: tell its publisher.",
    ),
    _K.LOGIN_THROTTLED: Meaning(
        _LIMITED,
        _O.CREDENTIALS,
        "The registry locked logins after too many wrong passwords.",
        "Correct the stored credentials (`docker logout`, `docker login`) before you run again.",
    ),
    _K.NETWORK_UNREACHABLE: Meaning(
        _PASSING,
        _O.NETWORK,
        "There is no route to the registry.",
        "Check the host's network, IPv6, VPN and firewall.",
    ),
    _K.NOT_FOUND_PROXY_RACE: Meaning(
        _PASSING,
        _O.REGISTRY,
        "A caching registry does not have yet what it announced.",
        "Run again: the cache fills in the background.",
    ),
    _K.PROXY_ERROR: Meaning(
        _PASSING,
        _O.NETWORK,
        "The proxy between engine and registry does not answer or fails.",
        "Check that the engine's proxy (HTTPS_PROXY of its service) runs and reaches the registry.",
    ),
    _K.RATE_LIMITED: Meaning(
        _LIMITED,
        _O.REGISTRY,
        "The registry asks for fewer requests.",
        "Ask less at a time (--per-registry), or use a mirror.",
    ),
    _K.REGISTRY_5XX: Meaning(
        _PASSING,
        _O.REGISTRY,
        "The registry is in trouble.",
        "Run again later; look at its status page.",
    ),
    _K.REGISTRY_INCIDENT: Meaning(
        _PASSING,
        _O.REGISTRY,
        "Something in front of the registry answered in its place.",
        "Run again later; if it repeats, check the registry's address and its load balancer.",
    ),
    _K.REGISTRY_PING_FAILED: Meaning(
        _PASSING,
        _O.REGISTRY,
        "The registry did not say what it speaks.",
        "Run again; if it repeats, this is no registry, or a very old one.",
    ),
    _K.REGISTRY_UNAVAILABLE: Meaning(
        _PASSING,
        _O.REGISTRY,
        "Too many connections to this registry failed in a row.",
        "Run again when the registry is up.",
    ),
    _K.REMOTE_AUTO_BLOCKED: Meaning(
        _LIMITED,
        _O.REGISTRY,
        "A caching registry stopped asking its source for a while.",
        "Wait until the time it names, or unblock the remote in its settings.",
    ),
    _K.SCAN_PENDING: Meaning(
        _PASSING,
        _O.REGISTRY,
        "The registry has not finished scanning the image.",
        "Run again in a few minutes.",
    ),
    _K.SIZE_MISMATCH: Meaning(
        _PASSING,
        _O.REGISTRY,
        "What arrived has another size than announced.",
        "Run again; if it repeats, restart containerd to drop what it kept of the download.",
    ),
    _K.STALLED: Meaning(
        _PASSING,
        _O.NETWORK,
        "The transfer stood still.",
        "Run again, or raise --stall-timeout for slow links.",
    ),
    _K.TIMEOUT: Meaning(
        _PASSING,
        _O.NETWORK,
        "Nothing came back in time.",
        "Run again, or raise --timeout for slow links.",
    ),
    _K.TLS_HANDSHAKE_TIMEOUT: Meaning(
        _PASSING,
        _O.NETWORK,
        "The connection stood, but encryption was not agreed on in time.",
        "Run again, with fewer --jobs on a slow link; if it repeats, look at proxies and MTU.",
    ),
    _K.TOKEN_EXPIRED: Meaning(
        _PASSING,
        _O.REGISTRY,
        "The registry's access token ran out in the middle of the pull.",
        "Run again: a new pull gets a new token; if it repeats, check the host's clock.",
    ),
    _K.UNCLASSIFIED: Meaning(
        _PASSING,
        _O.PULLER,
        "puller does not know this message.",
        "Read the message whole, and please report it.",
    ),
    _K.UNEXPECTED_EOF: Meaning(
        _PASSING,
        _O.NETWORK,
        "The connection ended too early.",
        "Run again; if it repeats, look at proxies, and at the engine's log.",
    ),
    _K.X509_SIGNATURE_CORRUPT: Meaning(
        _PASSING,
        _O.NETWORK,
        "A certificate arrived damaged.",
        "Run again; if it repeats, something in between alters traffic, or the host's memory fails.",
    ),
}
"""Kinds of the classes transient and rate_limited."""
