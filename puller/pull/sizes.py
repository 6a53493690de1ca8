"""The sizes of a run's images, from their manifests: what there is to fetch, and the layers whose bytes no engine says.

Registries are asked beside the pulls, once the engine has reported a layer: until then the first pull has the network
to itself, and what fails in the engine costs no question. What was asked in the run already, such as by the disk check,
is not asked again. A failure costs only the sizes: a rate limit of theirs delays no pull, and that of a pull ends them.
"""

import logging
from collections.abc import Callable, Sequence, Set as AbstractSet
from http import HTTPStatus
from threading import Condition
from time import monotonic

from puller.errors import RegistryError
from puller.events import Observer, SizeKnown
from puller.image.digest import short_digest
from puller.image.manifest import Descriptor
from puller.image.reference import Platform
from puller.model import PullOutcome, PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import Stock, chain_ids, new_layers
from puller.pull.transfers import Transfers
from puller.registry.client import RegistryClient
from puller.registry.manifests import config_of, parts_of
from puller.registry.resolver import Resolver
from puller.system.threads import Threads, start
from puller.text import clean

Absent = Callable[[float], tuple[Sequence[PullRequest], bool]]
"""Waits up to a number of seconds; returns the images to pull that are known by then, and whether these are all."""

_log = logging.getLogger(__name__)
_WIDTH, _TOTAL = 2, 4
"""Connections to one registry and to all."""
_READ = 20.0
"""Seconds to wait for each byte of an answer: pulls may fill a slow connection."""
_INTERVAL = 0.25
"""Least seconds between two events, except for the last."""
_PATIENCE = 0.5
"""Seconds that all pulls together wait for sizes of layers whose bytes the engine did not say."""


class ImageSizes:
    """Asks for the layers of the images that are pulled; thread-safe. Without a registry client it knows nothing."""

    def __init__(self, registries: Resolver, engine: EngineInventory, transfers: Transfers, emit: Observer) -> None:
        """`engine` has the images before the run."""
        self._pulls = registries if isinstance(registries, RegistryClient) else None
        self._client = self._pulls.apart().with_limits(read=_READ) if self._pulls else None
        """A client apart, as a registry that refuses these questions may well serve the engine."""
        self._engine, self._transfers, self._emit = engine, transfers, emit
        self._threads = Threads("size", _WIDTH, _TOTAL)
        self._absent: Absent = lambda _: ((), True)
        self._begun = self._closed = False
        self._changed = Condition()
        """Protects what follows; notified of each answer."""
        self._layers: dict[PullRequest, tuple[Descriptor, ...] | None] = {}
        """The distinct layers of each image that was asked for; None where they are unknown."""
        self._finished: set[PullRequest] = set()
        self._unknown: set[PullRequest] = set()
        """Images that are not finished, and whose sizes are not known."""
        self._costly: set[str] = set()
        """Registries that are not asked: a manifest counts as a pull there."""
        self._silent: set[str] = set()
        """Registries that do not answer; an image that the engine has pulled from there is asked for once more."""
        self._again: set[PullRequest] = set()
        self._chains: AbstractSet[str] = frozenset()
        """The chain IDs of podman's layers: it does not say which it fetches."""
        self._patience = _PATIENCE
        self._owed: dict[PullRequest, AbstractSet[str]] = {}
        """Layers whose sizes were missing at the end of the last attempt."""
        self._told, self._told_at = SizeKnown(0), 0.0

    def watch(self, images: Sequence[PullRequest], absent: Absent) -> None:
        """Set the images of the run; nothing is asked yet."""
        self._unknown, self._absent = set(images), absent

    def begin(self) -> None:
        """Ask in the background; later calls do nothing."""
        if not self._begun and self._client:
            with self._changed:
                first, self._begun = not self._begun, True
            if first:
                start(self._ask_all, "sizes")

    def of(self, request: PullRequest) -> int | None:
        """Return the compressed bytes of all layers of an image; None if they are unknown."""
        layers = self._layers.get(request)
        return sum(layer.size for layer in layers) if layers is not None else None

    def expected(self, request: PullRequest, present: AbstractSet[str]) -> int:
        """Return the compressed bytes of an image's layers without those that are present; 0 if they are unknown."""
        layers = self._layers.get(request) or ()
        return sum(layer.size for layer in layers if short_digest(layer.digest) not in present)

    def arrive(self, request: PullRequest, layers: AbstractSet[str]) -> bool:
        """Whether the sizes of these layers of an image, which were missing, are known now or after a short wait."""
        self._wait_for(request)
        if self._ask_again(request):
            self._wait_for(request)
        known = not self._transfers.lacks(layers)
        if not known:
            self._owed[request] = layers
        return known

    def finish(self, request: PullRequest, outcome: PullOutcome) -> PullOutcome:
        """Take note that an image has its outcome; return the outcome with the size of the image."""
        with self._changed:
            self._finished.add(request)
            self._unknown.discard(request)
            if layers := self._layers.get(request):
                self._transfers.finish(layers)
        if outcome.ok and outcome.attempts:
            self._ask_again(request)
        self.tell()
        return outcome._replace(size=self.of(request))

    def complete(self, request: PullRequest, outcome: PullOutcome) -> PullOutcome:
        """Add to an outcome, at the end of the run, what became known after it."""
        late = self._transfers.new(self, {}, self._owed.get(request, ()))
        if late and outcome.attempts:
            *before, last = outcome.attempts
            outcome = outcome._replace(attempts=(*before, last._replace(bytes=last.bytes + late)))
        return outcome._replace(size=self.of(request))

    def tell(self, *, last: bool = False) -> None:
        """Emit what there is to fetch if it has changed, and not too often."""
        if not self._layers or not (last or monotonic() - self._told_at >= _INTERVAL):
            return
        with self._changed:
            before, self._told_at = self._told, monotonic()
            self._told = now = SizeKnown(self._transfers.total, len(self._unknown))
        if now != before:
            self._emit(now)

    def close(self) -> None:
        """Break off the questions."""
        self._threads.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._client:
            self._client.close()

    def _ask_all(self) -> None:
        try:
            patience, complete, asked = 0.0, False, set[PullRequest]()
            if self._engine.facts.identity is None:
                contents = self._engine.contents.values()
                self._chains = {chain for each in contents for chain in chain_ids(each.layers)}
            while not complete and not self._closed:
                images, complete = self._absent(patience)
                patience = max(_INTERVAL, 2 * patience)
                for request in images:
                    if request not in asked:
                        asked.add(request)
                        platform = self._engine.platform(request)
                        self._threads.submit(request.reference.registry, self._ask, request, platform)
        except Exception:  # noqa: BLE001 - the pulls do without sizes
            _log.debug("no sizes", exc_info=True)

    def _wait_for(self, request: PullRequest) -> None:
        began = monotonic()
        with self._changed:
            patience = max(0.0, self._patience) if self._begun else 0.0
            self._changed.wait_for(lambda: self._closed or request in self._layers, patience)
            self._patience -= monotonic() - began

    def _ask_again(self, request: PullRequest) -> bool:
        """Ask for an image again whose registry did not answer before the engine pulled from it."""
        registry = request.reference.registry
        with self._changed:
            unknown = request in self._layers and self._layers[request] is None
            if self._closed or not unknown or request in self._again or registry in self._costly:
                return False
            self._again.add(request)
            self._silent.discard(registry)
            del self._layers[request]
        self._threads.submit(registry, self._ask, request, self._engine.platform(request))
        return True

    def _ask(self, request: PullRequest, platform: Platform | None) -> None:
        layers, had = None, set[Descriptor]()
        try:
            if platform and not self._closed and request.reference.registry not in self._silent | self._costly:
                layers, had = self._look_up(request, platform)
        except Exception as error:  # noqa: BLE001 - the pulls do without sizes
            _log.debug("no size of %s: %s", request, clean(str(error)))
            status = error.status if isinstance(error, RegistryError) else None
            if status is None or status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._silent.add(request.reference.registry)
        with self._changed:
            self._layers[request] = layers
            if layers is not None:
                self._unknown.discard(request)
                self._transfers.describe(layers, had)
                if request in self._finished:
                    self._transfers.finish(layers)
            self._changed.notify_all()
        self.tell(last=not self._unknown)

    def _look_up(
        self, request: PullRequest, platform: Platform
    ) -> tuple[tuple[Descriptor, ...] | None, set[Descriptor]]:
        """Return the layers of an image, and those that the engine had if it does not say that itself."""
        client, reference = self._client, request.reference
        if client is None or self._pulls is None or self._pulls.health(reference.registry).rate_limit.left:
            return None, set()
        described, record = client.head(reference), client.record(reference.registry)
        costs = described.quota or record.quota
        if costs and (reference.repository, described.digest) not in record.manifests:
            if not record.manifests:  # else puller downloads layers itself, and fetches manifests for that
                self._costly.add(reference.registry)
            return None, set()
        parts = parts_of(client, reference, described.digest, platform)
        layers = tuple(dict.fromkeys(parts.layers))
        if not self._chains:
            return layers, set()
        described_layers = parts.with_config(config_of(client, reference, parts))
        new = {layer.digest for layer in new_layers(described_layers, Stock(keeps_blobs=True, chains=self._chains))}
        return layers, {layer for layer in layers if layer.digest not in new}
