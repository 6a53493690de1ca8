"""Mirrors that answer for a registry, and how often they are asked."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from puller.errors import FailureKind
from puller.failure import failure
from puller.image.reference import ImageReference
from puller.pull.mirrors import Mirrors
from puller.registry.client import RegistryClient
from puller.settings import RegistrySettings
from tests.lab import Proxy, Registry, Rule, faults, push_image

DOWN = Rule("/manifests/", faults.answer(503))


@pytest.fixture
def proxies() -> Iterator[tuple[Registry, list[Proxy]]]:
    """Start a registry behind three proxies; the second and the third are mirrors of the first."""
    with Registry() as registry, ExitStack() as stack:
        yield registry, [stack.enter_context(Proxy(registry)) for _ in range(3)]


def test_mirrors_are_asked_once_when_the_registry_does_not_answer(proxies: tuple[Registry, list[Proxy]]) -> None:
    """In their order, and also while the registry itself is not asked because of its rate limit."""
    registry, (origin, *mirrors) = proxies
    reference = ImageReference.parse(push_image(registry, "mirrors/app").at(origin.address))
    settings = {origin.address: RegistrySettings(mirrors=tuple(each.address for each in mirrors))}
    for proxy in (origin, *mirrors):
        proxy.use(DOWN)
    with RegistryClient(registries=settings) as client:
        assert Mirrors(settings, client).resolve(reference) is None
    assert [proxy.count(path="/manifests/") for proxy in mirrors] == [1, 1]
    mirrors[1].use()
    with RegistryClient(registries=settings) as client:
        client.health(origin.address).rate_limit.extend(60, failure(FailureKind.RATE_LIMITED, "too many"))
        origin.forget()
        resolved = Mirrors(settings, client).resolve(reference)
    assert resolved
    assert (resolved.mirror, resolved.counted, origin.log) == (mirrors[1].address, True, [])
