"""What registries say for themselves: before an engine is asked at all, and when its words are not enough."""

from typing import NamedTuple, Protocol, Self

from puller.image.reference import ImageReference, Platform
from puller.registry.health import RegistryHealth


class ResolvedTag(NamedTuple):
    """What a reference stands for in its registry."""

    digest: str
    single: bool
    """Whether it is one image for one platform; where it is not, or may not be, the platform must be looked at."""
    counted: bool = False
    """Whether a pull there counts against a quota."""
    mirror: str | None = None
    """The mirror that says so, where the registry itself was silent."""


class Resolver(Protocol):
    """Asks registries directly; `RegistryClient` fulfils it. Never raises: a pull must not fail because of it."""

    def health(self, registry: str) -> RegistryHealth:
        """Return whether a registry may be asked now; everybody who asks there shares it."""

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        """Return what a reference stands for now; None where the registry does not tell, whatever the reason."""

    def silent(self, registry: str) -> bool:
        """Tell whether a registry did not answer last time, or could not: a refusal is an answer."""

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:
        """Return the ID that a graph-driver store gives the image behind a digest: the digest of its config."""

    def wait_of(self, reference: ImageReference) -> float | None:
        """Return for how many seconds a registry wants no pulls; None where it does not tell."""

    def close(self) -> None:
        """Break off what is being asked."""

    def quick(self) -> Self:
        """Return the same for questions that a pull waits for."""

    def new_run(self) -> None:
        """Ask every tag again."""


class _NullResolver:
    def health(self, registry: str) -> RegistryHealth:
        return RegistryHealth(registry)

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:  # noqa: ARG002
        return None

    def silent(self, registry: str) -> bool:  # noqa: ARG002
        return False

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:  # noqa: ARG002
        return None

    def wait_of(self, reference: ImageReference) -> float | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass

    def quick(self) -> Self:
        return self

    def new_run(self) -> None:
        pass


NULL_RESOLVER: Resolver = _NullResolver()
"""Asks nobody, and knows nothing."""
