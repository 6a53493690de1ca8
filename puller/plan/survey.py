"""Asks registries and the engine what a pull would do and cost, without pulling. The work of `puller plan`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from puller.engine.interface import Engine
from puller.errors import FailureKind, RegistryError
from puller.failure import failure, failure_of
from puller.image.manifest import ImageManifest
from puller.imagelist.requests import RequestedImages
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import LayerAccount, Stock, disk_needed, new_layers
from puller.plan.model import Change, ImageEstimate, PullPlan, QuotaUse
from puller.plan.sizes import config_of, unpacked_size
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.manifests import NoPlatformError, parts_of
from puller.registry.resolver import ResolvedTag
from puller.registry.responses import Quota

_SPARES_QUOTA = "its size is not asked for: that would cost as much of the registry's quota as the pull"


def plan_pull(todo: RequestedImages, engine: Engine, client: RegistryClient) -> PullPlan:
    """Return what a pull of these images would do and cost; raises EngineError when the engine does not answer."""
    inventory = EngineInventory(engine.store)
    estimates, quotas = _survey(todo.requests, inventory, client)
    known = [each.estimate for each in estimates if each.estimate]
    needed = disk_needed(known, keeps_blobs=inventory.facts.keeps_platforms)
    return PullPlan(engine.engine, estimates, quotas, inventory.disk(needed), todo.rejected)


def _survey(
    requests: Sequence[PullRequest], inventory: EngineInventory, client: RegistryClient
) -> tuple[tuple[ImageEstimate, ...], tuple[QuotaUse, ...]]:
    """Estimate what a pull would do with each image, in list order, and how much of the quotas it would use."""
    asked = [(each.reference.registry, each) for each in requests]
    answers = ask_all(asked, lambda each: _look(inventory, client, each))
    estimates = [_estimate(each, answer) for each, answer in zip(requests, answers, strict=True)]
    quotas = _quotas(requests, answers)
    pulls = dict.fromkeys(quotas, 0)
    for each in estimates:
        if each.change is Change.WOULD_PULL and each.request.reference.registry in pulls:
            pulls[each.request.reference.registry] += 1
    left = {name: quota.remaining for name, quota in quotas.items() if quota.remaining is not None}
    costly = {name for name, remaining in left.items() if 2 * pulls[name] > remaining}
    estimates = _with_estimates(estimates, inventory, client, costly=costly, counted=quotas.keys())
    return tuple(estimates), tuple(
        QuotaUse(name, quota.limit, quota.remaining, quota.window_seconds, pulls[name], looked)
        for name, quota in quotas.items()
        for looked in (0 if name in costly else pulls[name],)
    )


def images_of(
    wanted: Sequence[PullRequest], names: Sequence[str], inventory: EngineInventory, client: RegistryClient
) -> list[ImageManifest | RegistryError]:
    """Fetch the manifests with these names (digests or tags), each once; the result has an error for each failure."""

    def fetch(item: tuple[PullRequest, str]) -> ImageManifest:
        request, name = item
        platform = inventory.platform(request)
        if platform is None:
            raise RegistryError("the engine does not report its platform")
        return parts_of(client, request.reference, name, platform)

    keys = [
        (name if ":" in name else (each.reference.name, name), inventory.platform(each))
        for each, name in zip(wanted, names, strict=True)
    ]
    firsts: dict[object, tuple[PullRequest, str]] = {}
    for key, each, name in zip(keys, wanted, names, strict=True):
        firsts.setdefault(key, (each, name))
    answers = ask_all([(item[0].reference.registry, item) for item in firsts.values()], fetch)
    found = dict(zip(firsts, answers, strict=True))
    return [found[key] for key in keys]


def explained(
    images: Sequence[tuple[PullRequest, ImageManifest]], client: RegistryClient
) -> list[tuple[PullRequest, ImageManifest]]:
    """Add the diff IDs of the layers, which are in the images' configs; each config is fetched once."""
    firsts = {parts.config.digest: (request, parts) for request, parts in images}
    answers = ask_all(
        [(item[0].reference.registry, item) for item in firsts.values()],
        lambda item: config_of(client, item[0].reference, item[1]),
    )
    configs = dict(zip(firsts, answers, strict=True))
    known = ((request, parts, configs[parts.config.digest]) for request, parts in images)
    return [(request, parts.with_config(raw) if isinstance(raw, bytes) else parts) for request, parts, raw in known]


def measured(
    images: Sequence[tuple[PullRequest, ImageManifest]], stock: Stock, client: RegistryClient
) -> list[ImageManifest]:
    """Add the unpacked sizes of new layers, where their registries allow to read them."""
    new = {layer.digest: (request, layer) for request, parts in images for layer in new_layers(parts, stock)}
    answers = ask_all(
        [(item[0].reference.registry, item) for item in new.values()],
        lambda item: unpacked_size(client, item[0].reference, item[1]),
    )
    sizes = {digest: size for digest, size in zip(new, answers, strict=True) if isinstance(size, int)}
    return [
        parts._replace(layers=tuple(layer._replace(unpacked=sizes.get(layer.digest)) for layer in parts.layers))
        for _, parts in images
    ]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The digest of an image, and whether the engine has it."""

    digest: str
    there: bool
    quota: Quota | None = None


def _look(inventory: EngineInventory, client: RegistryClient, request: PullRequest) -> _Seen:
    digest = request.reference.digest
    if digest and inventory.has(request):
        return _Seen(digest, there=True)  # a digest is always up to date
    answer = client.head(request.reference)
    there = inventory.has(request, ResolvedTag(answer.digest, single=answer.single))
    return _Seen(answer.digest, there, answer.quota)


def _estimate(request: PullRequest, answer: _Seen | RegistryError) -> ImageEstimate:
    if isinstance(answer, RegistryError):
        return ImageEstimate(request, Change.UNKNOWN, failure=failure_of(answer))
    return ImageEstimate(request, Change.UP_TO_DATE if answer.there else Change.WOULD_PULL, answer.digest)


def _quotas(requests: Sequence[PullRequest], answers: Sequence[_Seen | RegistryError]) -> dict[str, Quota]:
    """Return the last reported quota of each registry that has one."""
    return {
        request.reference.registry: answer.quota
        for request, answer in zip(requests, answers, strict=True)
        if isinstance(answer, _Seen) and answer.quota
    }


def _with_estimates(
    estimates: Sequence[ImageEstimate],
    inventory: EngineInventory,
    client: RegistryClient,
    *,
    costly: Collection[str],
    counted: Collection[str],
) -> list[ImageEstimate]:
    found = list(estimates)
    places = []
    for place, each in enumerate(estimates):
        if each.change is Change.WOULD_PULL and each.request.reference.registry in costly:
            found[place] = replace(each, note=_SPARES_QUOTA)
        elif each.change is Change.WOULD_PULL:
            places.append(place)
    wanted = [found[place].request for place in places]
    answers = images_of(wanted, [found[place].digest or "" for place in places], inventory, client)
    known = []
    for place, answer in zip(places, answers, strict=True):
        if isinstance(answer, RegistryError):
            found[place] = _without_size(found[place], answer)
        else:
            known.append((place, answer))
    if not known:
        return found
    images = explained([(found[place].request, parts) for place, parts in known], client)
    stock = inventory.stock(images, client, {each.request.reference.registry for each in estimates} - set(counted))
    account = LayerAccount(stock)
    for (place, _), parts in zip(known, measured(images, stock, client), strict=True):
        found[place] = replace(found[place], estimate=account.add(parts))
    return found


def _without_size(estimate: ImageEstimate, trouble: RegistryError) -> ImageEstimate:
    if isinstance(trouble, NoPlatformError):
        why = failure(FailureKind.NO_MATCHING_PLATFORM, trouble.message)
        return replace(estimate, change=Change.UNKNOWN, failure=why)
    return replace(estimate, note=f"its size is not known: {trouble.message}")
