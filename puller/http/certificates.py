"""Trusted authorities and client certificates.

The pycurl wheel contains an OpenSSL without a certificate store, so libcurl is given the path of the system's store.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pycurl

if TYPE_CHECKING:  # imported for the first server with TLS
    from puller.http.authorities import Store


class TlsSettings:
    """TLS settings for a server. Connections are pooled by object, so make one object for each server."""

    def __init__(
        self,
        *,
        verify: bool = True,
        authorities: tuple[Path, ...] = (),
        certificate: Path | None = None,
        key: Path | None = None,
        system: bool = True,
    ) -> None:
        self.verify: Final = verify
        """False accepts any certificate."""
        self.authorities: Final = authorities
        """PEM files with authorities in addition to the system's."""
        self.certificate: Final = certificate
        """The client certificate."""
        self.key: Final = key
        self.system: Final = system
        """Whether to trust the system's authorities too."""

    @classmethod
    def from_certs_d(cls, *folders: Path, verify: bool = True, ca: str | None = None) -> "TlsSettings":
        """Read a host's folders as docker does: `*.crt` are authorities, `*.cert` and `*.key` are client certificates.

        `ca` is one more file with authorities. A folder that may not be read counts as absent. Raises OSError for a
        file that cannot be read, and ValueError for one without a certificate. Of several client certificates the last
        is used.
        """
        authorities = (*_files(folders, "*.crt"), *((Path(ca),) if ca else ()))
        for path in authorities:
            if b"-----BEGIN " not in path.read_bytes():
                raise ValueError(f"{path}: no certificate in PEM format")
        ours = _files(folders, "*.cert")
        keys = [path.with_suffix(".key") for path in ours]
        for path in (*ours, *keys):
            if b"-----BEGIN " not in path.read_bytes():
                raise ValueError(f"{path}: no certificate or key in PEM format")
        certificate, key = (ours[-1], keys[-1]) if ours else (None, None)
        return cls(verify=verify, authorities=authorities, certificate=certificate, key=key)

    def apply(self, curl: pycurl.Curl) -> None:
        """Set the options of a libcurl handle; raises OSError for a file that cannot be read."""
        curl.setopt(pycurl.SSL_VERIFYPEER, int(self.verify))
        curl.setopt(pycurl.SSL_VERIFYHOST, 2 * self.verify)
        if self.verify:
            self._trust(curl)
        if self.certificate and self.key:
            curl.setopt(pycurl.SSLCERT, str(self.certificate))
            curl.setopt(pycurl.SSLKEY, str(self.key))
            curl.setopt(pycurl.KEYPASSWD, "")  # else OpenSSL prompts for a passphrase on the terminal

    def _trust(self, curl: pycurl.Curl) -> None:
        store = system_store() if self.system else None
        curl.unsetopt(pycurl.CAINFO)  # the wheel's default is a path on its build machine
        curl.unsetopt(pycurl.CAPATH)
        if self.authorities:
            files = (*self.authorities, *((Path(store.file),) if store and store.file else ()))
            curl.setopt(pycurl.CAINFO_BLOB, b"\n".join(path.read_bytes() for path in files))
        elif store and store.file:
            curl.setopt(pycurl.CAINFO, store.file)
        if store and store.directory:
            curl.setopt(pycurl.CAPATH, store.directory)


SYSTEM = TlsSettings()


def _files(folders: Iterable[Path], pattern: str) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        with suppress(PermissionError):
            found += sorted(folder.glob(pattern))
    return found


def trust_proxy(curl: pycurl.Curl) -> None:
    """Verify the certificate of an HTTPS proxy with the system's authorities."""
    store = system_store()
    curl.unsetopt(pycurl.PROXY_CAINFO)
    curl.unsetopt(pycurl.PROXY_CAPATH)
    if store.file:
        curl.setopt(pycurl.PROXY_CAINFO, store.file)
    if store.directory:
        curl.setopt(pycurl.PROXY_CAPATH, store.directory)


def system_store() -> "Store":
    """Return the system's certificate authorities; see `puller.http.authorities`."""
    from puller.http import authorities  # noqa: PLC0415 - imports ssl, which plain HTTP does not need

    return authorities.system_store()
