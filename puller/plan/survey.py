"""Asks registries and the engine what a pull would do and cost, without pulling. The work of `puller plan`."""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial

from puller.engine.interface import Engine
from puller.errors import FailureKind, RegistryError
from puller.failure import failure, failure_of
from puller.image.platform import fits, not_for
from puller.imagelist.requests import RequestedImages
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import disk_needed_at_least
from puller.plan.model import Change, ImageEstimate, PullPlan, QuotaUse
from puller.plan.sizes import estimates_of, manifests_of
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.manifests import NoPlatformError
from puller.registry.resolver import ResolvedTag, explained
from puller.registry.responses import Quota

_SPARES_QUOTA = "its size was not requested, which would use as much of the registry's quota as the pull"


def plan_pull(todo: RequestedImages, engine: Engine, client: RegistryClient) -> PullPlan:
    """Return what a pull of these images would do and cost; raises EngineError when the engine does not answer."""
    inventory = EngineInventory(engine.store)
    asked = [(each.reference.registry, each) for each in todo.requests]
    estimates: list[ImageEstimate] = []
    quotas: dict[str, Quota] = {}
    for (registry, request), answer in zip(asked, ask_all(asked, partial(_look, inventory, client)), strict=True):
        if isinstance(answer, RegistryError):
            why = explained(request.advised(failure_of(answer)), request.reference, client)
            estimates.append(ImageEstimate(request, Change.UNKNOWN, failure=why))
            continue
        estimate, quota = answer
        estimates.append(estimate)
        if quota:
            quotas[registry] = quota
    pulls = Counter(each.request.reference.registry for each in estimates if each.change is Change.WOULD_PULL)
    left = {name: quota.remaining for name, quota in quotas.items() if quota.remaining is not None}
    costly = {name for name, remaining in left.items() if 2 * pulls[name] > remaining}
    uses = [
        QuotaUse(name, *quota[:3], pulls[name], 0 if name in costly else pulls[name], quota.source)
        for name, quota in quotas.items()
    ]
    images = _with_sizes(estimates, inventory, client, costly=costly, counted=quotas.keys())
    known = [each.estimate for each in images if each.estimate]
    needed = disk_needed_at_least(known, keeps_blobs=inventory.facts.keeps_platforms)
    return PullPlan(engine.engine, images, tuple(uses), inventory.disk(needed), todo.rejected)


def _look(
    inventory: EngineInventory, client: RegistryClient, request: PullRequest
) -> tuple[ImageEstimate, Quota | None]:
    """Ask the registry for the digest and its quota, and compare the digest with the engine's images."""
    digest = request.reference.digest
    if (digest or request.if_missing) and inventory.has(request):
        return ImageEstimate(request, Change.UP_TO_DATE, digest), None  # a digest is always up to date
    answer = client.head(request.reference)
    there = inventory.has(request, ResolvedTag(answer.digest, single=answer.single))
    return ImageEstimate(request, Change.UP_TO_DATE if there else Change.WOULD_PULL, answer.digest), answer.quota


def _with_sizes(
    estimates: Sequence[ImageEstimate],
    inventory: EngineInventory,
    client: RegistryClient,
    *,
    costly: Collection[str],
    counted: Collection[str],
) -> tuple[ImageEstimate, ...]:
    """Add the costs of the images that would be pulled, or the reason why they are unknown.

    No manifest is asked for at `costly` registries; at the `counted` ones only those of wanted images.
    """
    wanted = [
        (each.request, each.digest or "")
        for each in estimates
        if each.change is Change.WOULD_PULL and each.request.reference.registry not in costly
    ]
    answers = dict(zip([request for request, _ in wanted], manifests_of(wanted, inventory, client), strict=True))
    images = [(request, answer) for request, answer in answers.items() if not isinstance(answer, RegistryError)]
    registries = {each.request.reference.registry for each in estimates}.difference(counted)
    costs = estimates_of(images, inventory, client, registries) if images else []
    costs_by_request = dict(zip([request for request, _ in images], costs, strict=True))
    own = inventory.facts.platform

    def sized(each: ImageEstimate) -> ImageEstimate:
        if each.change is not Change.WOULD_PULL:
            return each
        answer, estimate = answers.get(each.request), costs_by_request.get(each.request)
        if answer is None:
            return each._replace(note=_SPARES_QUOTA)
        requested, image = each.request.platform, estimate.platform if estimate else None
        words = "" if image is None or fits(image, requested, own) else not_for(requested or own, image)
        if isinstance(answer, NoPlatformError) or (words and requested):
            why = failure(FailureKind.NO_MATCHING_PLATFORM, words or str(answer))
            return each._replace(change=Change.UNKNOWN, failure=why)
        if isinstance(answer, RegistryError):
            words = f"its size is unknown: {answer.message}"
        return each._replace(estimate=estimate, note=words)

    return tuple(map(sized, estimates))
