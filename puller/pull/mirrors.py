"""Mirrors: other servers that have the repositories of a registry.

A mirror is asked for a digest, not for a tag, and the digest comes from the registry itself whenever the registry
answers: a mirror with an old copy then has no such image, and the engine detects wrong content. A refusal by the
registry (no such tag, no access) is final, and no mirror is asked.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from puller.image.reference import ImageReference, Platform
from puller.registry.health import RegistryHealth
from puller.registry.mirrors import at_mirror
from puller.registry.resolver import ResolvedTag, Resolver
from puller.settings import MirrorUse, RegistrySettings


class MirrorSource(NamedTuple):
    """An image at a mirror."""

    mirror: str
    reference: ImageReference  # the image's name at the mirror, with the digest
    resolved: ResolvedTag
    health: RegistryHealth  # the mirror's health

    @property
    def confirmed(self) -> bool:
        """Whether the registry itself confirmed the digest."""
        return self.resolved.mirror is None


class Mirrors:
    """The mirrors of a run; thread-safe."""

    def __init__(self, settings: Mapping[str, RegistrySettings], registries: Resolver) -> None:
        self._settings = {name: each for name, each in settings.items() if each.mirrors}
        self._registries = registries
        self._resolved: dict[str, ResolvedTag] = {}

    def use(self, registry: str) -> MirrorUse | None:
        """Return whether the registry or its mirrors are tried first; None for a registry without mirrors."""
        settings = self._settings.get(registry.lower())
        return settings.mirror_use if settings else None

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        """Ask the registry for the digest of a reference, unless the registry has set a rate limit or is down.

        Its mirrors are asked instead (`RegistryClient`). Answers for a registry with mirrors are cached.
        """
        mirrored = self.use(reference.registry) is not None
        if not mirrored and self._registries.health(reference.registry).impaired:
            return None
        resolved = self._resolved.get(reference.canonical) or self._registries.resolve(reference)
        if resolved and mirrored:
            self._resolved[reference.canonical] = resolved
        return resolved

    def sources(self, reference: ImageReference) -> Iterator[MirrorSource]:
        """Yield the image at each mirror that is available, in the configured order."""
        resolved = self.resolve(reference)
        for mirror in self._of(reference) if resolved else ():
            there = at_mirror(mirror, reference, resolved.digest if resolved else None)
            health = self._registries.health(there.registry)
            if resolved and not health.rate_limit.left and health.breaker.admits():
                yield MirrorSource(mirror, there, resolved, health)

    def image_id(self, reference: ImageReference, digest: str, platform: Platform) -> str | None:
        """Return the image ID that a graph-driver store gives the digest, according to a mirror; None if unknown."""
        found = (
            self._registries.image_id(at_mirror(mirror, reference, digest), platform) for mirror in self._of(reference)
        )
        return next(filter(None, found), None)

    def _of(self, reference: ImageReference) -> tuple[str, ...]:
        settings = self._settings.get(reference.registry.lower())
        return settings.mirrors if settings else ()
