"""Proxies: what this process goes through, what the engine goes through, and what should not go through any."""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence

from puller.doctor.findings import Finding, Subject as About, daemon_json
from puller.engine.model import EngineInfo, ProxySettings
from puller.http.proxies import PORTS, ProxyVariables, bypasses
from puller.registry.host import bare, is_loopback

PROXY = About("proxy")
_INSIDE = (".local", ".internal", ".lan", ".intranet", ".corp", ".home.arpa")
"""Ends of names that no public name server knows."""


def own_proxies(environment: Mapping[str, str] = os.environ) -> ProxySettings:
    """Read the variables that puller goes by."""
    return ProxySettings(*ProxyVariables.of(environment))


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
            inside = [name for name in registries if _is_inside(name) and not _bypassed(settings, name)]
            if inside:
                words = f"{whose} asks {', '.join(inside)} through the proxy, although it is of this network"
                yield PROXY.warning("exceptions", words, _except(settings, inside, engine=whose != "puller"))


def _bypassed(settings: ProxySettings, registry: str) -> bool:
    _, colon, port = registry.rpartition("]")[2].partition(":")
    return bypasses(settings.exceptions, bare(registry), int(port) if colon and port.isdigit() else PORTS["https"])


def _is_inside(registry: str) -> bool:
    """Tell whether a registry is of this network, as far as its name tells; loopback never goes through a proxy."""
    host = bare(registry)
    if is_loopback(registry):
        return False
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_INSIDE)


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
