"""One registry, a client, and an environment that holds nobody's credentials and no proxies."""

from collections.abc import Iterator

import pytest

from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.responses import Described
from tests.lab import Pushed, Registry, push_image
from tests.lab.home import Configure, configure, home

__all__ = ["Configure", "configure", "home"]


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """Start one registry for all tests here."""
    with Registry() as registry:
        yield registry


@pytest.fixture(scope="session")
def image(registry: Registry) -> Pushed:
    """Push one image that no test changes."""
    return push_image(registry, "lab/app")


class AskingAgain(RegistryClient):
    """Sends a HEAD each time, also for a tag that it has asked: what is tested is the request."""

    def head(self, reference: ImageReference) -> Described:
        """Ask."""
        return self._head(reference)


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    """Make a client that is soon at the end of its patience."""
    with AskingAgain(connect=5, read=20) as client:
        yield client


def named(pushed: Pushed, address: str = "") -> ImageReference:
    """Return the reference of an image, through another address if one is given."""
    return ImageReference.parse(pushed.at(address or pushed.address))
