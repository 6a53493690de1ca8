"""What an engine says it holds, through its API and through its command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.engine import connect
from puller.engine.interface import Engine as EngineClient
from puller.errors import EngineError
from puller.image.reference import ImageReference
from puller.settings import BackendChoice
from tests.lab import HOST_PLATFORM, Engine, Registry, layer, push_image


@pytest.fixture
def way(engine: Engine, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EngineClient]:
    """Reach the empty engine."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    way = connect(BackendChoice(backend))
    yield way
    way.close()


def test_everything_that_was_pulled_is_held(
    engine: Engine, registry: Registry, way: EngineClient, backend: str
) -> None:
    """By its tag and by its digest; an image that lost its tag is still known by its digest."""
    pushed = [push_image(registry, f"store/{backend}{n}", layers=[layer(f"store{n}")]) for n in range(3)]
    for image in pushed:
        engine.cli("pull", image.reference).check_returncode()
    holdings = way.store.holdings()
    for image in pushed:
        reference = ImageReference.parse(image.reference)
        held = holdings.tagged(reference)
        assert held
        assert held.digests_in(reference.name) == (image.digest,)
        assert holdings.pinned(ImageReference.parse(f"{reference.name}@{image.digest}")) is held
        assert held.identity == engine.inspect(image.reference)["Id"]
    assert len(holdings.images) == 3


def test_an_engine_says_what_images_are_made_of(
    engine: Engine, registry: Registry, way: EngineClient, backend: str
) -> None:
    """Diff IDs, base first, and the platform; an image that has gone meanwhile is left out."""
    layers = [layer(f"content{n}") for n in range(3)]
    pushed = [push_image(registry, f"store/made-{backend}{n}", layers=layers[: n + 1]) for n in range(3)]
    for image in pushed:
        engine.cli("pull", image.reference).check_returncode()
    identities = [engine.inspect(image.reference)["Id"] for image in pushed]
    contents = way.store.contents(identities)
    assert [content.identity for content in contents] == identities
    assert [content.layers for content in contents] == [
        tuple(each.diff_id for each in layers[: n + 1]) for n in range(3)
    ]
    assert {str(content.platform) for content in contents} == {HOST_PLATFORM}
    gone = "sha256:" + "0" * 64
    assert [content.identity for content in way.store.contents([gone, *identities])] == identities
    assert way.store.contents([]) == ()


def test_names_come_and_go(engine: Engine, registry: Registry, way: EngineClient, backend: str) -> None:
    """A second name for an image, and the first one removed: the image stays."""
    image = push_image(registry, f"store/names-{backend}", layers=[layer("names")])
    engine.cli("pull", image.reference).check_returncode()
    other = ImageReference.parse(f"example.org/other/{backend}:v9")
    way.store.tag(image.reference, other)
    way.store.untag(image.reference)
    holdings = way.store.holdings()
    assert holdings.tagged(other)
    assert holdings.tagged(ImageReference.parse(image.reference)) is None
    with pytest.raises(EngineError, match=r"(?i)no such image"):
        way.store.untag(image.reference)


def test_an_engine_says_what_it_is(engine: Engine, way: EngineClient) -> None:
    """Its platform, its store, where it keeps images, and whom it trusts without TLS."""
    facts = way.store.facts()
    assert str(facts.platform) == HOST_PLATFORM
    assert facts.keeps_platforms is (engine.binary.store == "containerd")
    assert (facts.data_root, facts.local) == (str(engine.data_root), True)
    assert "127.0.0.0/8" in facts.insecure
