"""Is anybody there? The question that a circuit breaker asks before it lets a registry be used again."""

from contextlib import closing, suppress
from pathlib import Path
from time import monotonic

from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.registry.host import CERTS_D, Host, is_loopback

_LEAST = 0.001
"""Seconds: no request can be made in none."""


def reach(registry: str, timeout: float = 5.0, certificates: Path = CERTS_D) -> bool:
    """Tell whether anything that speaks HTTP answers (OCI distribution spec "Determining Support": GET /v2/).

    Any status counts, and any certificate; no password or token is sent. HTTPS comes first; plain HTTP is tried on
    loopback, and where TLS is answered by something else.
    """
    deadline = monotonic() + timeout
    host, tls = Host.of(registry), TlsSettings(verify=False)
    with suppress(OSError, ValueError):  # some registries hang up on those who show no certificate
        tls = TlsSettings.from_certs_d(certificates / host.name, verify=False)
    with closing(HttpClient()) as client:
        try:
            return _answers(client, f"https://{host.address}/v2/", tls, deadline)
        except HttpError as error:
            if error.alert:
                return True  # it speaks TLS, and wants a certificate of ours
            if error.late or not (error.kind is HttpErrorKind.TLS or is_loopback(registry)):
                return False
        try:
            return _answers(client, f"http://{host.address}/v2/", tls, deadline)
        except HttpError:
            return False


def _answers(client: HttpClient, url: str, tls: TlsSettings, deadline: float) -> bool:
    left = max(_LEAST, deadline - monotonic())
    client.send("GET", url, tls=tls, timeouts=(left, left)).close()
    return True
