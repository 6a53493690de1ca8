"""HTTP to registries: which scheme, careful redirects, bounded reads, and one kind of trouble without URL or secret."""

import json
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from urllib.parse import urlencode, urljoin, urlsplit

from puller.errors import RegistryError
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse, TlsSettings
from puller.http.proxies import PORTS
from puller.registry.host import CERTS_D, Host
from puller.registry.responses import wait_of
from puller.settings import RegistrySettings, registry_settings

_REDIRECTS = 5
_ANSWERED = {HttpErrorKind.TOO_LARGE, HttpErrorKind.TOO_SLOW, HttpErrorKind.CERTIFICATE_FILE}
"""What goes wrong although somebody answers, or before anybody is asked."""


class RegistryEndpoint:
    """One registry: where it is, and what is known of how to speak to it; shared by threads."""

    def __init__(self, host: Host, tls: TlsSettings) -> None:
        self.host = host
        self.tls = tls
        self.schemes = host.schemes
        """Those that may work: one, as soon as one has."""

    def owns(self, url: str) -> bool:
        """Tell whether a URL is one of this registry itself."""
        return urlsplit(url).netloc.lower() == self.host.address.lower()


class RegistryResponse:
    """An answer of a registry, or of a server that it leads to, whose body is read or closed by the caller."""

    def __init__(self, registry: str, response: HttpResponse) -> None:
        self._registry = registry
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.url = response.url

    def next(self) -> bytes:
        """Return what has come of the body; empty at its end. Raises RegistryError for a cut or silent one."""
        try:
            return self._response.next()
        except HttpError as error:
            raise _trouble(self._registry, error) from error

    def read(self, limit: int, seconds: float) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryError for a longer, cut or dripping one."""
        try:
            return self._response.read(limit, seconds)
        except HttpError as error:
            raise _trouble(self._registry, error) from error

    def discard(self) -> bytes:
        """Read a small body to its end, and no more of a large or slow one."""
        return self._response.discard()

    def close(self) -> None:
        """Read no further."""
        self._response.close()


class RegistryHttp:
    """Sends requests to registries for many threads."""

    def __init__(
        self,
        *,
        insecure: Collection[str] = (),
        certificates: Path = CERTS_D,
        registries: Mapping[str, RegistrySettings] | None = None,
        connect: float = 5.0,
        read: float = 15.0,
        connections: int = 16,
        receive_buffer: int | None = None,
    ) -> None:
        """Give up after `connect` seconds without a connection, or `read` without a byte.

        `connections` are kept for each registry; more are made when more threads ask. On each the kernel takes
        in no more than about `receive_buffer` bytes ahead.
        """
        self._insecure = insecure
        self._certificates = certificates
        self._registries = registries or {}
        self._longest_read = 2 * read
        self._client = HttpClient(connect=connect, read=read, kept=connections, receive_buffer=receive_buffer)
        self._endpoints: dict[str, RegistryEndpoint] = {}
        self._lock = Lock()

    def endpoint(self, registry: str) -> RegistryEndpoint:
        """Describe the way to a registry; raises RegistryError for certificates that cannot be used."""
        with self._lock:
            if registry not in self._endpoints:
                own = registry_settings(self._registries, registry)
                host = Host.of(registry, (registry,) if own.insecure else self._insecure)
                try:
                    tls = host.tls(self._certificates, own.ca)
                except (OSError, ValueError) as error:
                    words = f"its certificates cannot be used: {getattr(error, 'strerror', None) or error}"
                    raise RegistryError(f"{registry}: {words}") from None
                self._endpoints[registry] = RegistryEndpoint(host, tls)
            return self._endpoints[registry]

    def proxy_for(self, url: str) -> str:
        """Return the proxy that leads to a URL, or nothing."""
        return self._client.proxy_for(url)

    def ask(self, endpoint: RegistryEndpoint, method: str, path: str, headers: Mapping[str, str]) -> RegistryResponse:
        """Ask a registry, whatever the status of its answer.

        Where two schemes are possible, the second is tried when the first gets no answer, or the one that a TLS
        server has for plain HTTP.
        """
        first: RegistryError | None = None
        for scheme in endpoint.schemes:
            url = f"{scheme}://{endpoint.host.address}{path}"
            try:
                response = self.send(endpoint, method, url, headers)
            except RegistryError as error:
                first = first or error
                if error.late or not error.lost:
                    break
                continue
            undecided = endpoint.host.schemes == endpoint.schemes
            if response.status == HTTPStatus.BAD_REQUEST and scheme == "http" and undecided:
                first = first or self.refusal(endpoint, response)
                continue
            endpoint.schemes = (scheme,)
            return response
        raise first or RegistryError(f"{endpoint.host.name}: no way to connect")

    def send(
        self,
        endpoint: RegistryEndpoint,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> RegistryResponse:
        """Ask a registry or a server that it has named, with the registry's TLS settings, and follow redirects.

        Credentials (`Authorization`) go to the first origin only.
        """
        registry, headers = endpoint.host.name, dict(headers)
        body = urlencode(form).encode() if form else None
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for _ in range(_REDIRECTS):
            try:
                response = self._client.send(method, url, headers, body, tls=endpoint.tls)
            except HttpError as error:
                raise _trouble(registry, error) from error
            target = response.target if method in {"GET", "HEAD"} else None
            if not target:
                return RegistryResponse(registry, response)
            response.discard()
            previous = url
            try:
                url = urljoin(previous, target)
                may, elsewhere = may_lead(endpoint.host, previous, url), _origin(url) != _origin(previous)
            except ValueError:  # no address at all
                may = elsewhere = False
            if not may:
                raise RegistryError(f"{registry}: redirects to where it must not")
            if elsewhere:
                headers.pop("Authorization", None)
        raise RegistryError(f"{registry}: redirects too often")

    def read(self, response: RegistryResponse, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryError for a longer, cut or dripping one."""
        return response.read(limit, self._longest_read)

    def refusal(self, endpoint: RegistryEndpoint, response: RegistryResponse, *secrets: str) -> RegistryError:
        """Turn an answer into trouble, with its reason (OCI distribution spec "Error Codes"), but no secret of ours."""
        words = _errors(response.discard())
        for secret in filter(None, secrets):
            words = words.replace(secret, "***")
        status = response.status
        text = f"{endpoint.host.name}: status {status}" + (f", {words}" if words else "")
        return RegistryError(text, status=status, wait=wait_of(status, response.headers))

    def close(self) -> None:
        """Break off whatever is under way, and close the kept connections."""
        self._client.close()


def may_lead(host: Host, previous: str, url: str) -> bool:
    """Tell whether a redirect may be followed: to HTTP or HTTPS, and never from HTTPS to HTTP on a secure host."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and (host.insecure or urlsplit(previous).scheme == "http"))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _trouble(registry: str, error: HttpError) -> RegistryError:
    """Say why there was no answer, or no whole one."""
    if error.kind is HttpErrorKind.CONNECT_TIMEOUT:
        words = "no connection in time"
    elif error.kind is HttpErrorKind.TIMEOUT:
        words = "no answer in time"
    elif error.kind is HttpErrorKind.CERTIFICATE_FILE:
        words = f"its certificates cannot be used: {error.words}"
    else:
        words = error.words
    return RegistryError(f"{registry}: {words}", lost=error.kind not in _ANSWERED, late=error.late)


def _errors(body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{str(error.get('code', '')).lower()}: {error.get('message', '')}" for error in errors[:3])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
