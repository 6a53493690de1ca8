"""What engines' lists of images say, read into what is held."""

from datetime import UTC, datetime

import pytest

from puller.engine.responses import read_images, read_info, read_inspected, read_json, read_platform, readable
from puller.errors import EngineError
from puller.http.proxies import ProxyVariables
from puller.image.reference import ImageReference, Platform

MANIFEST, CONFIG = "sha256:" + "a" * 64, "sha256:" + "c" * 64
ONE, TWO = ImageReference.parse("a.io/one:v1"), ImageReference.parse("b.io/two:v1")


def test_the_containerd_store_names_one_repository_of_several() -> None:
    """Its images are known by their manifest, so each tag's repository has that digest."""
    image = {"Id": MANIFEST, "RepoTags": ["a.io/one:v1", "b.io/two:v1"], "RepoDigests": [f"b.io/two@{MANIFEST}"]}
    held = read_images([image]).tagged(ONE)
    assert held
    assert held.digests_in(ONE.name) == held.digests_in(TWO.name) == (MANIFEST,)
    assert read_images([image]).pinned(ImageReference.parse(f"a.io/one@{MANIFEST}"))


def test_the_graph_store_knows_a_digest_only_where_it_was_pulled() -> None:
    """There an image is known by its config, and a second name has no digest of its own."""
    image = {"Id": CONFIG, "RepoTags": ["a.io/one:v1", "b.io/two:v1"], "RepoDigests": [f"b.io/two@{MANIFEST}"]}
    held = read_images([image]).tagged(ONE)
    assert held
    assert (held.digests_in(ONE.name), held.digests_in(TWO.name), held.platforms) == ((), (MANIFEST,), ())


def test_platforms_are_those_of_which_everything_is_there() -> None:
    """An index lists many; attestations are none; what is named and not fetched does not count."""

    def manifest(architecture: str, kind: str = "image", *, available: bool = True) -> dict[str, object]:
        platform = {"os": "linux", "architecture": architecture}
        return {"Kind": kind, "Available": available, "ImageData": {"Platform": platform}}

    manifests = [manifest("amd64"), manifest("arm64", available=False), manifest("unknown", "attestation"), {}]
    (image,) = read_images([{"Id": MANIFEST, "Manifests": manifests}]).images
    assert image.platforms == (Platform.parse("linux/amd64"),)


def test_a_platform_that_is_not_told_is_none() -> None:
    """Podman tells no variant, and an odd engine nothing at all."""
    assert read_platform("linux", "arm64", "v8") == read_platform("linux", "aarch64") == Platform("linux", "arm64")
    assert read_platform(None, None) is read_platform("linux", "") is read_platform("linux", {}) is None


def test_what_an_engine_says_of_itself() -> None:
    """Version, driver, mirrors, proxies and clock; what is not said, or makes no sense, is not known."""
    info = {
        "ServerVersion": "28.5.2",
        "Driver": "overlay2",
        "RegistryConfig": {"Mirrors": ["https://mirror.example/"]},
        "HttpProxy": "",
        "HttpsProxy": "http://proxy:3128",
        "NoProxy": "a,b",
        "SystemTime": "2026-01-01T00:00:00.123456789Z",
    }
    facts = read_info(info, local=True)
    assert (facts.version, facts.driver, facts.mirrors) == ("28.5.2", "overlay2", ("https://mirror.example/",))
    assert facts.proxies == ProxyVariables("", "http://proxy:3128", "a,b")
    assert facts.clock == datetime(2026, 1, 1, microsecond=123456, tzinfo=UTC)
    silent = read_info({"version": {"Version": "4.3.1"}, "SystemTime": "today"}, local=True)
    assert (silent.version, silent.proxies, silent.clock) == ("4.3.1", None, None)


def test_texts_of_an_engine_have_no_control_characters() -> None:
    """Neither values nor keys, written as escapes or as they are; other texts are unchanged."""
    document = read_json('{"a\\u001b[31m": ["x\\u001b[2Jy\\rz", {"b": "\u009b"}, 1], "ü": "C:\\\\x <none>"}')
    assert document == {"a": ["xy z", {"b": ""}, 1], "ü": "C:\\x <none>"}


@pytest.mark.parametrize("text", ["", "no", "[" * 100_000, b"\xff"])
def test_what_is_no_json_is_an_error_of_the_engine(text: str | bytes) -> None:
    """However it is broken."""
    with pytest.raises(EngineError, match="cannot be read"):
        read_json(text)


@pytest.mark.parametrize("size", ["-5", str(10**400), "1e400", "NaN", '"x"', "[1]", "null"])
def test_a_size_that_cannot_be_is_not_known(size: str) -> None:
    """It spoils no sum, and no other image."""
    images = read_images(read_json(f'[{{"Id": "a", "Size": {size}}}, {{"Id": "b", "Size": 7}}]')).images
    assert [image.size for image in images] == [0, 7]


@pytest.mark.parametrize("answer", ["{}", "[1]", "null", '{"Id": "x y"}', '{"Id": "a", "RepoDigests": 5}'])
def test_a_description_without_an_image_is_none(answer: str) -> None:
    """It does not say that there is no such image."""
    with (
        pytest.raises(EngineError, match="description of an image cannot be read"),
        readable("description of an image"),
    ):
        read_inspected(read_json(answer), ONE)
