"""Mirrors: a dead one costs no image, but a time limit before each, and the quota that it was to save."""

from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from puller.doctor.findings import Finding, Subject, Verdict, until_failed
from puller.doctor.wire import Wire, connect_to, encrypt, resolve_name
from puller.registry.host import Host
from puller.registry.ping import reach

ENGINES = "registry-mirrors of the engine"
_SECONDS = 5.0


def examine_mirror(url: str, origin: str, insecure: Collection[str], certificates: Path) -> Iterator[Finding]:
    """Say whether a mirror answers, and whose setting (`origin`) names it."""
    subject = Subject(f"mirror {url}")
    scheme, netloc = _parts(url)
    if not netloc:
        yield subject.warning("reachable", f"{origin}: this is no address", "write it as https://HOST[:PORT]")
        return
    wire = Wire.to(Host.of(netloc, {*insecure, netloc} if scheme == "http" else insecure), certificates)
    if scheme == "http" and ":" not in netloc.rpartition("]")[2]:
        wire = Wire(wire.host, certificates, port=80)
    steps = (step(subject, wire) for step in (resolve_name, connect_to, encrypt))
    findings = list(until_failed(*steps))
    bad = [each for each in findings if each.status is not Verdict.OK]
    for each in bad:
        yield subject.warning("reachable", f"{origin}: {each.words}", f"{each.fix}\n# or take it out of {origin}")
    if not bad and reach(netloc, _SECONDS, certificates):
        yield subject.ok("reachable", f"{origin}: it answers")
    elif not bad:
        fix = f"curl -v {scheme}://{netloc}/v2/\n# or take it out of {origin}"
        yield subject.warning("reachable", f"{origin}: it takes connections and does not answer", fix)


def _parts(url: str) -> tuple[str, str]:
    """Split a URL, or `HOST[:PORT][/PREFIX]`, into its scheme and its host with port."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.rpartition("@")[2]
