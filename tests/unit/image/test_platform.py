"""Which platforms go with which."""

import pytest

from puller.image.platform import can_run, is_same
from puller.image.reference import Platform


@pytest.mark.parametrize(
    ("wanted", "found", "suited", "asked_for"),
    [
        ("linux/amd64", "linux/amd64", True, True),
        ("linux/amd64", "linux/386", True, False),
        ("linux/386", "linux/amd64", False, False),
        ("linux/arm64", "linux/arm/v7", True, False),
        ("linux/arm/v7", "linux/arm/v6", True, True),
        ("linux/arm/v6", "linux/arm/v7", False, False),
        ("linux/arm64/v8", "linux/arm64", True, True),
        ("linux/amd64", "linux/arm64", False, False),
        ("linux/amd64", "windows/amd64", False, False),
        ("windows/amd64", "linux/386", False, False),
    ],
)
def test_what_an_engine_takes_and_what_was_asked_for(wanted: str, found: str, *, suited: bool, asked_for: bool) -> None:
    """An older relative runs; who asks by name wants that architecture, in whatever variant it runs."""
    pair = Platform.parse(wanted), Platform.parse(found)
    assert (can_run(*pair), is_same(*pair)) == (suited, asked_for)


def test_a_variant_that_is_not_said_may_be_any() -> None:
    """The graph store leaves the variant out of many images."""
    unsaid = Platform("linux", "arm")
    for variant in ("v5", "v6", "v7"):
        assert can_run(Platform("linux", "arm", variant), unsaid)
        assert is_same(Platform("linux", "arm", variant), unsaid)
