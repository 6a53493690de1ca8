"""The proxy for a URL, from the environment variables as Go programs such as docker read them.

Go's golang.org/x/net/http/httpproxy is the reference for NO_PROXY. ALL_PROXY, and the precedence of lower-case names,
are curl's rules.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from puller.system.addresses import Address, contains, ip_address, is_loopback

PORTS = {"http": 80, "https": 443}


class ProxyVariables(NamedTuple):
    """The proxy variables of the environment, or an engine's own proxies; unset ones are empty."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> "ProxyVariables":
        """Read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; lower-case names take precedence."""
        variables = os.environ if environment is None else environment

        def value(name: str) -> str:
            return variables.get(name.lower()) or variables.get(name) or ""

        other = value("ALL_PROXY")
        return cls(value("HTTP_PROXY") or other, value("HTTPS_PROXY") or other, value("NO_PROXY"))


NO_PROXIES = ProxyVariables()


def proxy_for(url: str, variables: ProxyVariables) -> str:
    """Return the URL of the proxy for `url`; empty for a direct connection. Raises ValueError for an invalid URL."""
    parts = urlsplit(url)
    proxy = variables.https if parts.scheme == "https" else variables.http
    if not proxy or bypasses(variables.no_proxy, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)):
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    # Go, unlike curl, lets a SOCKS 5 proxy resolve the name.
    return f"socks5h{proxy[6:]}" if proxy.lower().startswith("socks5:") else proxy


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY excludes a host from the proxy; loopback is always excluded.

    Entries: `*`; a host and its subdomains (`x.example`); subdomains only (`.x.example`, `*.x.example`); an IP address;
    a network (`10.0.0.0/8`, `fd00::/8`). All but networks may end in a port.
    """
    name = host.strip().strip("[]").lower().rstrip(".")
    if is_loopback(name):
        return True
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    address = ip_address(name)
    return any(entry == "*" or _matches(entry, name, address, port) for entry in entries if entry)


def _matches(entry: str, name: str, address: Address | None, port: int) -> bool:
    if "/" in entry:
        return address is not None and contains(entry, address)
    host, entry_port = _split(entry)
    if not host or (entry_port and entry_port != str(port)):
        return False
    if entry_address := ip_address(host):
        return entry_address == address
    domain = host.removeprefix("*") if host.startswith("*.") else host
    return name.endswith(domain) if domain.startswith(".") else name == domain or name.endswith(f".{domain}")


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into host and port; an IPv6 address needs brackets only with a port."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""
