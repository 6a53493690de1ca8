"""All checks of `puller doctor`. They run at the same time, each with its own time limit."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import NamedTuple

from puller.doctor.credentials import SECONDS as HELPER_SECONDS, examine_config, examine_helper
from puller.doctor.daemon import examine_downloads, find_daemon
from puller.doctor.engine import EngineChoice, ask_engine, examine_engine
from puller.doctor.findings import Finding, Subject
from puller.doctor.host import examine_cache, examine_disk, examine_overlaps
from puller.doctor.proxies import examine_proxies
from puller.doctor.registries import RegistryCheck
from puller.doctor.wire import examine_mirror
from puller.engine.model import EngineInfo
from puller.errors import UsageError
from puller.http.proxies import ProxyVariables
from puller.image.reference import ImageReference
from puller.registry.host import CERTS_D
from puller.settings import RegistrySettings
from puller.system import docker_config

_ENGINE_SECONDS = 15.0
"""Time for the engine to answer."""
_LOCAL_SECONDS = 5.0
"""Time for checks of this host, in addition to the engine's."""
_REGISTRY_SECONDS = 30.0
"""Time for all steps of one registry, in addition to the engine's."""


class Scope(NamedTuple):
    """What to check."""

    choice: EngineChoice
    references: tuple[ImageReference, ...] = ()
    """The images to be pulled; their registries are checked."""
    jobs: int = 3
    """The number of concurrent pulls."""
    registries: Mapping[str, RegistrySettings] = MappingProxyType({})
    """Settings by registry, with mirrors."""
    certificates: Path = CERTS_D


class Check(NamedTuple):
    """One check, which runs in its own thread."""

    subject: str
    run: Callable[[], Iterable[Finding]]
    """Yields the findings one by one; it may hang."""
    seconds: float
    """Time limit, counted from the start of all checks."""
    fix: str = ""
    """What to do when the check hangs."""


def examine(scope: Scope) -> tuple[Finding, ...]:
    """Run all checks at the same time and return their findings, always in the same order."""
    return run_checks(_checks(scope))


def run_checks(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Run checks at the same time and return their findings, in the order of the checks.

    Findings that a check yields within its time limit are kept. A check that hangs is abandoned with its thread.
    """
    begun = monotonic()
    executor = ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor")
    findings: list[list[Finding]] = [[] for _ in checks]
    futures = [executor.submit(_collect, check, found) for check, found in zip(checks, findings, strict=True)]
    executor.shutdown(wait=False)
    for check, found, future in zip(checks, findings, futures, strict=True):
        subject = Subject(check.subject)
        try:
            future.result(max(0.0, begun + check.seconds - monotonic()))
        except TimeoutError:
            found.append(subject.failed("answer", f"no answer within {check.seconds:g}s", check.fix))
        except Exception as error:  # noqa: BLE001 - the other checks go on
            words = f"internal error in this check: {type(error).__name__}: {error}"
            found.append(subject.failed("check", words, check.fix))
    return tuple(finding for found in findings for finding in found)


def _collect(check: Check, found: list[Finding]) -> None:
    for finding in check.run():
        found.append(finding)  # noqa: PERF402 - findings before one that hangs are kept


def _checks(scope: Scope) -> list[Check]:
    """Return all checks, in the order of the findings."""
    wanted: dict[str, list[ImageReference]] = {}
    for reference in scope.references:
        wanted.setdefault(reference.registry, []).append(reference)
    executor = ThreadPoolExecutor(1, thread_name_prefix="doctor")
    engine = executor.submit(ask_engine, scope.choice)
    executor.shutdown(wait=False)

    def facts() -> EngineInfo | None:
        """Wait for the engine's description; None if it does not answer."""
        try:
            return engine.result(_ENGINE_SECONDS).facts
        except Exception:  # noqa: BLE001 - another check reports the reason
            return None

    local = _ENGINE_SECONDS + _LOCAL_SECONDS
    config = docker_config.read(os.environ)
    names = tuple(wanted)
    return [
        Check("engine", lambda: examine_engine(scope.choice, engine, _ENGINE_SECONDS), local),
        Check("engine", lambda: _downloads(scope, facts()), local),
        Check("disk", lambda: _disk(facts()), local, "df -h   # does a network file system hang?"),
        Check("disk", examine_cache, _LOCAL_SECONDS),
        Check("host", lambda: _overlaps(scope), _LOCAL_SECONDS),
        Check("credentials", lambda: examine_config(config), _LOCAL_SECONDS),
        *(
            Check("credentials", partial(examine_helper, config, helper, names), HELPER_SECONDS + _LOCAL_SECONDS)
            for helper in config.names()
        ),
        Check("proxy", lambda: examine_proxies(ProxyVariables.of(), facts() or EngineInfo(), names), local),
        *(_remote_checks(scope, wanted, facts) if wanted else ()),
    ]


def _remote_checks(
    scope: Scope, wanted: Mapping[str, Sequence[ImageReference]], facts: Callable[[], EngineInfo | None]
) -> Iterator[Check]:
    """Yield the checks of mirrors and registries."""
    seconds = _ENGINE_SECONDS + _REGISTRY_SECONDS

    def insecure() -> tuple[str, ...]:
        """Return the registries without TLS: those of an engine on this host, and those of the settings."""
        engine = facts() or EngineInfo()
        own = (name for name, settings in scope.registries.items() if settings.insecure)
        return (*(engine.insecure if engine.local else ()), *own)

    def mirror(place: str, origin: str) -> Iterator[Finding]:
        return examine_mirror(place, origin, insecure(), scope.certificates)

    def registry(name: str) -> Iterator[Finding]:
        settings = scope.registries
        return RegistryCheck(wanted[name], insecure=insecure(), certificates=scope.certificates, registries=settings)()

    yield Check("mirrors", lambda: _engine_mirrors(scope, facts() or EngineInfo()), seconds)
    for name, settings in scope.registries.items():
        for place in settings.mirrors if name in wanted else ():
            yield Check(f"mirror {place}", partial(mirror, place, f"mirrors of {name}"), seconds)
    yield Check("registries", lambda: _remote_engine(facts()), seconds)
    for name in wanted:
        fix = f"curl -v https://{name}/v2/   # meanwhile `puller pull` goes on with the other registries"
        yield Check(name, partial(registry, name), seconds, fix)


def _disk(facts: EngineInfo | None) -> Iterable[Finding]:
    return examine_disk(facts) if facts else ()


def _overlaps(scope: Scope) -> Iterable[Finding]:
    try:
        return examine_overlaps(scope.choice.address())
    except UsageError:  # another check reports it
        return ()


def _downloads(scope: Scope, facts: EngineInfo | None) -> Iterable[Finding]:
    url = scope.choice.address().url if facts else ""
    if facts is None or not url:  # podman and nerdctl have no dockerd
        return ()
    return examine_downloads(facts, find_daemon(url) if facts.local else None, scope.jobs)


def _engine_mirrors(scope: Scope, facts: EngineInfo) -> Iterable[Finding]:
    def check(url: str) -> Check:
        run = partial(examine_mirror, url, "registry-mirrors of the engine", facts.insecure, scope.certificates)
        return Check(f"mirror {url}", run, _REGISTRY_SECONDS)

    return run_checks([check(url) for url in facts.mirrors])


def _remote_engine(facts: EngineInfo | None) -> Iterator[Finding]:
    if facts and not facts.local:
        words = "checked from this host; the engine's host may have another network, proxy and certificates"
        yield Subject("registries").ok("standpoint", words)
