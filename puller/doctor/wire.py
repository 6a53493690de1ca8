"""The way to a registry or a mirror, step by step: its name, a connection, and who answers there."""

import math
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from puller.doctor.findings import Finding, Subject, daemon_json
from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.http.errors import OTHER_NAME
from puller.http.probe import probe
from puller.http.proxies import NO_PROXIES
from puller.registry.host import CERTS_D, Host, bare

_SECONDS = 5.0
"""For a connection, whichever address of the name takes it."""
_ADDRESSES = 3
"""Of a name that has many, so many are shown."""
_DAYS = 14
_UNTRUSTED = {18, 19, 20, 21}
"""OpenSSL's X509_V_ERR_* for certificates that lead to no known authority."""
_NOT_YET, _EXPIRED = 9, 10


@dataclass(frozen=True, slots=True)
class Wire:
    """Where to connect, and what to trust there."""

    host: Host
    certificates: Path = CERTS_D
    ca: str | None = None
    """A file of further authorities."""
    port: int = 443

    @classmethod
    def to(cls, host: Host, certificates: Path = CERTS_D, ca: str | None = None) -> "Wire":
        """Find the port that is meant."""
        _, colon, digits = host.address.rpartition("]")[2].partition(":")
        return cls(host, certificates, ca, int(digits) if colon and digits.isdigit() else 443)

    @property
    def name(self) -> str:
        """Host without port."""
        return bare(self.host.address)

    @property
    def address(self) -> str:
        """Host and port."""
        return self.host.address if ":" in self.host.address else f"{self.host.address}:{self.port}"


def resolve_name(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Look the name up; raises nothing."""
    try:
        found = socket.getaddrinfo(wire.name, wire.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = f"{wire.name} does not resolve: {getattr(error, 'strerror', None) or 'it is no host name'}"
        yield subject.failed(
            "dns", words, f"getent hosts {wire.name}\ncat /etc/resolv.conf   # which name server is asked"
        )
        return
    places = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if places != [wire.name]:
        yield subject.ok(
            "dns", f"{wire.name} is {', '.join(places[:_ADDRESSES])}{', …' if places[_ADDRESSES:] else ''}"
        )


def connect_to(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Open a connection, and close it again."""
    try:
        found = probe(f"http://{wire.address}/", TlsSettings(), _SECONDS)
    except HttpError as error:
        late = error.kind is HttpErrorKind.CONNECT_TIMEOUT
        reason = f"no connection within {_SECONDS:g}s" if late else error.words
        hint = "a firewall between, or a proxy that is needed?" if late else "does it run, is the port right?"
        fix = f"curl -v {wire.host.schemes[0]}://{wire.address}/v2/   # {hint}"
        yield subject.failed("tcp", f"{wire.address}: {reason}", fix)
    else:
        yield subject.ok("tcp", f"connected to {wire.address} in {found.connect_seconds * 1000:.1f} ms")


def encrypt(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Make a TLS connection as strictly as the engine does, and look at the certificate."""
    if wire.host.insecure:
        return  # no certificate is looked at, and plain HTTP will do
    try:
        found = probe(f"https://{wire.address}/", wire.host.tls(wire.certificates, wire.ca), _SECONDS)
        if found.certificate_end:
            yield _validity(subject, wire, found.certificate_end)
    except (OSError, ValueError) as error:
        yield _unusable(subject, wire, getattr(error, "strerror", None) or str(error))
    except HttpError as error:
        if error.kind is HttpErrorKind.CERTIFICATE_FILE:
            yield _unusable(subject, wire, error.words)
        elif error.kind is HttpErrorKind.UNTRUSTED:
            yield _distrusted(subject, wire, error)
        else:
            yield _no_tls(subject, wire, error)


def _unusable(subject: Subject, wire: Wire, reason: str) -> Finding:
    where = wire.ca or wire.certificates / wire.host.name
    return subject.failed("tls", f"the certificates for it cannot be used: {reason}", f"ls -l {where}")


def _validity(subject: Subject, wire: Wire, end: datetime) -> Finding:
    days = math.floor((end - datetime.now(UTC)).total_seconds() / 86400)
    words = f"the certificate is good until {end:%Y-%m-%d}"
    if days < _DAYS:
        return subject.warning("tls", f"{words}, {days} more days", _show(wire, "renew it before that"))
    return subject.ok("tls", words)


def _distrusted(subject: Subject, wire: Wire, error: HttpError) -> Finding:
    code = error.verify_code
    if code == _EXPIRED:
        return subject.failed("tls", "the certificate has expired, or the clock here is wrong", _show(wire, "renew it"))
    if code == _NOT_YET:
        return subject.failed(
            "tls", "the certificate is not valid yet, or the clock here is wrong", "timedatectl status"
        )
    if code == OTHER_NAME:
        fix = _show(wire, "for which names it is")
        return subject.failed("tls", f"the certificate is for another name than {wire.name}", fix)
    if code in _UNTRUSTED:
        folder = wire.certificates / wire.host.name
        fix = f"sudo mkdir -p {folder}\nsudo cp ca.crt {folder}/ca.crt   # its authority's; no restart is needed"
        return subject.failed("tls", "the certificate is from an authority that is not known here", fix)
    return subject.failed("tls", f"the certificate is refused: {error.words}", _show(wire, "what is wrong"))


def _no_tls(subject: Subject, wire: Wire, error: HttpError) -> Finding:
    if _speaks_plainly(wire):
        fix = daemon_json({"insecure-registries": [wire.host.name]})
        return subject.failed("tls", "it speaks plain HTTP, which is not allowed for it", fix)
    if "certificate required" in error.words or "handshake failure" in error.words:
        folder = wire.certificates / wire.host.name
        words = "it breaks off: it may want a certificate of ours"
        return subject.failed("tls", f"{words} ({error.words})", f"sudo cp client.cert client.key {folder}/")
    fix = f"openssl s_client -connect {wire.address} </dev/null"
    return subject.failed("tls", f"no TLS connection: {error.words}", fix)


def _speaks_plainly(wire: Wire) -> bool:
    with suppress(HttpError), HttpClient(connect=_SECONDS, read=_SECONDS, proxies=NO_PROXIES) as client:
        response = client.send("GET", f"http://{wire.address}/v2/")
        response.close()
        return response.status != HTTPStatus.BAD_REQUEST  # what TLS servers say to plain HTTP
    return False


def _show(wire: Wire, why: str) -> str:
    show = "openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
    return f"openssl s_client -connect {wire.address} </dev/null 2>/dev/null | {show}   # {why}"
