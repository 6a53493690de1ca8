"""Mirrors: where else the repositories of a registry are to be had, and for what to ask there.

A mirror is asked for a digest and not for a tag, and the digest comes from the registry itself wherever that answers:
a mirror that is stale has no such image, and one that lies is found out by the engine. Where the registry refuses (no
such tag, no access) that is the answer, and no mirror is asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from puller.image.reference import ImageReference, Platform
from puller.registry.pools import Lane, Lanes
from puller.registry.resolver import ResolvedTag, Resolver
from puller.settings import MirrorUse, RegistrySettings, registry_settings


@dataclass(frozen=True, slots=True)
class MirrorSource:
    """What a reference stands for, at a mirror."""

    mirror: str
    reference: ImageReference
    """The mirror's name for it, with the digest."""
    said: ResolvedTag
    lane: Lane
    """The mirror's, with what is known of its health."""

    @property
    def confirmed(self) -> bool:
        """Whether it is not the mirror's word alone that this is the image."""
        return self.said.mirror is None


def at(mirror: str, reference: ImageReference, digest: str | None = None) -> ImageReference:
    """Name an image at a mirror, by a digest, or by what the reference itself has."""
    digest = digest or reference.digest
    return ImageReference.parse(f"{mirror}/{reference.repository}" + (f"@{digest}" if digest else f":{reference.tag}"))


class Mirrors:
    """The mirrors of a run, asked from many threads."""

    def __init__(self, registries: Mapping[str, RegistrySettings], advisor: Resolver, lanes: Lanes) -> None:
        self._registries = registries
        self._advisor = advisor
        self._lanes = lanes
        self._said: dict[str, ResolvedTag] = {}

    def use(self, registry: str) -> MirrorUse | None:
        """Say which comes first, the registry or its mirrors; None where it has no mirrors."""
        settings = registry_settings(self._registries, registry)
        return settings.mirror_use if settings.mirrors else None

    def announced(self, reference: ImageReference) -> ResolvedTag | None:
        """Ask the registry what a reference stands for, and where it is silent its mirrors; these answers are kept."""
        said = self._said.get(reference.canonical) or self._ask(reference)
        if said and self._of(reference):
            self._said[reference.canonical] = said
        return said

    def sources(self, reference: ImageReference) -> Iterator[MirrorSource]:
        """Say where else the image may be had, best first, without the mirrors that are known to be in trouble."""
        said = self.announced(reference)
        for mirror in self._of(reference) if said else ():
            there = at(mirror, reference, said.digest if said else None)
            lane = self._lanes.of(there.registry)
            if said and not lane.cooldown.left and lane.breaker.admits():
                yield MirrorSource(mirror, there, said, lane)

    def image_id(self, reference: ImageReference, digest: str, platform: Platform) -> str | None:
        """Say what ID a graph-driver store gives the image behind a digest, as a mirror tells; None without mirrors."""
        found = (self._advisor.image_id(at(mirror, reference, digest), platform) for mirror in self._of(reference))
        return next(filter(None, found), None)

    def _of(self, reference: ImageReference) -> tuple[str, ...]:
        return registry_settings(self._registries, reference.registry).mirrors

    def _ask(self, reference: ImageReference) -> ResolvedTag | None:
        registry = reference.registry
        unwell = self._lanes.of(registry).unwell
        said = None if unwell else self._advisor.head(reference)
        if said or not (unwell or self._advisor.silent(registry)):
            return said
        for mirror in self._of(reference):
            if said := self._advisor.head(at(mirror, reference)):
                return replace(said, mirror=None if reference.digest else mirror, counted=True)
        return None
