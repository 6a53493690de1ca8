"""Where a registry is: the address to connect to, the scheme, and the certificates that belong to it."""

import ipaddress
import os
import ssl
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

CERTS_D = Path("/etc/docker/certs.d")
"""Where the engine looks for the certificates of a registry."""
PORTS = {"http": 80, "https": 443}
_HUB = "docker.io"
_HUB_ADDRESS = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Host:
    """One registry."""

    name: str
    """As references name it: `docker.io`, `localhost:5000`."""
    schemes: tuple[str, ...]
    """To be tried in this order."""

    @classmethod
    def of(cls, registry: str, insecure: Collection[str] = ()) -> "Host":
        """Describe a registry; `insecure` holds hosts (`HOST[:PORT]`) and networks (`10.0.0.0/8`).

        A loopback address is insecure by itself, as it is to the engine, and nearly always plain; Docker Hub never is.
        """
        if is_loopback(registry):
            return cls(registry, ("http", "https"))
        if registry == _HUB:
            return cls(registry, ("https",))
        return cls(registry, ("https", "http") if _is_listed(registry, insecure) else ("https",))

    @property
    def insecure(self) -> bool:
        """Whether plain HTTP will do, and certificates are not looked at."""
        return "http" in self.schemes

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return _HUB_ADDRESS if self.name == _HUB else self.name

    def context(self, certificates: Path = CERTS_D, ca: str | None = None) -> ssl.SSLContext:
        """Make the TLS settings, with what `certificates` has for this host, and the authorities in the file `ca`.

        As the engine reads it: `*.crt` are further authorities, each `*.cert` with its `*.key` is one of ours.
        Raises OSError or ValueError when a file cannot be used.
        """
        context = unverified() if self.insecure else _trusting()
        folder = certificates / self.name
        for authority in sorted(folder.glob("*.crt")):
            context.load_verify_locations(authority)
        if ca:
            context.load_verify_locations(ca)
        self.identify(context, certificates)
        return context

    def identify(self, context: ssl.SSLContext, certificates: Path) -> None:
        """Show this host the certificates that we have for it, `*.cert` and `*.key`."""
        for certificate in sorted((certificates / self.name).glob("*.cert")):
            # Without a password OpenSSL would ask for one, on the terminal.
            context.load_cert_chain(certificate, certificate.with_suffix(".key"), password="")


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine: localhost, 127.0.0.0/8 or ::1."""
    host = bare(registry)
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def bare(registry: str) -> str:
    """Return the host without port and brackets."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0].lower()
    return registry.partition(":")[0].lower()


def unverified() -> ssl.SSLContext:
    """Make TLS settings under which every certificate is good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting() -> ssl.SSLContext:
    """Trust what REQUESTS_CA_BUNDLE names; else what the system, or SSL_CERT_FILE, holds; else certifi's bundle."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundle = next(filter(None, map(os.environ.get, ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))), None)
    if bundle is None and any(_system()):
        context.load_default_certs()
        return context
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415 - requests takes long to load

    path = Path(bundle or DEFAULT_CA_BUNDLE_PATH)
    if path.is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(path)
    return context


def _system() -> Iterator[Path]:
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        yield Path(paths.cafile)
    if paths.capath:
        yield from Path(paths.capath).iterdir()


def _is_listed(registry: str, insecure: Collection[str]) -> bool:
    address = _address(bare(registry))
    for entry in insecure:
        if entry.lower() == registry.lower():
            return True
        try:
            if address is not None and "/" in entry and address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
