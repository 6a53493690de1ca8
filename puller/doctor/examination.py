"""All checks, and what each of them needs to know of the engine."""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from puller.doctor.accounts import SECONDS as HELPER_SECONDS, examine_accounts, examine_helper
from puller.doctor.daemon import find_daemon
from puller.doctor.disk import examine_disk
from puller.doctor.downloads import examine_downloads
from puller.doctor.engine import Sight, Way, examine_engine, look
from puller.doctor.finding import About, Finding
from puller.doctor.mirrors import ENGINES, examine_mirror
from puller.doctor.overlaps import examine_overlaps
from puller.doctor.proxies import examine_proxies, own_proxies
from puller.doctor.registries import RegistryVisit
from puller.doctor.visits import Check, later, together
from puller.engine.model import EngineInfo
from puller.image.reference import ImageReference
from puller.registry.host import CERTS_D
from puller.settings import RegistrySettings, registry_settings
from puller.system.docker_config import read_accounts

_ENGINE_SECONDS = 15.0
_LOCAL_SECONDS = 5.0
"""For what is on this host, once the engine has answered."""
_REGISTRY_SECONDS = 30.0
"""For all steps at one registry together."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be looked at."""

    way: Way
    references: tuple[ImageReference, ...] = ()
    """What is to be pulled; their registries are asked."""
    jobs: int = 3
    """Pulls that shall be in flight."""
    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)
    """Settings of single registries, their mirrors among them."""
    certificates: Path = CERTS_D
    engine_seconds: float = _ENGINE_SECONDS
    """For the engine to answer."""


def examine(scope: Scope) -> tuple[Finding, ...]:
    """Look at everything at once; the findings come in the same order every time.

    It takes as long as the slowest check, and no check takes longer than its limit, whatever hangs.
    """
    return together(list(_Examination(scope).checks()))


class _Examination:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._sight: Future[Sight] = later(partial(look, scope.way))
        self._wanted: dict[str, list[ImageReference]] = {}
        for reference in scope.references:
            self._wanted.setdefault(reference.registry, []).append(reference)

    def checks(self) -> Iterator[Check]:
        """Give all checks, in the order of the findings."""
        scope, patience = self._scope, self._scope.engine_seconds
        local = patience + _LOCAL_SECONDS
        yield Check("engine", partial(examine_engine, scope.way, self._sight, patience), local)
        yield Check("engine", self._downloads, local)
        yield Check("disk", self._disk, local, "df -h   # does a network file system hang?")
        yield Check("host", examine_overlaps, _LOCAL_SECONDS)
        accounts = read_accounts(os.environ)
        yield Check("credentials", partial(examine_accounts, accounts), _LOCAL_SECONDS)
        for helper in accounts.names():
            act = partial(examine_helper, accounts, helper, tuple(self._wanted))
            yield Check("credentials", act, HELPER_SECONDS + _LOCAL_SECONDS)
        names = tuple(self._wanted)
        yield Check("proxy", lambda: examine_proxies(own_proxies(), self._facts(), names), local)
        if self._wanted:
            yield from self._beyond()

    def _beyond(self) -> Iterator[Check]:
        """Give the checks that leave this host."""
        seconds = self._scope.engine_seconds + _REGISTRY_SECONDS
        yield Check("mirrors", self._engine_mirrors, seconds)
        for name, settings in self._scope.registries.items():
            for mirror in settings.mirrors if name in self._wanted else ():
                origin = f"mirrors of {name}"
                yield Check(f"mirror {mirror}", partial(self._mirror, mirror, origin), seconds)
        yield Check("registries", self._standpoint, seconds)
        for name in self._wanted:
            fix = f"curl -v https://{name}/v2/   # puller pull goes on without it: --breaker, --stall-timeout"
            yield Check(name, partial(self._registry, name), seconds, fix)

    def _seen(self) -> EngineInfo | None:
        """Wait for what the engine is; None where it does not answer."""
        try:
            return self._sight.result(self._scope.engine_seconds).facts
        except Exception:  # noqa: BLE001 - why it does not answer is the finding of another check
            return None

    def _facts(self) -> EngineInfo:
        """Wait for what the engine is, or take what is true of any."""
        return self._seen() or EngineInfo()

    def _downloads(self) -> Iterable[Finding]:
        facts = self._seen()
        endpoint = self._scope.way.endpoint() if facts else None
        if facts is None or endpoint is None:  # podman and nerdctl have no dockerd
            return ()
        return examine_downloads(facts, find_daemon(endpoint.host) if facts.local else None, self._scope.jobs)

    def _disk(self) -> Iterable[Finding]:
        facts = self._seen()
        return () if facts is None else examine_disk(facts)

    def _engine_mirrors(self) -> Iterator[Finding]:
        facts = self._facts()
        acts = [
            partial(examine_mirror, url, ENGINES, facts.insecure, self._scope.certificates) for url in facts.mirrors
        ]
        yield from together(
            [Check(f"mirror {url}", act, _REGISTRY_SECONDS) for url, act in zip(facts.mirrors, acts, strict=True)]
        )

    def _mirror(self, mirror: str, origin: str) -> Iterator[Finding]:
        return examine_mirror(mirror, origin, self._insecure(), self._scope.certificates)

    def _standpoint(self) -> Iterator[Finding]:
        facts = self._seen()
        if facts and not facts.local:
            words = (
                "asked from this host; the engine is on another, and may have another network, proxy and certificates"
            )
            yield About("registries").ok("standpoint", words)

    def _registry(self, name: str) -> Iterable[Finding]:
        settings = registry_settings(self._scope.registries, name)
        visit = RegistryVisit(
            self._wanted[name], insecure=self._insecure(), certificates=self._scope.certificates, ca=settings.ca
        )
        return visit()

    def _insecure(self) -> tuple[str, ...]:
        """Name what needs no TLS: for an engine on this host, and by the settings."""
        facts = self._facts()
        own = (name for name, settings in self._scope.registries.items() if settings.insecure)
        return (*(facts.insecure if facts.local else ()), *own)
