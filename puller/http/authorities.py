"""The certificate authorities of this system, as OpenSSL finds them."""

import functools
import os
import re
import ssl
from pathlib import Path
from typing import NamedTuple

import certifi

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
    return Store(certifi.where(), None)


def _hashed(directory: Path) -> int:
    """Count the certificates that OpenSSL finds in a folder by their names."""
    return sum(bool(_HASHED.fullmatch(file.name)) for file in directory.iterdir())
