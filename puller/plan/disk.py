"""Whether images fit on the disk of an engine: the question that `puller.pull.disk_check` asks in time.

Images whose name the engine has are not counted: an update shares most of its layers. For other images the check
fetches one or two manifests each; only if these look too large does it ask for configs, the engine's layers and the
unpacked sizes. It refuses only what certainly does not fit.
"""

from collections.abc import Callable, Sequence
from threading import Timer

from puller.engine.disk import DiskShortage
from puller.errors import RegistryError
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import LayerAccount, Stock, disk_needed, disk_needed_at_least
from puller.plan.sizes import estimates_of, manifests_of
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.responses import Described

_PROBES = 3  # images of each registry that are asked for first, to learn whether it answers and has a pull quota
_LONGEST = 10.0  # time limit of all requests to registries, in seconds; after it the pull goes on without the check


def check_disk(
    requests: Sequence[PullRequest], inventory: EngineInventory, registries: RegistryClient, say: Callable[[str], None]
) -> DiskShortage | None:
    """Check whether absent images fit on the engine's disk; None if they do or if that is unknown.

    `say` gets the reason when images are not counted. Raises EngineError and RegistryError.
    """
    disk = inventory.disk(0)
    if disk.free is None or disk.path is None:
        return None
    absent = [each for each in requests if inventory.holdings.find(each.reference) is None]
    if not absent:
        return None
    with registries.quick() as client:
        limit = Timer(_LONGEST, client.close)
        limit.daemon = True
        limit.start()
        try:
            needed, images = _needed(_without_cost(absent, client, say), disk.free, inventory, client, say)
        finally:
            limit.cancel()
    return DiskShortage(disk.path, needed, disk.free, images) if needed > disk.free else None


def _needed(
    wanted: list[PullRequest], free: int, inventory: EngineInventory, client: RegistryClient, say: Callable[[str], None]
) -> tuple[int, int]:
    """Return the bytes that the images need, and how many images that includes.

    The number of bytes is a rough estimate unless that exceeds `free`.
    """
    names = [each.reference.digest or each.reference.tag or "latest" for each in wanted]
    answers = manifests_of([*zip(wanted, names, strict=True)], inventory, client)
    images = [
        (each, parts) for each, parts in zip(wanted, answers, strict=True) if not isinstance(parts, RegistryError)
    ]
    if len(images) < len(wanted):
        say(f"disk: the sizes of {len(wanted) - len(images)} images are unknown")
    keeps_blobs = inventory.facts.keeps_platforms
    account = LayerAccount(Stock(keeps_blobs))
    rough = disk_needed([account.add(parts) for _, parts in images], keeps_blobs=keeps_blobs)
    if rough <= free:
        return rough, len(images)
    estimates = estimates_of(images, inventory, client, {each.reference.registry for each in wanted})
    return disk_needed_at_least(estimates, keeps_blobs=keeps_blobs), len(images)


def _without_cost(absent: list[PullRequest], client: RegistryClient, say: Callable[[str], None]) -> list[PullRequest]:
    """Leave out images of registries that do not answer, and of those where fetching a manifest counts as a pull."""
    probes: dict[str, list[PullRequest]] = {}
    for each in absent:
        probes.setdefault(each.reference.registry, []).append(each)
    asked = [(name, each) for name, some in probes.items() for each in some[:_PROBES]]
    answers = ask_all(asked, lambda each: client.head(each.reference))
    answered = {name: answer for (name, _), answer in zip(asked, answers, strict=True) if isinstance(answer, Described)}
    for name in probes:
        if name not in answered:
            say(f"disk: images of {name} are not counted: it does not answer")
        elif answered[name].quota:
            say(f"disk: images of {name} are not counted: asking for their sizes would count as a pull")
    return [each for each in absent if (seen := answered.get(each.reference.registry)) and not seen.quota]
