"""Whether images fit on the disk of an engine: the check that `puller pull` makes before the first byte.

The check is made once, when an image must be pulled. It asks no registry if `has_ample_space`, and does not count
images whose name the engine has: an update shares most of its layers. For other images it fetches one or two manifests
each; only if these look too large does it ask for configs, the engine's layers and the unpacked sizes. It refuses only
what certainly does not fit.
"""

from collections.abc import Callable, Sequence
from threading import Timer
from typing import NamedTuple

from puller.engine.disk import DiskShortage, has_ample_space
from puller.errors import EngineError, RegistryError
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import LayerAccount, Stock, disk_needed, disk_needed_at_least
from puller.plan.survey import explained, images_of, measured
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.responses import Described

_PROBES = 3
"""Images of each registry that are asked for first, to learn whether it answers and has a pull quota."""
_LONGEST = 10.0
"""Time limit of all requests to registries, in seconds; after it the pull begins without the check."""


def check_disk(
    requests: Sequence[PullRequest], inventory: EngineInventory, registries: RegistryClient, say: Callable[[str], None]
) -> DiskShortage | None:
    """Check whether absent images fit on the engine's disk; None if they do or if that is unknown.

    `say` gets the reason when images are not checked.
    """
    try:
        disk = inventory.disk(0)
        if disk.free is None or disk.path is None:
            say(f"disk not checked: {disk.note}")
            return None
        if has_ample_space(inventory.facts, len(requests)):
            return None
        absent = [each for each in requests if inventory.held(each.reference) is None]
        if not absent:
            return None
        with registries.quick() as client:
            limit = Timer(_LONGEST, client.close)
            limit.daemon = True
            limit.start()
            try:
                return _shortage(absent, disk.path, disk.free, _Check(inventory, client, say))
            finally:
                limit.cancel()
    except (EngineError, RegistryError) as error:
        say(f"disk not checked: {error}")
        return None


class _Check(NamedTuple):
    inventory: EngineInventory
    client: RegistryClient
    say: Callable[[str], None]


def _shortage(absent: list[PullRequest], path: str, free: int, check: _Check) -> DiskShortage | None:
    wanted = _without_cost(absent, check)
    names = [each.reference.digest or each.reference.tag or "latest" for each in wanted]
    answers = images_of(wanted, names, check.inventory, check.client)
    images = [
        (each, parts) for each, parts in zip(wanted, answers, strict=True) if not isinstance(parts, RegistryError)
    ]
    if len(images) < len(wanted):
        check.say(f"disk: the sizes of {len(wanted) - len(images)} images are unknown")
    keeps_blobs = check.inventory.facts.keeps_platforms
    account = LayerAccount(Stock(keeps_blobs))
    if disk_needed([account.add(parts) for _, parts in images], keeps_blobs=keeps_blobs) <= free:
        return None
    images = explained(images, check.client)
    stock = check.inventory.stock(images, check.client, {each.reference.registry for each in wanted})
    account = LayerAccount(stock)
    estimates = [account.add(parts) for parts in measured(images, stock, check.client)]
    needed = disk_needed_at_least(estimates, keeps_blobs=keeps_blobs)
    return DiskShortage(path, needed, free, len(images)) if needed > free else None


def _without_cost(absent: list[PullRequest], check: _Check) -> list[PullRequest]:
    """Leave out images of registries that do not answer, and of those where fetching a manifest counts as a pull."""
    probes: dict[str, list[PullRequest]] = {}
    for each in absent:
        if len(probes.setdefault(each.reference.registry, [])) < _PROBES:
            probes[each.reference.registry].append(each)
    asked = [(name, each) for name, some in probes.items() for each in some]
    answers = ask_all(asked, lambda each: check.client.head(each.reference))
    answered = {name: answer for (name, _), answer in zip(asked, answers, strict=True) if isinstance(answer, Described)}
    for name in probes:
        if name not in answered:
            check.say(f"disk: images of {name} are not counted: it does not answer")
        elif answered[name].quota:
            check.say(f"disk: images of {name} are not counted: asking for their sizes would count as a pull")
    return [each for each in absent if (seen := answered.get(each.reference.registry)) and not seen.quota]
