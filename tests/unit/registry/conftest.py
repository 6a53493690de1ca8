"""One registry, a client, and an environment that holds nobody's credentials and no proxies."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.responses import Described
from tests.lab import Pushed, Registry, push_image

Configure = Callable[[dict[str, Any]], Path]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Live in an empty home."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def configure(home: Path) -> Configure:
    """Write docker's config.json."""

    def write(config: dict[str, Any]) -> Path:
        path = home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(config))
        return path

    return write


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
