"""A check whether a registry answers at all, for the circuit breaker and for doctor."""

from contextlib import closing, suppress
from pathlib import Path
from time import monotonic

from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.registry.host import CERTS_D, Host, is_loopback

_LEAST = 0.001
"""Smallest time limit of a request in seconds; 0 would mean none."""


def reach(registry: str, timeout: float = 5.0, certificates: Path = CERTS_D) -> bool:
    """Whether an HTTP server answers (OCI distribution spec "Determining Support": GET /v2/).

    Any status counts, and any certificate; no credentials are sent. HTTPS is tried first, then plain HTTP on loopback
    and on servers that do not speak TLS.
    """
    deadline = monotonic() + timeout
    host, tls = Host.of(registry), TlsSettings(verify=False)
    with suppress(OSError, ValueError):  # some registries require a client certificate
        tls = TlsSettings.from_certs_d(certificates / host.name, verify=False)
    with closing(HttpClient()) as client:
        try:
            return _answers(client, f"https://{host.address}/v2/", tls, deadline)
        except HttpError as error:
            if error.alert:
                return True  # it speaks TLS, and requires a client certificate
            if error.timed_out or not (error.kind is HttpErrorKind.TLS or is_loopback(registry)):
                return False
        try:
            return _answers(client, f"http://{host.address}/v2/", tls, deadline)
        except HttpError:
            return False


def _answers(client: HttpClient, url: str, tls: TlsSettings, deadline: float) -> bool:
    left = max(_LEAST, deadline - monotonic())
    client.send("GET", url, tls=tls, timeouts=(left, left)).close()
    return True
