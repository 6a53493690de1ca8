"""Whether images fit on the disk of an engine: the check that `puller pull` makes before the first byte.

The check is made once, when an image must be pulled. It asks no registry if `has_ample_space`, and does not count
images whose name the engine has: an update shares most of its layers. For other images it fetches one or two manifests
each; only if these look too large does it ask for configs, the engine's layers and the unpacked sizes. It refuses only
what certainly does not fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock, Timer

from puller.engine.disk import has_ample_space
from puller.engine.interface import ImageStore
from puller.errors import EngineError, FailureKind, RegistryError
from puller.failure import Failure, failure
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import LayerAccount, Stock, disk_needed, disk_needed_at_least
from puller.plan.survey import explained, images_of, measured
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.responses import Described
from puller.text import clean, format_bytes

_PROBES = 3
"""Images of each registry that are asked for first, to learn whether it answers and has a pull quota."""
_LONGEST = 10.0
"""Time limit of all requests to registries, in seconds; after it the pull begins without the check."""


@dataclass(frozen=True, slots=True)
class DiskShortage:
    """The reason why images cannot be pulled."""

    path: str
    needed: int
    """Bytes, in whatever order the pulls run; images of unknown size are not included."""
    free: int
    images: int
    """How many absent images were counted."""

    def __str__(self) -> str:
        """Return the message for the user."""
        noun = "1 image needs" if self.images == 1 else f"{self.images} images need"
        return (
            f"no space left on device: {noun} about {format_bytes(self.needed)} at {clean(self.path)},"
            f" {format_bytes(self.free)} are free"
        )


MakeRoom = Callable[[DiskShortage], bool]
"""Removes images when the disk is too small; returns whether any was removed."""


class DiskCheck:
    """The disk check of one run. An error in it does not prevent the pull."""

    def __init__(
        self,
        store: ImageStore,
        say: Callable[[str], None],
        registries: RegistryClient,
        make_room: MakeRoom | None = None,
    ) -> None:
        """`say` gets the reason when images are not checked; `registries` are asked for the sizes of images."""
        self._store = store
        self._say = say
        self._registries = registries
        self._make_room = make_room
        self._lock = Lock()
        self._checked = False
        self._refusal: Failure | None = None
        self.shortage: DiskShortage | None = None
        """Why the run was refused."""

    def refusal(self, total: int, absent: Callable[[], Sequence[PullRequest]]) -> Failure | None:
        """Return the reason why none of `total` images can be pulled, or None.

        `absent` waits until all images that must be pulled are known; it is not called if the disk is so large that
        `total` images certainly fit.
        """
        with self._lock:
            if not self._checked:
                self._checked = True
                if not self._certainly_fits(total):
                    self.shortage = self._shortage(absent())
                    self._refusal = failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None
            return self._refusal

    def _certainly_fits(self, images: int) -> bool:
        try:
            return has_ample_space(self._store.facts(), images)
        except EngineError:
            return False

    def _shortage(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        """Check, remove images and check again, until the images fit or no more can be removed."""
        shortage = self._check(requests)
        while shortage and self._make_room and self._make_room(shortage):
            shortage = self._check(requests)
        return shortage

    def _check(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        try:
            return check_disk(requests, EngineInventory(self._store), self._registries, self._say)
        except Exception as error:  # noqa: BLE001 - an error in the check must not prevent the pull
            self._say(f"disk not checked: {error}")
            return None


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


@dataclass(frozen=True, slots=True)
class _Check:
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
