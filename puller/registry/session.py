"""The session that leads to one registry, and where its redirects may lead."""

import re
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import requests.utils

from puller import __version__
from puller.registry.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from puller.registry.adapter import Adapter
    from puller.registry.hosts import Host

_HEADERS = {"User-Agent": f"puller/{__version__}", "Accept-Encoding": "identity"}
_PLAIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?/[\w.~/:-]*", re.ASCII)
"""A URL in which nothing needs to be quoted, folded or refused."""
_PORTS = {"http": 80, "https": 443}


class Session(requests.Session):
    """A session without cookies, .netrc and redirects of its own."""

    def __init__(self, adapter: "Adapter") -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for prefix in ("http://", "https://"):
            self.mount(prefix, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that no answer is a redirect: requests would read the whole of its body."""


class Site:
    """One registry with the session that leads to it; shared by threads."""

    def __init__(self, host: "Host", session: requests.Session) -> None:
        self.host = host
        self.schemes = host.schemes
        """Those that may work: one, as soon as one has."""
        self._session = session
        self._proxies: dict[tuple[str, str], dict[str, str]] = {}

    def owns(self, url: str) -> bool:
        """Tell whether a URL is one of this registry itself."""
        return urlsplit(url).netloc.lower() == self.host.address.lower()

    def send(
        self,
        method: str,
        url: str,
        headers: "Mapping[str, str]",
        timeout: float | tuple[float, float],
        data: "Mapping[str, str] | None" = None,
    ) -> requests.Response:
        """Send one request; nothing of the body of the answer is read, and no redirect is followed."""
        request = _prepared(method, url, _HEADERS | dict(headers), data)
        # The session's own way to send looks for cookies and redirects, and costs as much again.
        adapter = self._session.get_adapter(url)
        return adapter.send(request, stream=True, timeout=timeout, proxies=self.proxies_for(url))

    def close(self) -> None:
        """Close the kept connections that are not in use."""
        self._session.close()

    def proxies_for(self, url: str) -> dict[str, str]:
        """Return the environment's proxies for a URL; for loopback there are none, as in the engine."""
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc)
        if key not in self._proxies:
            self._proxies[key] = {} if is_loopback(parts.netloc) else dict(requests.utils.get_environ_proxies(url))
        return self._proxies[key]


def may_lead(host: "Host", previous: str, url: str) -> bool:
    """Tell whether a redirect may be followed: to HTTP or HTTPS, and never from HTTPS to HTTP on a secure host."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and (host.insecure or urlsplit(previous).scheme == "http"))


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _prepared(
    method: str, url: str, headers: dict[str, str], data: "Mapping[str, str] | None"
) -> requests.PreparedRequest:
    """Make a request; one without a body needs few of the steps, and a run that is up to date makes hundreds."""
    if data is not None or method not in {"GET", "HEAD"}:
        return requests.Request(method, url, headers=headers, data=data, auth=_unchanged).prepare()
    request = requests.PreparedRequest()
    request.method = method
    if _PLAIN.fullmatch(url):
        request.url = url
    else:
        request.prepare_url(url, None)
    request.prepare_headers(headers)
    return request


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials: a URL may hold some, and requests would use them."""
    return request
