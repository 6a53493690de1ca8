"""Checks the connection to a registry or a mirror, step by step: DNS, TCP, TLS."""

import math
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from puller.doctor.findings import Finding, Subject, Verdict, daemon_json, until_failed
from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.http.errors import OTHER_NAME
from puller.http.probe import probe
from puller.http.proxies import NO_PROXIES, PORTS
from puller.registry.host import CERTS_D, Host, bare
from puller.registry.ping import reach

_SECONDS = 5.0
"""Time limit to connect to any address of the name, and for a mirror to answer."""
_ADDRESSES = 3
"""Addresses of a name that are shown."""
_DAYS = 14
_UNTRUSTED = {18, 19, 20, 21}
"""OpenSSL's X509_V_ERR_* for certificates of unknown authorities."""
_NOT_YET, _EXPIRED = 9, 10


class Wire(NamedTuple):
    """Where to connect, and which authorities to trust."""

    host: Host
    certificates: Path = CERTS_D
    ca: str | None = None
    """A file with additional authorities."""
    default_port: int = 443

    @property
    def name(self) -> str:
        return bare(self.host.address)

    @property
    def port(self) -> int:
        return port_of(self.host.address, self.default_port)

    @property
    def address(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def port_of(address: str, default: int) -> int:
    """Return the port in `HOST[:PORT]`, or the default."""
    digits = address.rpartition("]")[2].partition(":")[2]
    return int(digits) if digits.isdigit() else default


def examine_connection(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Check DNS, TCP and TLS, up to the first that fails."""
    return until_failed(_resolve_name(subject, wire), _connect(subject, wire), _encrypt(subject, wire))


def _resolve_name(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Look up the name in DNS."""
    try:
        found = socket.getaddrinfo(wire.name, wire.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = f"{wire.name} does not resolve: {getattr(error, 'strerror', None) or 'it is not a host name'}"
        fix = f"getent hosts {wire.name}\ncat /etc/resolv.conf   # which name server is asked"
        yield subject.failed("dns", words, fix)
        return
    places = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if places != [wire.name]:
        more = ", …" if places[_ADDRESSES:] else ""
        yield subject.ok("dns", f"{wire.name} is {', '.join(places[:_ADDRESSES])}{more}")


def _connect(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Open a TCP connection, and close it."""
    try:
        found = probe(f"http://{wire.address}/", TlsSettings(), _SECONDS)
    except HttpError as error:
        late = error.kind is HttpErrorKind.CONNECT_TIMEOUT
        reason = f"no connection within {_SECONDS:g}s" if late else error.words
        hint = "is there a firewall, or is a proxy needed?" if late else "is the server running, is the port right?"
        fix = f"curl -v {wire.host.schemes[0]}://{wire.address}/v2/   # {hint}"
        yield subject.failed("tcp", f"{wire.address}: {reason}", fix)
    else:
        yield subject.ok("tcp", f"connected to {wire.address} in {found.connect_seconds * 1000:.1f} ms")


def _encrypt(subject: Subject, wire: Wire) -> Iterator[Finding]:
    """Make a TLS connection with the engine's rules, and check the certificate."""
    if wire.host.insecure:
        return  # certificates are not verified, and plain HTTP is allowed
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
    return subject.failed("tls", f"the certificate files cannot be used: {reason}", f"ls -l {where}")


def _validity(subject: Subject, wire: Wire, end: datetime) -> Finding:
    days = math.floor((end - datetime.now(UTC)).total_seconds() / 86400)
    words = f"the certificate is valid until {end:%Y-%m-%d}"
    if days < _DAYS:
        return subject.warning("tls", f"{words}: for {days} more days", _show(wire, "renew it before it expires"))
    return subject.ok("tls", words)


def _distrusted(subject: Subject, wire: Wire, error: HttpError) -> Finding:
    folder = wire.certificates / wire.host.name
    trust = f"sudo mkdir -p {folder}\nsudo cp ca.crt {folder}/ca.crt   # of its authority; no restart is needed"
    reasons = {
        _EXPIRED: ("has expired, or this host's clock is wrong", _show(wire, "renew it")),
        _NOT_YET: ("is not valid yet, or this host's clock is wrong", "timedatectl status"),
        OTHER_NAME: (f"is not for the name {wire.name}", _show(wire, "shows its names")),
        **dict.fromkeys(_UNTRUSTED, ("is from an unknown authority", trust)),
    }
    unknown = (f"is refused: {error.words}", _show(wire, "shows the certificate"))
    words, fix = reasons.get(error.verify_code or 0, unknown)
    return subject.failed("tls", f"the certificate {words}", fix)


def _no_tls(subject: Subject, wire: Wire, error: HttpError) -> Finding:
    if _uses_plain_http(wire):
        fix = daemon_json({"insecure-registries": [wire.host.name]})
        return subject.failed("tls", "it uses plain HTTP, which is not allowed for it", fix)
    if "certificate required" in error.words or "handshake failure" in error.words:
        folder = wire.certificates / wire.host.name
        words = "it closes the connection: it may require a client certificate"
        return subject.failed("tls", f"{words} ({error.words})", f"sudo cp client.cert client.key {folder}/")
    fix = f"openssl s_client -connect {wire.address} </dev/null"
    return subject.failed("tls", f"no TLS connection: {error.words}", fix)


def _uses_plain_http(wire: Wire) -> bool:
    with suppress(HttpError), HttpClient(connect=_SECONDS, read=_SECONDS, proxies=NO_PROXIES) as client:
        response = client.send("GET", f"http://{wire.address}/v2/")
        response.close()
        return response.status != HTTPStatus.BAD_REQUEST  # the answer of TLS servers to plain HTTP
    return False


def _show(wire: Wire, why: str) -> str:
    show = "openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
    return f"openssl s_client -connect {wire.address} </dev/null 2>/dev/null | {show}   # {why}"


def examine_mirror(url: str, origin: str, insecure: Collection[str], certificates: Path) -> Iterator[Finding]:
    """Check whether a mirror answers; `origin` is the setting that names it.

    A mirror that does not answer fails no image, but delays each, and the images use the quota of the registry.
    """
    subject = Subject(f"mirror {url}")
    scheme, netloc = _parts(url)
    if not netloc:
        yield subject.warning("reachable", f"{origin}: not an address", "# write it as https://HOST[:PORT]")
        return
    host = Host.of(netloc, {*insecure, netloc} if scheme == "http" else insecure)
    wire = Wire(host, certificates, default_port=PORTS.get(scheme, 443))
    bad = [each for each in examine_connection(subject, wire) if each.status is not Verdict.OK]
    for each in bad:
        yield subject.warning("reachable", f"{origin}: {each.words}", f"{each.fix}\n# or remove it from {origin}")
    if not bad and reach(netloc, _SECONDS, certificates):
        yield subject.ok("reachable", f"{origin}: answers")
    elif not bad:
        fix = f"curl -v {scheme}://{netloc}/v2/\n# or remove it from {origin}"
        yield subject.warning("reachable", f"{origin}: it accepts connections, but does not answer", fix)


def _parts(url: str) -> tuple[str, str]:
    """Split a URL, or `HOST[:PORT][/PREFIX]`, into its scheme and its host with port."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.rpartition("@")[2]
