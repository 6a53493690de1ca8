"""Checks the proxies of puller and of the engine, and registries that should be reached without one."""

from collections.abc import Iterator, Sequence

from puller.doctor.findings import Finding, Subject, daemon_json
from puller.doctor.wire import port_of
from puller.engine.model import EngineInfo
from puller.http.proxies import PORTS, ProxyVariables, bypasses
from puller.registry.host import bare, is_loopback
from puller.system.addresses import ip_address

PROXY = Subject("proxy")
_INSIDE = (".local", ".internal", ".lan", ".intranet", ".corp", ".home.arpa")
"""Suffixes of names that public DNS does not resolve."""


def examine_proxies(own: ProxyVariables, facts: EngineInfo, registries: Sequence[str]) -> Iterator[Finding]:
    """Compare the proxies of puller and the engine, and look for internal registries that are not excepted."""
    theirs = facts.proxies
    yield PROXY.ok("settings", f"puller: {_shown(own)}; engine: {_shown(theirs) if theirs else 'not reported'}")
    if theirs and facts.local and bool(own.https) != bool(theirs.https):
        here, there = ("puller", "the engine") if own.https else ("the engine", "puller")
        words = f"{here} has a proxy for HTTPS and {there} has none: one of them may not reach the registries"
        fix = _for_engine(own) if own.https else "export HTTPS_PROXY=…   # the engine's"
        yield PROXY.warning("difference", words, fix)
    for whose, settings in (("puller", own), ("the engine", theirs)):
        if settings and (settings.http or settings.https):
            inside = [name for name in registries if _is_inside(name) and not _bypassed(settings, name)]
            if inside:
                words = f"{whose} asks {', '.join(inside)} through the proxy, although the name is internal"
                yield PROXY.warning("exceptions", words, _with_exceptions(settings, inside, engine=whose != "puller"))


def _bypassed(settings: ProxyVariables, registry: str) -> bool:
    return bypasses(settings.no_proxy, bare(registry), port_of(registry, PORTS["https"]))


def _is_inside(registry: str) -> bool:
    """Tell whether a registry's name or address is internal; loopback addresses are never reached through a proxy."""
    host = bare(registry)
    if is_loopback(registry):
        return False
    address = ip_address(host)
    return address.is_private if address else "." not in host or host.endswith(_INSIDE)


def _shown(settings: ProxyVariables) -> str:
    if not settings.http and not settings.https:
        return "none"
    both = dict.fromkeys(filter(None, (settings.https, settings.http)))
    return " and ".join(both) + f" (NO_PROXY: {settings.no_proxy or 'empty'})"


def _for_engine(own: ProxyVariables) -> str:
    values = {"http-proxy": own.http, "https-proxy": own.https, "no-proxy": own.no_proxy}
    return daemon_json({"proxies": {key: value for key, value in values.items() if value}}, "restart")


def _with_exceptions(settings: ProxyVariables, inside: Sequence[str], *, engine: bool) -> str:
    value = ",".join(filter(None, (settings.no_proxy, *map(bare, inside))))
    return daemon_json({"proxies": {"no-proxy": value}}, "restart") if engine else f"export NO_PROXY={value}"
