"""requests, taught to send to registries: no cookies, no .netrc, no redirects, and trouble of one kind."""

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import requests
import urllib3

from puller.registry.adapter import Adapter
from puller.registry.connections import PLAIN, Connections
from puller.registry.errors import trouble
from puller.registry.reply import Reply

if TYPE_CHECKING:
    import ssl


_TROUBLE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What requests, urllib3 and sockets raise."""
_CHUNK = 256 << 10


class Session(requests.Session):
    """A session with one registry, and with those that it leads to."""

    def __init__(self, registry: str, context: "ssl.SSLContext", connections: Connections, kept: int) -> None:
        super().__init__()
        self._registry = registry
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = Adapter(context, connections, kept)
        for prefix in ("http://", "https://"):
            self.mount(prefix, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that no answer is a redirect: requests would read the whole of its body."""

    def ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        timeout: tuple[float, float],
        proxies: dict[str, str],
        data: Mapping[str, str] | None,
    ) -> Reply:
        """Send one request, and read nothing of the body of the answer; raises RegistryError."""
        try:
            request = _prepared(method, url, headers, data)
            # The session's own way to send looks for cookies and redirects, and costs as much again.
            response = self.get_adapter(url).send(request, stream=True, timeout=timeout, proxies=proxies)
            if method == "HEAD":
                response.raw.drain_conn()
                response.close()
        except _TROUBLE as error:
            raise trouble(self._registry, error) from error
        body = None if method == "HEAD" else _Body(self._registry, response)
        return Reply(response.status_code, response.headers, url, body)


class _Body:
    """A body on its way."""

    def __init__(self, registry: str, response: requests.Response) -> None:
        self._registry = registry
        self._response = response

    def next(self) -> bytes:
        """Read what has come. Not what requests offers: that waits for a whole chunk, however slowly it comes."""
        try:
            data: bytes = self._response.raw.read1(_CHUNK, decode_content=False)
        except _TROUBLE as error:
            raise trouble(self._registry, error) from error
        return data

    def close(self) -> None:
        """Read no further."""
        self._response.close()


def _prepared(
    method: str, url: str, headers: dict[str, str], data: Mapping[str, str] | None
) -> requests.PreparedRequest:
    """Make a request; one without a body needs few of the steps."""
    if data is not None or method not in {"GET", "HEAD"}:
        return requests.Request(method, url, headers=headers, data=data, auth=_unchanged).prepare()
    request = requests.PreparedRequest()
    request.method = method
    if PLAIN.fullmatch(url):
        request.url = url
    else:
        request.prepare_url(url, None)
    request.prepare_headers(headers)
    return request


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials: a URL may hold some, and requests would use them."""
    return request
