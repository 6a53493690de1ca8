"""Mirrors: where else the repositories of a registry are to be had, and for what to ask there.

A mirror is asked for a digest and not for a tag, and the digest comes from the registry itself wherever that answers:
a mirror that is stale has no such image, and one that lies is found out by the engine. Where the registry refuses (no
such tag, no access) that is the answer, and no mirror is asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from puller.engine.interface import Engine
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.registry.pools import Lane, Lanes
from puller.registry.resolver import ResolvedTag, Resolver
from puller.settings import MirrorUse, RegistrySettings


class MirrorSource(NamedTuple):
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

    def __init__(self, settings: Mapping[str, RegistrySettings], registries: Resolver, lanes: Lanes) -> None:
        self._settings = {name: each for name, each in settings.items() if each.mirrors}
        self._registries = registries
        self._lanes = lanes
        self._said: dict[str, ResolvedTag] = {}

    def use(self, registry: str) -> MirrorUse | None:
        """Say which comes first, the registry or its mirrors; None where it has no mirrors."""
        settings = self._settings.get(registry.lower())
        return settings.mirror_use if settings else None

    def announced(self, reference: ImageReference) -> ResolvedTag | None:
        """Ask the registry what a reference stands for, unless it wants to be left alone or is down.

        Where it is silent its mirrors are asked; the answers for a registry that has mirrors are kept.
        """
        lane, settings = self._lanes.of(reference.registry), self._settings.get(reference.registry.lower())
        if settings is None:
            return None if lane.health.impaired else self._registries.resolve(reference)
        said = self._said.get(reference.canonical) or self._ask(reference, lane, settings.mirrors)
        if said:
            self._said[reference.canonical] = said
        return said

    def sources(self, reference: ImageReference) -> Iterator[MirrorSource]:
        """Say where else the image may be had, best first, without the mirrors that are known to be in trouble."""
        said = self.announced(reference)
        for mirror in self._of(reference) if said else ():
            there = at(mirror, reference, said.digest if said else None)
            lane = self._lanes.of(there.registry)
            if said and not lane.health.rate_limit.left and lane.health.breaker.admits():
                yield MirrorSource(mirror, there, said, lane)

    def image_id(self, reference: ImageReference, digest: str, platform: Platform) -> str | None:
        """Say what ID a graph-driver store gives the image behind a digest, as a mirror tells; None without mirrors."""
        found = (self._registries.image_id(at(mirror, reference, digest), platform) for mirror in self._of(reference))
        return next(filter(None, found), None)

    def _of(self, reference: ImageReference) -> tuple[str, ...]:
        settings = self._settings.get(reference.registry.lower())
        return settings.mirrors if settings else ()

    def _ask(self, reference: ImageReference, lane: Lane, mirrors: Sequence[str]) -> ResolvedTag | None:
        impaired = lane.health.impaired
        said = None if impaired else self._registries.resolve(reference)
        if said or not (impaired or self._registries.silent(reference.registry)):
            return said
        for mirror in mirrors:
            if said := self._registries.resolve(at(mirror, reference)):
                return said._replace(mirror=None if reference.digest else mirror, counted=True)
        return None


def adopt(
    engine: Engine,
    request: PullRequest,
    source: MirrorSource,
    pull: Callable[[PullRequest], EngineResult],
    *,
    untag: bool,
) -> None:
    """Give what came from a mirror the name that was asked for, and with `untag` take the mirror's name away.

    A tag is enough for the containerd store, which thereby knows the digest, too. A graph-driver store knows digests
    only by pulls: the manifest, and nothing else, is pulled from the registry itself where that answers and does not
    count pulls. Without a tag there is no other way. Raises EngineError.
    """
    reference, mirrored = request.reference, f"{source.reference.name}@{source.reference.digest}"
    pinned = ImageReference.parse(f"{reference.name}@{source.reference.digest}")
    digest_matters = source.confirmed and not source.said.counted and not engine.store.facts().keeps_platforms
    if not reference.tag:
        pull(replace(request, reference=pinned))
    else:
        named = mirrored
        if digest_matters:
            with suppress(EngineError):
                pull(replace(request, reference=pinned))
                named = pinned.canonical
        engine.store.tag(named, reference)
    if untag:
        with suppress(EngineError):
            engine.store.untag(mirrored)
