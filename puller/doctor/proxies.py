"""Proxies: what this process goes through, what the engine goes through, and what should not go through any."""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence

from puller.doctor.findings import Finding, Subject as About, daemon_json
from puller.engine.model import EngineInfo, ProxySettings
from puller.registry.host import bare, is_loopback

PROXY = About("proxy")
_INSIDE = (".local", ".internal", ".lan", ".intranet", ".corp", ".home.arpa")
"""Ends of names that no public name server knows."""


def own_proxies(environment: Mapping[str, str] = os.environ) -> ProxySettings:
    """Read the variables that puller, as most programs, goes by; small letters come first, as with curl."""

    def value(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name) or environment.get("ALL_PROXY", "")

    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    return ProxySettings(value("HTTP_PROXY"), value("HTTPS_PROXY"), exceptions)


def examine_proxies(own: ProxySettings, facts: EngineInfo, registries: Sequence[str]) -> Iterator[Finding]:
    """Compare the proxies of both sides, and look for registries that lie inside and would be asked for outside."""
    theirs = facts.proxies
    yield PROXY.ok("settings", f"puller: {_said(own)}; engine: {_said(theirs) if theirs else 'it does not say'}")
    if theirs and facts.local and bool(own.https) != bool(theirs.https):
        here, there = ("puller", "the engine") if own.https else ("the engine", "puller")
        words = f"{here} has a proxy for HTTPS and {there} has none: one of the two will not reach the registries"
        yield PROXY.warning("difference", words, _give(own) if own.https else "export HTTPS_PROXY=…   # the engine's")
    for whose, settings in (("puller", own), ("the engine", theirs)):
        if settings and (settings.http or settings.https):
            inside = [name for name in registries if _is_inside(name) and not bypasses(settings.exceptions, name)]
            if inside:
                words = f"{whose} asks {', '.join(inside)} through the proxy, although it is of this network"
                yield PROXY.warning("exceptions", words, _except(settings, inside, engine=whose != "puller"))


def bypasses(exceptions: str, registry: str) -> bool:
    """Tell whether NO_PROXY covers a registry, as Go reads it (golang.org/x/net/http/httpproxy)."""
    host, address = bare(registry), _address(bare(registry))
    for entry in filter(None, (each.strip().lower() for each in exceptions.split(","))):
        if entry in {"*", registry.lower(), host}:
            return True
        name = entry.removeprefix("*")
        if host.endswith(name if name.startswith(".") else f".{name}"):
            return True
        if address and "/" in entry and _holds(entry, address):
            return True
    return False


def _is_inside(registry: str) -> bool:
    """Tell whether a registry is of this network, as far as its name tells; loopback never goes through a proxy."""
    host = bare(registry)
    address = _address(host)
    if is_loopback(registry):
        return False
    return address.is_private if address else "." not in host or host.endswith(_INSIDE)


def _said(settings: ProxySettings) -> str:
    if not settings.http and not settings.https:
        return "none"
    both = dict.fromkeys(filter(None, (settings.https, settings.http)))
    return " and ".join(both) + f" (NO_PROXY: {settings.exceptions or 'empty'})"


def _give(own: ProxySettings) -> str:
    values = {"http-proxy": own.http, "https-proxy": own.https, "no-proxy": own.exceptions}
    return daemon_json({"proxies": {key: value for key, value in values.items() if value}}, "restart")


def _except(settings: ProxySettings, inside: Sequence[str], *, engine: bool) -> str:
    value = ",".join(filter(None, (settings.exceptions, *map(bare, inside))))
    return daemon_json({"proxies": {"no-proxy": value}}, "restart") if engine else f"export NO_PROXY={value}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
