"""What an engine holds, by name."""

import pytest

from puller.engine.model import LocalImage, LocalImages, full_name
from puller.image.reference import ImageReference

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NGINX = LocalImage(
    "sha256:1", ("docker.io/library/nginx:1.27",), (f"docker.io/library/nginx@{DIGEST}", f"x.io/y@{OTHER}")
)
HOLDINGS = LocalImages([NGINX, LocalImage("sha256:2", (), (f"docker.io/library/nginx@{OTHER}",))])


def test_images_are_found_by_tag_and_by_digest() -> None:
    """A name in the list finds the image, however the list spells it."""
    assert HOLDINGS.tagged(ImageReference.parse("nginx:1.27")) is NGINX
    assert HOLDINGS.tagged(ImageReference.parse("index.docker.io/nginx:1.27")) is NGINX
    assert HOLDINGS.tagged(ImageReference.parse("nginx")) is None
    assert HOLDINGS.pinned(ImageReference.parse(f"nginx@{DIGEST}")) is NGINX
    assert HOLDINGS.pinned(ImageReference.parse("nginx:1.27")) is None
    assert HOLDINGS.tagged(ImageReference.parse(f"nginx@{DIGEST}")) is None


def test_a_digest_belongs_to_its_repository() -> None:
    """The same image may have another digest elsewhere."""
    assert NGINX.digests_in("docker.io/library/nginx") == (DIGEST,)
    assert NGINX.digests_in("x.io/y") == (OTHER,)
    assert NGINX.digests_in("x.io/z") == ()


@pytest.mark.parametrize(
    "text",
    ["nginx:1", "a/b:1", "quay.io/a/b:1", "localhost/a:1", "h:5000/a:1", "docker.io/a/b:1"],
)
def test_short_names_of_engines_are_read_as_the_grammar_reads_them(text: str) -> None:
    """The quick way and the parser agree."""
    assert full_name(text) == ImageReference.parse(text).canonical
