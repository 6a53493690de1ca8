"""Errors of HTTP requests."""

import os
import re
from enum import StrEnum

import pycurl


class HttpErrorKind(StrEnum):
    """The cause of an `HttpError`."""

    NAME = "name"
    """The host name cannot be resolved."""
    CONNECT = "connect"
    """The connection failed."""
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    """The TLS handshake failed, for another reason than the two below."""
    UNTRUSTED = "untrusted"
    """The server's certificate is not trusted; `HttpError.verify_code` is OpenSSL's reason."""
    CERTIFICATE_FILE = "certificate_file"
    """A local certificate or key file cannot be used."""
    PROXY = "proxy"
    TIMEOUT = "timeout"
    """No byte arrived within the time limit, or the headers were too slow."""
    CUT = "cut"
    """The connection ended before the response was complete."""
    PROTOCOL = "protocol"
    """The response is not HTTP, or its headers are too long."""
    TOO_LARGE = "too_large"
    """The body exceeds its size limit."""
    TOO_SLOW = "too_slow"
    """The body exceeds its time limit."""
    CLOSED = "closed"
    """We cancelled the request."""
    REQUEST = "request"
    """The URL or a header is invalid."""


OTHER_NAME = 62
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH."""
_OTHER_NAME = r"subject name .*?('[^']*')"
_VERIFY_RESULT = r"verify result: (.+?)(?: \(\d+\))?$"
_TIMEOUTS = frozenset({HttpErrorKind.CONNECT_TIMEOUT, HttpErrorKind.TIMEOUT})


class HttpError(Exception):
    """A request failed; `words` contains neither the URL nor a secret.

    `errno` is the operating system's error of a failed connection, `verify_code` OpenSSL's X509_V_ERR_* number.
    """

    def __init__(
        self, kind: HttpErrorKind, words: str, *, errno: int | None = None, verify_code: int | None = None
    ) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.errno = errno
        self.verify_code = verify_code

    @property
    def timed_out(self) -> bool:
        return self.kind in _TIMEOUTS

    @property
    def alert(self) -> bool:
        """Whether the server sent a TLS alert, and so does speak TLS."""
        return self.kind in {HttpErrorKind.TLS, HttpErrorKind.CUT} and "alert" in self.words


_KINDS = {
    pycurl.E_COULDNT_RESOLVE_HOST: HttpErrorKind.NAME,
    pycurl.E_COULDNT_CONNECT: HttpErrorKind.CONNECT,
    pycurl.E_COULDNT_RESOLVE_PROXY: HttpErrorKind.PROXY,
    pycurl.E_SSL_CONNECT_ERROR: HttpErrorKind.TLS,
    pycurl.E_SSL_CIPHER: HttpErrorKind.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: HttpErrorKind.UNTRUSTED,
    pycurl.E_SSL_CACERT_BADFILE: HttpErrorKind.CERTIFICATE_FILE,
    pycurl.E_SSL_CERTPROBLEM: HttpErrorKind.CERTIFICATE_FILE,
    pycurl.E_BAD_FUNCTION_ARGUMENT: HttpErrorKind.CERTIFICATE_FILE,  # for a file without a key, or an encrypted key
    pycurl.E_OPERATION_TIMEDOUT: HttpErrorKind.TIMEOUT,
    pycurl.E_GOT_NOTHING: HttpErrorKind.CUT,
    pycurl.E_PARTIAL_FILE: HttpErrorKind.CUT,
    pycurl.E_RECV_ERROR: HttpErrorKind.CUT,
    pycurl.E_SEND_ERROR: HttpErrorKind.CUT,
    pycurl.E_UNSUPPORTED_PROTOCOL: HttpErrorKind.PROTOCOL,
    pycurl.E_URL_MALFORMAT: HttpErrorKind.REQUEST,
}
"""By libcurl's error codes; all others are protocol errors."""
_TOO_LARGE = 100
"""CURLE_TOO_LARGE, which pycurl does not name: the headers exceed libcurl's limit."""
_WORDS = {
    HttpErrorKind.NAME: "Name or service not known",
    HttpErrorKind.TIMEOUT: "timed out",
    HttpErrorKind.CONNECT_TIMEOUT: "timed out",
}


def from_curl(curl: pycurl.Curl, code: int, message: str, *, begun: bool) -> HttpError:
    """Make an error from libcurl's; `begun` is whether part of the response had arrived."""
    kind = _KINDS.get(code, HttpErrorKind.PROTOCOL)
    if "CONNECT tunnel failed" in message or kind is HttpErrorKind.PROXY:
        return HttpError(HttpErrorKind.PROXY, message)
    if kind is HttpErrorKind.TIMEOUT and not curl.getinfo(pycurl.CONNECT_TIME):
        kind = HttpErrorKind.CONNECT_TIMEOUT
    if kind is HttpErrorKind.CONNECT:
        number = int(curl.getinfo(pycurl.OS_ERRNO))
        return HttpError(kind, os.strerror(number) if number else message, errno=number or None)
    if kind is HttpErrorKind.CUT and "chunk" in message.lower():
        return HttpError(HttpErrorKind.PROTOCOL, "its response has invalid chunks")
    if kind is HttpErrorKind.UNTRUSTED:
        return _untrusted(curl, message)
    return HttpError(kind, _WORDS.get(kind) or _words(kind, code, message, begun=begun))


def _untrusted(curl: pycurl.Curl, message: str) -> HttpError:
    kind = HttpErrorKind.UNTRUSTED
    if found := re.search(_OTHER_NAME, message):  # libcurl checks the name itself, after OpenSSL has verified the chain
        return HttpError(kind, f"certificate is not valid for {found[1]}", verify_code=OTHER_NAME)
    found = re.search(_VERIFY_RESULT, message)
    words = f"certificate verify failed: {found[1] if found else message}"
    return HttpError(kind, words, verify_code=int(curl.getinfo(pycurl.SSL_VERIFYRESULT)))


def _words(kind: HttpErrorKind, code: int, message: str, *, begun: bool) -> str:
    if code == _TOO_LARGE:
        return "the response headers are too long"
    if kind is HttpErrorKind.PROTOCOL:
        return "it does not speak HTTP"
    if kind is HttpErrorKind.CUT:
        if code in {pycurl.E_GOT_NOTHING, pycurl.E_PARTIAL_FILE}:
            return "unexpected EOF" if begun else "the connection was closed"
        return message.partition("failure: ")[2] or message  # "Recv failure: Connection reset by peer"
    return message
