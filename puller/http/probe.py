"""A probe that connects and sends nothing: it measures the connection, and reads the server's certificate."""

import ssl
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

import pycurl

from puller.http.certificates import TlsSettings
from puller.http.errors import HttpError, HttpErrorKind, from_curl


class Probe(NamedTuple):
    """The result of `probe`."""

    connect_seconds: float
    """Seconds for name lookup and TCP, without TLS."""
    certificate_end: datetime | None
    """When the server's certificate expires; None without TLS."""


def probe(url: str, tls: TlsSettings, seconds: float) -> Probe:
    """Connect to the host of a URL without a proxy, with TLS for https, and disconnect; raises HttpError."""
    with closing(pycurl.Curl()) as curl:
        for option, value in (
            (pycurl.URL, url),
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),
            (pycurl.CONNECT_ONLY, 1),
            (pycurl.OPT_CERTINFO, 1),
            (pycurl.CONNECTTIMEOUT_MS, int(seconds * 1000)),
        ):
            curl.setopt(option, value)
        try:
            tls.apply(curl)
            curl.perform()
        except OSError as error:
            raise HttpError(HttpErrorKind.CERTIFICATE_FILE, error.strerror or str(error)) from None
        except pycurl.error as error:
            code, *message = error.args
            raise from_curl(curl, int(code), str(*message), begun=False) from None
        chain = curl.getinfo(pycurl.INFO_CERTINFO)
        ends = dict(chain[0]).get("Expire date") if chain else None
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if ends else None
        return Probe(curl.getinfo(pycurl.CONNECT_TIME), end)
