"""What the package promises to those who import it."""

import importlib.metadata
from pathlib import Path

import pytest

import puller

NAMES = [
    "EngineUnreachableError",
    "Event",
    "Failure",
    "FailureClass",
    "FailureKind",
    "ImageReference",
    "ListError",
    "Observer",
    "Platform",
    "PullOutcome",
    "PullRequest",
    "PullerError",
    "Report",
    "Status",
    "__version__",
    "pull_images",
]


def test_the_public_names_are_these() -> None:
    """A name more or less is a decision, not an accident."""
    assert sorted(puller.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str) -> None:
    """Names are imported at first use, from the home that defines them."""
    value = getattr(puller, name)
    assert getattr(value, "__module__", "puller").startswith(("puller", "collections.abc", "types", "typing"))


def test_a_star_import_brings_them_all() -> None:
    """`from puller import *` is what `__all__` says."""
    scope: dict[str, object] = {}
    exec("from puller import *", scope)  # noqa: S102 - there is no other way to write it in a function
    assert set(NAMES) <= scope.keys()


@pytest.mark.parametrize("name", ["pull_image", "_HOMES_", "nothing", "__nothing__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """Nobody imports what is not there, and `hasattr` works."""
    with pytest.raises(AttributeError, match=f"module 'puller' has no attribute '{name}'"):
        getattr(puller, name)
    assert not hasattr(puller, name)


def test_types_ship_with_the_package() -> None:
    """PEP 561: a type checker believes the package's own types."""
    assert (Path(puller.__file__).parent / "py.typed").is_file()


def test_the_version_is_a_version() -> None:
    """Three numbers; the installed package has the same, where it is installed."""
    assert [part.isdigit() for part in puller.__version__.split(".")] == [True] * 3
    try:
        installed = importlib.metadata.version("docker-image-puller")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("puller is not installed, only importable")
    assert installed == puller.__version__
