"""Whose certificates are accepted, and which of ours are shown.

The wheel of pycurl brings an OpenSSL of its own that knows no certificate store, so it is told where the system's is.
"""

import functools
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pycurl

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep their authorities, if Python's OpenSSL does not know (Go's crypto/x509 has this list)."""
_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


class Store(NamedTuple):
    """Files and folders with authorities, as OpenSSL reads them."""

    file: str | None
    directory: str | None


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
        store = system_store() if self.system else Store(None, None)
        curl.unsetopt(pycurl.CAINFO)  # the wheel's own default is a path of the machine that built it
        curl.unsetopt(pycurl.CAPATH)
        if self.authorities:
            files = (*self.authorities, *((Path(store.file),) if store.file else ()))
            curl.setopt(pycurl.CAINFO_BLOB, b"\n".join(path.read_bytes() for path in files))
        elif store.file:
            curl.setopt(pycurl.CAINFO, store.file)
        if store.directory:
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


def system_store() -> Store:
    """Find what REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE name; else SSL_CERT_FILE, SSL_CERT_DIR or the system's store.

    Where there is none, certifi's bundle.
    """
    return _store(*map(os.environ.get, _VARIABLES))


@functools.cache
def _store(requests: str | None, curl: str | None, file: str | None, directory: str | None) -> Store:
    if bundle := requests or curl:
        return Store(None, bundle) if Path(bundle).is_dir() else Store(bundle, None)
    found = ssl.get_default_verify_paths()  # it heeds both variables
    hashed = _hashed(Path(found.capath)) if found.capath else 0
    known = found.cafile or next(filter(os.path.isfile, _BUNDLES), None)
    if file is None and directory is None and known and hashed >= Path(known).read_bytes().count(_BEGIN) > 0:
        return Store(None, found.capath)  # the same authorities, of which libcurl reads only the one that it needs
    if found.cafile or hashed:
        return Store(found.cafile, found.capath if hashed else None)
    if known:
        return Store(known, None)
    import certifi  # noqa: PLC0415 - hardly any system has no store, and it is searched for as a resource

    return Store(certifi.where(), None)


def _hashed(directory: Path) -> int:
    """Count the certificates that OpenSSL finds in a folder by their names."""
    return sum(bool(_HASHED.fullmatch(file.name)) for file in directory.iterdir())
