"""A registry that is slow keeps no other waiting."""

from collections.abc import Iterator

import pytest

from tests.engine.conftest import Puller
from tests.lab import Proxy, Registry, Rule, push_image
from tests.lab.exchange import Exchange

SLOW = 4.0
"""Seconds for each answer to puller."""


def slow_for_puller(exchange: Exchange) -> None:
    """Serve an engine at once, and puller late."""
    if exchange.headers.get("User-Agent", "").startswith("puller"):
        exchange.pause(SLOW)
    exchange.forward()


@pytest.fixture
def slow(registry: Registry) -> Iterator[Proxy]:
    """Stand in front of the registry, and be slow."""
    with Proxy(registry, [Rule("/manifests/", slow_for_puller)]) as slow:
        yield slow


def test_images_of_other_registries_are_begun_at_once(
    registry: Registry, proxy: Proxy, slow: Proxy, cramped: Puller
) -> None:
    """The disk check begins with what is known, although the disk is small."""
    images = [push_image(registry, f"slow/app{number}") for number in range(3)]
    late = push_image(registry, "slow/late").at(slow.address)
    run = cramped.pull(cramped.list(late, *(image.at(proxy.address) for image in images)))
    assert (run.code, [each["status"] for each in run.images]) == (0, ["pulled"] * 4), run.stderr
    assert max(each["began"] for each in run.images[1:]) < SLOW
    assert run.report["seconds"] < 2 * SLOW + 3
