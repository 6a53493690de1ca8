"""What a pull asks registries directly, without the engine. The answers are optional: a pull works without them."""

from typing import NamedTuple, Self

from puller.errors import FailureKind
from puller.failure import Failure
from puller.image.reference import ImageReference, Platform
from puller.registry.health import RegistryHealth


class ResolvedTag(NamedTuple):
    """What a reference resolves to in its registry."""

    digest: str
    single: bool
    """Whether it is the manifest of one image; False for an index and for unknown media types."""
    counted: bool = False
    """Whether a pull from the registry is to be avoided: it counts against a quota, or gets no answer."""
    mirror: str | None = None
    """The mirror that answered, if the registry itself did not."""


class Resolver:
    """Resolves nothing; `RegistryClient` is the real one. No method raises: a pull must not fail because of it."""

    def health(self, registry: str) -> RegistryHealth:
        """Return the health of a registry, which everybody who uses the registry shares."""
        return RegistryHealth(registry)

    def resolve(self, _reference: ImageReference, /) -> ResolvedTag | None:
        """Resolve a reference; None when the registry does not answer, for whatever reason."""
        return None

    def image_id(self, _reference: ImageReference, _platform: Platform, /) -> str | None:
        """Return the image ID that a graph-driver store gives the digest: the digest of the image's config."""
        return None

    def wait_of(self, _reference: ImageReference, /) -> float | None:
        """Return the seconds until the registry's rate limit ends; None when the registry does not say."""
        return None

    def close(self) -> None:
        """Break off the requests in flight."""

    def quick(self) -> Self:
        """Return a resolver with short time limits, for questions that a pull waits for."""
        return self

    def new_run(self) -> None:
        """Forget the resolved tags."""


def explained(why: Failure, reference: ImageReference, registries: Resolver) -> Failure:
    """Add to the failure of a pinned digest that is not found what its tag resolves to now."""
    if why.kind is not FailureKind.NOT_FOUND or not reference.digest:
        return why
    now = registries.resolve(reference.with_digest(None)) if reference.tag else None
    if now is None:
        words = "The registry has no such digest, or no longer"
    elif now.digest == reference.digest:
        return why
    else:
        words = f"The registry no longer has this digest; the tag {reference.tag} is {now.digest} now"
    return why._replace(advice=f"{words}. Pin the tag again; the first lines of a lock file have the command for that.")
