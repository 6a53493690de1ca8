"""Whose certificates are accepted, and which of ours are shown.

The wheel of pycurl brings an OpenSSL of its own that knows no certificate store, so it is told where the system's is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pycurl

if TYPE_CHECKING:  # imported for the first server with TLS
    from puller.http.authorities import Store


@dataclass(frozen=True, slots=True, eq=False)
class TlsSettings:
    """How TLS is spoken to a server; connections are kept for each object, so that one is made for each server."""

    verify: bool = True
    """False accepts any certificate."""
    authorities: tuple[Path, ...] = ()
    """PEM files with authorities beside the system's."""
    certificate: Path | None = None
    """Ours, with its key."""
    key: Path | None = None
    system: bool = True
    """Whether the system's authorities are accepted, too."""

    @classmethod
    def from_certs_d(cls, folder: Path, *, verify: bool = True, ca: str | None = None) -> "TlsSettings":
        """Read a host's folder as docker does: `*.crt` are authorities, a `*.cert` with its `*.key` is ours.

        `ca` is one more file with authorities. Raises OSError for a file that cannot be read, ValueError for one that
        holds no certificate. Of several certificates of ours the last is shown.
        """
        authorities = (*sorted(folder.glob("*.crt")), *((Path(ca),) if ca else ()))
        for path in authorities:
            if b"-----BEGIN " not in path.read_bytes():
                raise ValueError(f"{path}: no certificate in PEM format")
        ours = sorted(folder.glob("*.cert"))
        keys = [path.with_suffix(".key") for path in ours]
        for path in (*ours, *keys):
            if b"-----BEGIN " not in path.read_bytes():
                raise ValueError(f"{path}: no certificate or key in PEM format")
        return cls(verify, authorities, ours[-1] if ours else None, keys[-1] if keys else None)

    def apply(self, curl: pycurl.Curl) -> None:
        """Set libcurl's options; raises OSError for a file that cannot be read."""
        curl.setopt(pycurl.SSL_VERIFYPEER, int(self.verify))
        curl.setopt(pycurl.SSL_VERIFYHOST, 2 * self.verify)
        if self.verify:
            self._trust(curl)
        if self.certificate and self.key:
            curl.setopt(pycurl.SSLCERT, str(self.certificate))
            curl.setopt(pycurl.SSLKEY, str(self.key))
            curl.setopt(pycurl.KEYPASSWD, "")  # else OpenSSL would ask for one on the terminal

    def _trust(self, curl: pycurl.Curl) -> None:
        store = system_store() if self.system else None
        curl.unsetopt(pycurl.CAINFO)  # the wheel's own default is a path of the machine that built it
        curl.unsetopt(pycurl.CAPATH)
        if self.authorities:
            files = (*self.authorities, *((Path(store.file),) if store and store.file else ()))
            curl.setopt(pycurl.CAINFO_BLOB, b"\n".join(path.read_bytes() for path in files))
        elif store and store.file:
            curl.setopt(pycurl.CAINFO, store.file)
        if store and store.directory:
            curl.setopt(pycurl.CAPATH, store.directory)


SYSTEM = TlsSettings()


def trust_proxy(curl: pycurl.Curl) -> None:
    """Let an HTTPS proxy have a certificate of the system's authorities, and no other."""
    store = system_store()
    curl.unsetopt(pycurl.PROXY_CAINFO)
    curl.unsetopt(pycurl.PROXY_CAPATH)
    if store.file:
        curl.setopt(pycurl.PROXY_CAINFO, store.file)
    if store.directory:
        curl.setopt(pycurl.PROXY_CAPATH, store.directory)


def system_store() -> "Store":
    """Find the system's authorities; see `puller.http.authorities`."""
    from puller.http import authorities  # noqa: PLC0415 - imports ssl, which plain HTTP does not need

    return authorities.system_store()
