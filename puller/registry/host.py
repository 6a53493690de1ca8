"""Where a registry is: the address to connect to, the scheme, and the certificates that belong to it."""

import ipaddress
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from puller.http import TlsSettings

CERTS_D = Path("/etc/docker/certs.d")
"""Where the engine looks for the certificates of a registry."""
_HUB = "docker.io"
_HUB_ADDRESS = "registry-1.docker.io"

Insecure = Collection[str] | Callable[[], Collection[str]]
"""Where plain HTTP and any certificate will do; a function is called when it matters for a registry."""


class Host(NamedTuple):
    """One registry."""

    name: str
    """As references name it: `docker.io`, `localhost:5000`."""
    schemes: tuple[str, ...]
    """To be tried in this order."""

    @classmethod
    def of(cls, registry: str, insecure: Insecure = ()) -> "Host":
        """Describe a registry; `insecure` holds hosts (`HOST[:PORT]`) and networks (`10.0.0.0/8`), or tells them.

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

    def tls(self, certificates: Path = CERTS_D, ca: str | None = None) -> TlsSettings:
        """Make the TLS settings, with what `certificates` has for this host, and the authorities in the file `ca`.

        Raises OSError or ValueError when a file cannot be used.
        """
        return TlsSettings.from_certs_d(certificates / self.name, verify=not self.insecure, ca=ca)


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


def _is_listed(registry: str, insecure: Insecure) -> bool:
    address = _address(bare(registry))
    for entry in insecure() if callable(insecure) else insecure:
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
