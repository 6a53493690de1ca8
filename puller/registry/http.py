"""HTTP to registries: schemes, rate limits, redirects, bounded reads, and errors without URLs or secrets."""

import json
import logging
import time
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from puller.errors import FailureKind, RegistryError
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse, RequestGroup
from puller.http.proxies import PORTS
from puller.registry.host import Host
from puller.registry.record import RegistryRecord
from puller.registry.responses import wait_of
from puller.text import clean, format_seconds

_log = logging.getLogger(__name__)
_REDIRECTS = 5
_LONGEST_NAME = 100
"""Characters of a host name in a message."""
_LIMITS = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Statuses whose Retry-After applies to all requests, not only to the one that failed."""
_SLICE = 0.25
"""Seconds between two checks for a closed client, while a request waits for the end of a rate limit."""
_GZIP = {"gzip", "x-gzip", "deflate"}
_ANY_HEADER = zlib.MAX_WBITS | 32
"""zlib's mode that detects whether the data is gzip or zlib."""
_KINDS = {
    HttpErrorKind.NAME: FailureKind.DNS_FAILURE,
    HttpErrorKind.CONNECT_TIMEOUT: FailureKind.TIMEOUT,
    HttpErrorKind.CERTIFICATE_FILE: FailureKind.TLS_CONFIG,
    HttpErrorKind.PROXY: FailureKind.PROXY_ERROR,
    HttpErrorKind.TIMEOUT: FailureKind.TIMEOUT,
    HttpErrorKind.TOO_SLOW: FailureKind.TIMEOUT,
    HttpErrorKind.PROTOCOL: FailureKind.BAD_MIRROR,
    HttpErrorKind.TOO_LARGE: FailureKind.UNSUPPORTED_MANIFEST,
    HttpErrorKind.CLOSED: FailureKind.CANCELLED,
    HttpErrorKind.REQUEST: FailureKind.BAD_REFERENCE,
}
"""Kinds of failure by the cause; all other causes are classified by their words, the system's or OpenSSL's."""
_WORDS = {
    HttpErrorKind.CONNECT_TIMEOUT: "no connection in time",
    HttpErrorKind.TIMEOUT: "no answer in time",
    HttpErrorKind.CERTIFICATE_FILE: "its certificates cannot be used: {}",
}
_OTHERWISE = {
    HttpErrorKind.CONNECT: FailureKind.NETWORK_UNREACHABLE,
    HttpErrorKind.TLS: FailureKind.TLS_CONFIG,
    HttpErrorKind.UNTRUSTED: FailureKind.X509_UNTRUSTED,
}
"""Kinds of failure by the cause, if the words are unknown."""
_REFUSES_METHOD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_ANSWERED = {HttpErrorKind.TOO_LARGE, HttpErrorKind.TOO_SLOW, HttpErrorKind.CERTIFICATE_FILE}
"""Errors after a response has begun, or before a request is sent."""


class RequestLimits(NamedTuple):
    """The time limits of a request, and the group of requests to cancel together."""

    connect: float
    """Seconds to wait for a connection."""
    read: float
    """Seconds to wait for each byte of the response."""
    group: RequestGroup
    rate_limit: float = 0.0
    """Seconds to wait for the end of the registry's rate limit; with a longer limit the request fails at once."""

    @property
    def timeouts(self) -> tuple[float, float]:
        """For `HttpClient.send`."""
        return self.connect, self.read


class RegistryResponse:
    """A response of a registry, or of a server it redirects to. The caller reads its body or closes it."""

    def __init__(self, registry: str, response: HttpResponse, read_seconds: float) -> None:
        self._registry = registry
        self._response = response
        self._read_seconds = read_seconds
        self.status = response.status
        self.headers = response.headers
        self.url = response.url

    def next(self) -> bytes:
        """Return the next bytes of the body; empty at its end. Raises RegistryError if it is incomplete or stalls."""
        try:
            return self._response.next()
        except HttpError as error:
            raise registry_error(self._registry, error) from error

    def read(self, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryError if it is longer, incomplete or too slow.

        Some servers compress it though the request forbids that (RFC 9110 "Content-Encoding").
        """
        try:
            body = self._response.read(limit, self._read_seconds)
        except HttpError as error:
            raise registry_error(self._registry, error) from error
        if self.headers.get("content-encoding", "").strip().lower() not in _GZIP:
            return body
        unzip = zlib.decompressobj(_ANY_HEADER)
        try:
            plain = unzip.decompress(body, limit)
        except zlib.error:
            return body  # the header is wrong
        if not unzip.eof:
            words = f"{self._registry}: a compressed response that is incomplete or too long"
            raise RegistryError(words, kind=FailureKind.UNSUPPORTED_MANIFEST)
        return plain

    def discard(self) -> bytes:
        """See `HttpResponse.discard`."""
        return self._response.discard()

    def close(self) -> None:
        self._response.close()


class RegistryHttp:
    """Sends requests to registries for many threads."""

    def __init__(self, *, connections: int = 16, receive_buffer: int | None = None) -> None:
        """See `HttpClient` for `connections` (`kept`) and `receive_buffer`."""
        self._client = HttpClient(kept=connections, receive_buffer=receive_buffer)

    def proxy_for(self, url: str) -> str:
        return self._client.proxy_for(url)

    def ask(
        self,
        record: RegistryRecord,
        method: str,
        path: str,
        headers: Mapping[str, str],
        limits: RequestLimits,
        *,
        blob: bool = False,
    ) -> RegistryResponse:
        """Send a request to a registry, and return the response with any status; see `send` for `blob`.

        If two schemes are possible, the second is tried when the first gets no response, or a status of 400, which TLS
        servers send to plain HTTP.
        """
        first: RegistryError | None = None
        for scheme in record.schemes:
            url = f"{scheme}://{record.host.address}{path}"
            try:
                response = self.send(record, method, url, headers, limits, blob=blob)
            except RegistryError as error:
                first = first or error
                if error.timed_out or not error.unanswered:
                    break
                continue
            undecided = record.host.schemes == record.schemes
            if response.status == HTTPStatus.BAD_REQUEST and scheme == "http" and undecided:
                first = first or self.refusal(record, response)
                continue
            record.schemes = (scheme,)
            return response
        words = f"{record.host.name}: it answers neither HTTPS nor HTTP"
        raise first or RegistryError(words, kind=FailureKind.REGISTRY_PING_FAILED)

    def send(
        self,
        record: RegistryRecord,
        method: str,
        url: str,
        headers: Mapping[str, str],
        limits: RequestLimits,
        form: Mapping[str, str] | None = None,
        *,
        blob: bool = False,
    ) -> RegistryResponse:
        """Send a request to a registry, or to its token server, and follow redirects.

        With `blob`, from HTTPS to plain HTTP too, as engines do: a blob is checked by its digest; and over HTTP/1.1,
        which costs less where each request has its own connection. Credentials (`Authorization`) are sent to the first
        origin only. Every request waits here for the end of the registry's rate limit, or raises RegistryError if that
        takes longer than `limits.rate_limit`.
        """
        self._wait(record, limits)
        registry, headers = record.host.name, dict(headers)
        body = urlencode(form).encode() if form else None
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for _ in range(_REDIRECTS):
            since = time.monotonic()
            try:
                response = self._client.send(
                    method, url, headers, body, tls=record.tls, timeouts=limits.timeouts, group=limits.group, http1=blob
                )
            except HttpError as error:
                failed = registry_error(registry, error)
                if failed.unanswered:
                    record.not_answered()
                raise failed from error
            if _log.isEnabledFor(logging.DEBUG):  # without user and query, which may be secret
                place, seconds = urlsplit(response.url), time.monotonic() - since
                address = place.netloc.rpartition("@")[2] + place.path
                _log.debug("%s %s: status %d, %.0f ms", method, address, response.status, seconds * 1000)
            record.answered(response.status)
            target = response.target if method in {"GET", "HEAD"} else None
            if not target:
                return RegistryResponse(registry, response, 2 * limits.read)
            response.discard()
            url, other_origin = _redirected(record.host, url, target, blob=blob)
            if other_origin:
                headers.pop("Authorization", None)
        raise RegistryError(f"{registry}: too many redirects", kind=FailureKind.REDIRECT_REFUSED)

    def refusal(self, record: RegistryRecord, response: RegistryResponse, *secrets: str) -> RegistryError:
        """Make an error from a response, with its message (OCI distribution spec "Error Codes") without our secrets.

        A rate limit in the response is entered in the record.
        """
        words = _errors(response.discard())
        for secret in filter(None, secrets):
            words = words.replace(secret, "***")
        status = response.status
        text = f"{record.host.name}: status {status}" + (f", {words}" if words else "")
        challenged = status == HTTPStatus.UNAUTHORIZED and "www-authenticate" in response.headers
        otherwise = FailureKind.REGISTRY_5XX if status >= HTTPStatus.INTERNAL_SERVER_ERROR else FailureKind.BAD_MIRROR
        wait = wait_of(status, response.headers)
        kind = FailureKind.BAD_MIRROR if status in _REFUSES_METHOD else None
        error = RegistryError(text, kind=kind, status=status, wait=wait, challenged=challenged, otherwise=otherwise)
        if status == HTTPStatus.TOO_MANY_REQUESTS or (error.wait is not None and status in _LIMITS):
            record.limit(error)
        return error

    def cancel(self, group: RequestGroup) -> None:
        self._client.cancel(group)

    def close(self) -> None:
        self._client.close()

    def _wait(self, record: RegistryRecord, limits: RequestLimits) -> None:
        while left := record.health.rate_limit.left:
            if left > limits.rate_limit:
                words = f"it has set a rate limit for {format_seconds(left)} more"
                status = HTTPStatus.TOO_MANY_REQUESTS
                message = f"{record.host.name}: status {status:d}, {words}"
                raise RegistryError(message, status=status, wait=left, kind=FailureKind.RATE_LIMITED)
            if limits.group.ended.wait(min(left, _SLICE)) or self._client.closed:
                raise RegistryError(f"{record.host.name}: cancelled", kind=FailureKind.CANCELLED, unanswered=True)


def _redirected(host: Host, url: str, target: str, *, blob: bool) -> tuple[str, bool]:
    """Return where a redirect leads, and whether that is another origin; raises RegistryError if it is not allowed."""
    try:
        there = urljoin(url, target)
        allowed = may_redirect(host, url, there) or (blob and urlsplit(there).scheme == "http")
        other_origin = _origin(there) != _origin(url)
        name = clean(urlsplit(there).hostname or "no host", _LONGEST_NAME)
    except ValueError:
        allowed, name = False, "an invalid URL"
    if not allowed:
        raise RegistryError(f"{host.name}: redirects to {name} without HTTPS", kind=FailureKind.REDIRECT_REFUSED)
    return there, other_origin


def may_redirect(host: Host, previous: str, url: str) -> bool:
    """Whether a redirect may be followed: only to HTTP or HTTPS, and not from HTTPS to HTTP for a secure host."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and (host.insecure or urlsplit(previous).scheme == "http"))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def registry_error(registry: str, error: HttpError) -> RegistryError:
    """Return the RegistryError for a response that did not arrive, or not completely."""
    words = _WORDS.get(error.kind, "{}").format(error.words)
    unanswered, kind = error.kind not in _ANSWERED, _KINDS.get(error.kind)
    otherwise = _OTHERWISE.get(error.kind, FailureKind.UNEXPECTED_EOF)
    return RegistryError(
        f"{registry}: {words}", kind=kind, unanswered=unanswered, timed_out=error.timed_out, otherwise=otherwise
    )


def _errors(body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{str(error.get('code', '')).lower()}: {error.get('message', '')}" for error in errors[:3])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
