"""Is anybody there? The question that a circuit breaker asks before it lets a registry be used again."""

import ssl
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic

from puller.errors import RegistryError, causes
from puller.registry.connections import Connections
from puller.registry.host import CERTS_D, Host, is_loopback, unverified
from puller.registry.site import Site

_LEAST = 0.001
"""Seconds: a socket takes no time limit of nought."""


def reach(registry: str, timeout: float = 5.0, certificates: Path = CERTS_D) -> bool:
    """Tell whether anything that speaks HTTP answers (OCI distribution spec "Determining Support": GET /v2/).

    Any status counts, and any certificate; no password or token is sent. HTTPS comes first; plain HTTP is tried on
    loopback, and where TLS is answered by something else.
    """
    deadline = monotonic() + timeout
    host, context = Host.of(registry), unverified()
    with suppress(OSError, ValueError):  # some registries hang up on those who show no certificate
        host.identify(context, certificates)
    with closing(Site(host, context, Connections())) as site:
        try:
            return _answers(site, "https", deadline)
        except RegistryError as error:
            tls = [cause for cause in causes(error) if isinstance(cause, ssl.SSLError)]
            if any("ALERT" in (cause.reason or "") for cause in tls):
                return True  # it speaks TLS, and wants a certificate of ours
            if error.late or not (tls or is_loopback(registry)):
                return False
        try:
            return _answers(site, "http", deadline)
        except RegistryError:
            return False


def _answers(site: Site, scheme: str, deadline: float) -> bool:
    left = max(_LEAST, deadline - monotonic())
    site.send("GET", f"{scheme}://{site.host.address}/v2/", {}, (left, left)).close()
    return True
