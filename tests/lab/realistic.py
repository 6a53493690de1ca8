"""A run as it might be on a Monday morning: made up by a small simulation that gives the same report each time."""

from collections.abc import Iterator
from random import Random

from puller.failure import Failure, classify
from puller.image.reference import ImageReference
from puller.model import Attempt, PullOutcome, PullRequest, Report, Span, Status
from tests.lab.samples import STARTED

NAMES = {
    "docker.io": """nginx:1.27 postgres:16.4 redis:7.4-alpine python:3.12-slim node:22-bookworm golang:1.23 traefik:v3.2
        grafana/grafana:11.3.0 prom/prometheus:v2.55.0 hashicorp/vault:1.18
        acme/intranet:2024""",
    "ghcr.io": """ghcr.io/fluxcd/source-controller:v1.4.1
        ghcr.io/cert-manager/controller:v1.16 ghcr.io/dexidp/dex:v2.41.1
        ghcr.io/renovatebot/renovate:39 ghcr.io/open-telemetry/collector:0.112.0 ghcr.io/acme/checkout:2.8.1""",
    "quay.io": """quay.io/minio/minio:latest quay.io/argoproj/argocd:v2.13.0 quay.io/keycloak/keycloak:26.0
        quay.io/jetstack/trust-manager:v0.12""",
    "registry.acme.example": """registry.acme.example/shop/api:1.14.2 registry.acme.example/shop/web:1.14.2
        registry.acme.example/shop/worker:1.14.2 registry.acme.example/data/warehouse:2026.11
        registry.acme.example/data/reports:2026.11""",
}
TROUBLE = {
    "acme/intranet:2024": (
        "pull access denied for acme/intranet, repository does not exist or may require 'docker login': denied",
        1,
    ),
    "quay.io/jetstack/trust-manager:v0.12": (
        "manifest for quay.io/jetstack/trust-manager:v0.12 not found: manifest unknown: manifest unknown",
        1,
    ),
    "registry.acme.example/data/warehouse:2026.11": ("received unexpected HTTP status: 503 Service Unavailable", 4),
}
PASSING = {
    "grafana/grafana:11.3.0": "read tcp 10.0.3.14:55012->104.16.98.215:443: read: connection reset by peer",
    "ghcr.io/acme/checkout:2.8.1": "net/http: TLS handshake timeout",
    "registry.acme.example/shop/worker:1.14.2": "received unexpected HTTP status: 503 Service Unavailable",
}
SLOTS = 4


def realistic() -> Report:
    """Pull a shop's images from four registries, four at a time from each."""
    outcomes = [outcome for names in NAMES.values() for outcome in _lane(names.split())]
    return Report(STARTED, max(each.began + each.seconds for each in outcomes) + 0.4, tuple(outcomes))


def _lane(names: list[str]) -> Iterator[PullOutcome]:
    free = [0.05] * SLOTS
    for name in names:
        slot = free.index(min(free))
        outcome = _pull(name, free[slot])
        free[slot] += outcome.seconds
        yield outcome


def _pull(name: str, began: float) -> PullOutcome:
    random = Random(name)
    request = PullRequest(ImageReference.parse(name), None, (name,))
    digest = f"sha256:{random.getrandbits(256):064x}"
    if random.random() < 0.2 and name not in {**TROUBLE, **PASSING}:
        return PullOutcome.of(request, Status.UP_TO_DATE, digest=digest, seconds=0.3 * random.random(), began=began)
    words, times = TROUBLE.get(name, (PASSING.get(name, ""), 1))
    tries, at = [], 0.0
    for number in range(times if words else 0):
        tries.append(_attempt(random, at, classify(words)))
        at += tries[-1].seconds + (number + 1.0) * (1 + random.random())
    if name in TROUBLE:
        why, last = tries[-1].failure, tries[-1]
        seconds = last.started + last.seconds
        return PullOutcome.of(request, Status.FAILED, attempts=tuple(tries), seconds=seconds, failure=why, began=began)
    tries.append(_attempt(random, at, None))
    seconds = at + tries[-1].seconds
    return PullOutcome.of(request, Status.PULLED, digest=digest, attempts=tuple(tries), seconds=seconds, began=began)


def _attempt(random: Random, started: float, why: Failure | None) -> Attempt:
    size = int(10 ** random.uniform(6.8, 8.9))
    parts = [("resolving", random.uniform(0.2, 0.7))]
    if why is None or "reset" in why.message:
        share = 1.0 if why is None else random.uniform(0.3, 0.8)
        size = int(size * share)
        parts += [("waiting", random.uniform(0, 0.9)), ("downloading", size / 9e7)]
        parts += [("extracting", size / 2.5e8)] if why is None else []
    else:
        size = 0
    spans, at = [], 0.0
    for phase, seconds in parts:
        spans.append(Span(phase, at, seconds))
        at += seconds
    return Attempt(started, at, why, phases=tuple(spans), bytes=size)


def crowd(number: int) -> Report:
    """Pull so many images from two registries."""
    names = [[f"{host}/team{n % 40}/app{n}:1.0" for n in range(number // 2)] for host in ("docker.io", "ghcr.io")]
    outcomes = [outcome for share in names for outcome in _lane(share)]
    return Report(STARTED, max(each.began + each.seconds for each in outcomes), tuple(outcomes))
