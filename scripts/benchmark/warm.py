"""Warm: the engine has everything, the registry has nothing new, and what counts is how fast that is found out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmark.sample import Wanted
from scripts.benchmark.scenario import Scenario, Trial
from tests.lab import DOCKER, WorldError, family

if TYPE_CHECKING:
    from scripts.benchmark.place import Place
    from tests.lab import Registry

_JOBS = "-j8"
_DIFFERENT = 200
"""Further tags are given to the same images: what is measured is the asking, and pushing takes its time."""
_200, _2000 = (Wanted(11.0), Wanted(0.28, "seconds")), (Wanted(18.0),)


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return (
        Scenario("warm-200", "200 images, all up to date", partial(_warm, count=200, widths=(4, 8, 16)), 9, _200),
        Scenario("warm-2000", "2,000 tags, all up to date", partial(_warm, count=2000, widths=(8,)), wanted=_2000),
    )


def _warm(place: Place, count: int, widths: tuple[int, ...]) -> Trial:
    count = count // 10 if place.quick else count
    who, registry = place.contenders, place.registry
    images = family(registry, min(count, _DIFFERENT), prefix="warm/app", base_size=4 << 10, own_size=1 << 10)
    references = [image.reference for image in images]
    references += [
        _retag(registry, images[number % len(images)].repository, f"t{number}") for number in range(len(images), count)
    ]
    names = place.names(references)
    contenders = (*(who.peers(*widths) if len(widths) > 1 else who.xargs(*widths)), who.puller(_JOBS))
    place.run(who.puller(_JOBS), names)
    place.see_all(contenders[-1], names)
    return Trial(contenders, lambda contender: place.run(contender, names), count, warm_up=len(widths) > 1)


def _retag(registry: Registry, repository: str, tag: str) -> str:
    """Give an image another tag in the registry, and return its new name; raises WorldError when it is refused."""
    manifests = f"{registry.url}/v2/{repository}/manifests"
    found = registry.session.get(f"{manifests}/v1", headers={"Accept": DOCKER.manifest}, timeout=60)
    headers = {"Content-Type": DOCKER.manifest}
    put = registry.session.put(f"{manifests}/{tag}", data=found.content, headers=headers, timeout=60)
    if not put.ok:
        raise WorldError(f"PUT {manifests}/{tag}: {put.status_code}")
    return f"{registry.address}/{repository}:{tag}"
