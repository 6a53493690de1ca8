"""The address of a registry: host and port, possible schemes, and certificates."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from puller.http import TlsSettings
from puller.system import addresses
from puller.system.addresses import contains, ip_address

CERTS_D = Path("/etc/docker/certs.d")
"""Docker's folder of certificates, with a folder for each registry."""
_MORE_CERTS_D = ("~/.config/docker/certs.d", "~/.config/containers/certs.d", "/etc/containers/certs.d")
"""The folders of rootless docker and of podman, which apply after docker's own."""
_HUB = "docker.io"
_HUB_ADDRESS = "registry-1.docker.io"

Insecure = Collection[str] | Callable[[], Collection[str]]
"""Hosts and networks that may use plain HTTP and any certificate, or a function that returns them on demand."""


class Host(NamedTuple):
    """The address of one registry."""

    name: str
    """The name in references: `docker.io`, `localhost:5000`."""
    schemes: tuple[str, ...]
    """Possible schemes, in the order to try them."""

    @classmethod
    def of(cls, registry: str, insecure: Insecure = ()) -> "Host":
        """Describe a registry; `insecure` contains hosts (`HOST[:PORT]`) and networks (`10.0.0.0/8`).

        Loopback addresses are always insecure, as for the engine, and try HTTP first. Docker Hub is always secure.
        """
        if is_loopback(registry):
            return cls(registry, ("http", "https"))
        if registry == _HUB:
            return cls(registry, ("https",))
        return cls(registry, ("https", "http") if _is_listed(registry, insecure) else ("https",))

    @property
    def insecure(self) -> bool:
        """Whether plain HTTP is allowed, and certificates are not verified."""
        return "http" in self.schemes

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return _HUB_ADDRESS if self.name == _HUB else self.name

    def tls(self, certificates: Path = CERTS_D, ca: str | None = None) -> TlsSettings:
        """Make TLS settings with the host's folder in `certificates`, and the authorities in the file `ca`.

        Raises OSError or ValueError for a file that cannot be used.
        """
        folders = [certificates]
        if certificates == CERTS_D:
            with suppress(RuntimeError):  # HOME is not set, and the user is not in the user database
                folders += [Path(folder).expanduser() for folder in _MORE_CERTS_D]
        return TlsSettings.from_certs_d(*(each / self.name for each in folders), verify=not self.insecure, ca=ca)


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine: localhost, 127.0.0.0/8 or ::1."""
    return addresses.is_loopback(bare(registry))


def bare(registry: str) -> str:
    """Return the host without its port and brackets."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0].lower()
    return registry.partition(":")[0].lower()


def _is_listed(registry: str, insecure: Insecure) -> bool:
    address = ip_address(bare(registry))
    return any(
        entry.lower() == registry.lower() or (address is not None and "/" in entry and contains(entry, address))
        for entry in (insecure() if callable(insecure) else insecure)
    )
