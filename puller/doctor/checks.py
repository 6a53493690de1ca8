"""All checks of `puller doctor`. They are made at once, each with a time limit of its own, whatever hangs."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

from puller.doctor.credentials import SECONDS as HELPER_SECONDS, examine_config, examine_helper
from puller.doctor.daemon import examine_downloads, find_daemon
from puller.doctor.engine import Way, ask_engine, examine_engine
from puller.doctor.findings import Finding, Subject
from puller.doctor.host import examine_disk, examine_overlaps
from puller.doctor.mirrors import ENGINES, examine_mirror
from puller.doctor.proxies import examine_proxies, own_proxies
from puller.doctor.registries import RegistryVisit
from puller.engine.model import EngineInfo
from puller.image.reference import ImageReference
from puller.registry.host import CERTS_D
from puller.settings import RegistrySettings, registry_settings
from puller.system import docker_config

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


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    subject: str
    act: Callable[[], Iterable[Finding]]
    """Finds one thing after the other; it may hang."""
    seconds: float
    """Counted from the start of all checks."""
    fix: str = ""
    """What to do when it hangs."""


def examine(scope: Scope) -> tuple[Finding, ...]:
    """Make all checks at once; the findings come in the same order every time.

    It takes as long as the slowest check, and no check takes longer than its limit, whatever hangs.
    """
    return run_checks(_checks(scope))


def run_checks(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Make all checks at once and return what they found, in the order of the checks.

    What a check found before its time was up is kept. A check that hangs is left behind in its thread.
    """
    begun = monotonic()
    executor = ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor")
    founds: list[list[Finding]] = [[] for _ in checks]
    futures = [executor.submit(_collect, check, found) for check, found in zip(checks, founds, strict=True)]
    executor.shutdown(wait=False)
    for check, found, future in zip(checks, founds, futures, strict=True):
        subject = Subject(check.subject)
        try:
            future.result(max(0.0, begun + check.seconds - monotonic()))
        except TimeoutError:
            found.append(subject.failed("answer", f"no answer within {check.seconds:g}s", check.fix))
        except Exception as error:  # noqa: BLE001 - one check that cannot be made must not cost the others
            words = f"could not be made: {type(error).__name__}: {error}"
            found.append(subject.failed("check", words, check.fix))
    return tuple(finding for found in founds for finding in found)


def _collect(check: Check, found: list[Finding]) -> None:
    for finding in check.act():
        found.append(finding)  # noqa: PERF402 - one by one: each is kept, should the next hang


def _checks(scope: Scope) -> list[Check]:
    """Return all checks, in the order of the findings."""
    wanted: dict[str, list[ImageReference]] = {}
    for reference in scope.references:
        wanted.setdefault(reference.registry, []).append(reference)
    executor = ThreadPoolExecutor(1, thread_name_prefix="doctor")
    engine = executor.submit(ask_engine, scope.way)
    executor.shutdown(wait=False)

    def facts() -> EngineInfo | None:
        """Wait for what the engine is; None where it does not answer."""
        try:
            return engine.result(scope.engine_seconds).facts
        except Exception:  # noqa: BLE001 - why it does not answer is the finding of another check
            return None

    local = scope.engine_seconds + _LOCAL_SECONDS
    config = docker_config.read(os.environ)
    names = tuple(wanted)
    return [
        Check("engine", lambda: examine_engine(scope.way, engine, scope.engine_seconds), local),
        Check("engine", lambda: _downloads(scope, facts()), local),
        Check("disk", lambda: _disk(facts()), local, "df -h   # does a network file system hang?"),
        Check("host", examine_overlaps, _LOCAL_SECONDS),
        Check("credentials", lambda: examine_config(config), _LOCAL_SECONDS),
        *(
            Check("credentials", partial(examine_helper, config, helper, names), HELPER_SECONDS + _LOCAL_SECONDS)
            for helper in config.names()
        ),
        Check("proxy", lambda: examine_proxies(own_proxies(), facts() or EngineInfo(), names), local),
        *(_remote_checks(scope, wanted, facts) if wanted else ()),
    ]


def _remote_checks(
    scope: Scope, wanted: Mapping[str, Sequence[ImageReference]], facts: Callable[[], EngineInfo | None]
) -> Iterator[Check]:
    """Return the checks that leave this host."""
    seconds = scope.engine_seconds + _REGISTRY_SECONDS

    def insecure() -> tuple[str, ...]:
        """Name what needs no TLS: for an engine on this host, and by the settings."""
        engine = facts() or EngineInfo()
        own = (name for name, settings in scope.registries.items() if settings.insecure)
        return (*(engine.insecure if engine.local else ()), *own)

    def mirror(place: str, origin: str) -> Iterator[Finding]:
        return examine_mirror(place, origin, insecure(), scope.certificates)

    def registry(name: str) -> Iterator[Finding]:
        ca = registry_settings(scope.registries, name).ca
        return RegistryVisit(wanted[name], insecure=insecure(), certificates=scope.certificates, ca=ca)()

    yield Check("mirrors", lambda: _engine_mirrors(scope, facts() or EngineInfo()), seconds)
    for name, settings in scope.registries.items():
        for place in settings.mirrors if name in wanted else ():
            yield Check(f"mirror {place}", partial(mirror, place, f"mirrors of {name}"), seconds)
    yield Check("registries", lambda: _standpoint(facts()), seconds)
    for name in wanted:
        fix = f"curl -v https://{name}/v2/   # puller pull goes on without it: --breaker, --stall-timeout"
        yield Check(name, partial(registry, name), seconds, fix)


def _downloads(scope: Scope, facts: EngineInfo | None) -> Iterable[Finding]:
    endpoint = scope.way.endpoint() if facts else None
    if facts is None or endpoint is None:  # podman and nerdctl have no dockerd
        return ()
    return examine_downloads(facts, find_daemon(endpoint.host) if facts.local else None, scope.jobs)


def _disk(facts: EngineInfo | None) -> Iterable[Finding]:
    return () if facts is None else examine_disk(facts)


def _engine_mirrors(scope: Scope, facts: EngineInfo) -> Iterable[Finding]:
    def check(url: str) -> Check:
        act = partial(examine_mirror, url, ENGINES, facts.insecure, scope.certificates)
        return Check(f"mirror {url}", act, _REGISTRY_SECONDS)

    return run_checks([check(url) for url in facts.mirrors])


def _standpoint(facts: EngineInfo | None) -> Iterator[Finding]:
    if facts and not facts.local:
        words = "asked from this host; the engine is on another, and may have another network, proxy and certificates"
        yield Subject("registries").ok("standpoint", words)
