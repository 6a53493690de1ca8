"""The settings of single registries, where puller itself asks: insecure, and further authorities."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.cli.main import puller
from puller.errors import RegistryError
from puller.registry import host as hosts
from puller.registry.client import RegistryClient
from puller.settings import RegistrySettings
from puller.system import paths as places
from tests.lab import Pushed, Registry
from tests.lab.tls import TlsFront
from tests.unit.registry.conftest import named


@pytest.fixture(autouse=True)
def far_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let loopback be nothing special, and no file of this machine count."""
    monkeypatch.setattr(hosts, "is_loopback", lambda _: False)
    monkeypatch.setattr(places, "SYSTEM_CONFIG", tmp_path / "none.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def front(registry: Registry, tmp_path: Path) -> Iterator[TlsFront]:
    """Put TLS in front of the registry, with an authority that nobody knows."""
    with TlsFront("127.0.0.1", registry.address, tmp_path) as front:
        yield front


def test_an_authority_for_one_registry(front: TlsFront, image: Pushed) -> None:
    """It is believed there, and what is no certificate is trouble with a reason."""
    reference = named(image, front.address)
    with RegistryClient(registries={front.address: RegistrySettings(ca=str(front.authority))}) as client:
        assert client.head(reference).digest == image.digest
    other = {"other.example": RegistrySettings(ca=str(front.authority))}
    with RegistryClient(registries=other) as client, pytest.raises(RegistryError, match="certificate"):
        client.head(reference)
    wrong = {front.address: RegistrySettings(ca=__file__)}
    with RegistryClient(registries=wrong) as client, pytest.raises(RegistryError, match="cannot be used"):
        client.head(reference)


def test_a_look_before_a_pull_goes_without_tls(image: Pushed) -> None:
    """Where its registry is insecure, whatever the engine says of it."""
    reference = named(image)
    with RegistryClient(registries={image.address: RegistrySettings(insecure=True)}) as client:
        said = client.resolve(reference)
    assert said is not None
    assert said.digest == image.digest
    with RegistryClient() as client:
        assert client.resolve(reference) is None


def test_a_lock_reaches_a_registry_without_tls(
    image: Pushed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As soon as a file says that it is insecure, and not before."""
    lock = ["lock", "--image", image.reference]
    assert puller.main(lock, prog_name="puller", standalone_mode=False) != 0
    assert image.digest not in capsys.readouterr().out
    file = tmp_path / "job.toml"
    file.write_text(f'[registry."{image.address}"]\ninsecure = true\n')
    assert puller.main([*lock, "-c", str(file)], prog_name="puller", standalone_mode=False) == 0
    assert f"{image.reference}@{image.digest}" in capsys.readouterr().out
