"""`--feed`: this machine fetches blobs once, and the engines of all hosts pull them from here.

An engine asks 127.0.0.1 on its own host, without TLS, and a forward of ssh leads from there to the registry on loopback
of this machine. A blob is fetched when the first engine asks for it, so nothing is fetched that all hosts have.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import count
from threading import Lock
from time import sleep

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.pace import BandwidthLimit
from puller.blobs.served import ServedImages
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import RegistryError, UsageError
from puller.fleet.connection import open_host, target_of
from puller.fleet.feed_engine import FedEngine, FedImage
from puller.fleet.forward import ReverseForward
from puller.fleet.hosts import FleetHost
from puller.image.manifest import Manifest, descriptor_of, descriptors_in, read_image
from puller.image.reference import Platform
from puller.model import PullRequest
from puller.registry.client import RegistryClient
from puller.registry.manifests import manifests_of
from puller.settings import PrefetchSettings
from puller.system import directories
from puller.system.credentials import Keyring
from puller.system.paths import cache_home
from puller.text import plain_error

_RATE_LIMIT = 10.0
"""Longest rate limit of a registry to wait for before a host is left to itself, in seconds."""
_STRANGERS = 512
"""Connections that have not sent the path yet: engines of many hosts begin at the same time, on slow links."""
_TRIM_SHARE = 8
"""The store is trimmed whenever 1/8 of its limit has been asked for."""


class Feed:
    """The images of a run, for the engines of all hosts; thread-safe. Implements `loopback_registry.Source`."""

    def __init__(self, client: RegistryClient, store: BlobStore, settings: PrefetchSettings) -> None:
        """Start the registry on loopback; raises OSError. The settings hold for all hosts together.

        The bandwidth is one for what is downloaded, and one for what is sent: most links carry both at once.
        """
        self._client = client.with_limits(rate_limit=_RATE_LIMIT)
        self._store = store
        self._downloads = DownloadPool(self._client, store, settings)
        self._served = ServedImages(self._client, self._downloads)
        self._numbers = count()
        self._images: dict[tuple[str, Platform], Future[FedImage]] = {}
        self._pulls: dict[Cancellation, FedImage] = {}
        """The pulls from loopback that are in flight."""
        self._seen: dict[str, BlobDownload] = {}
        self._asked = 0
        """Bytes that engines have asked for since the store was trimmed."""
        self._lock = Lock()
        self._notes: dict[str, str] = {}
        bandwidth = BandwidthLimit(settings.bandwidth, sleep)
        self.server = LoopbackRegistry(self, strangers=_STRANGERS, bandwidth=bandwidth)

    @contextmanager
    def open_host(
        self, host: FleetHost, *, cancel: Cancellation, connections: int, keyring: Keyring, insecure: bool = False
    ) -> Iterator[Engine]:
        """Connect as `connection.open_host` does, to an engine that pulls from here; raises UsageError without ssh.

        The forward to here is opened at the first pull.
        """
        target = target_of(host)
        if target is None:
            raise UsageError(f"--feed: {host.name} is not reached by ssh")
        port = int(self.server.address.rpartition(":")[2])
        with (
            open_host(host, cancel=cancel, connections=connections, keyring=keyring, insecure=insecure) as engine,
            closing(ReverseForward(target, port)) as forward,
            ExitStack() as stack,
        ):
            yield FedEngine(engine, self, forward, stack, partial(self._note, host))

    def image(self, request: PullRequest, platform: Platform) -> FedImage:
        """Look up an image, once for all hosts; raises RegistryError."""
        key = request.reference.canonical, platform
        with self._lock:
            found = self._images.get(key)
            new = found is None
            if found is None:
                found = self._images[key] = Future()
        if new:
            try:
                found.set_result(self._look_up(next(self._numbers), request, platform))
            except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
                del self._images[key]  # the next pull asks again
                found.set_exception(error)
        return found.result()

    @contextmanager
    def pulling(self, image: FedImage, cancel: Cancellation) -> Iterator[None]:
        """Cancel a pull of an image from here if a blob of it cannot be fetched: the engine would try for a while."""
        with self._lock:
            self._pulls[cancel] = image
        try:
            yield
        finally:
            with self._lock:
                del self._pulls[cancel]

    def failure(self, image: FedImage) -> RegistryError | None:
        """Return why a blob of an image could not be fetched."""
        with self._lock:
            found = [self._seen[digest].failure for digest in image.blobs if digest in self._seen]
        return next(filter(None, found), None)

    def document(self, name: str) -> Manifest | None:
        return self._served.document(name)

    def referrers(self, digest: str) -> Manifest | None:
        return self._served.referrers(digest)

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`: it is fetched now, unless it is in the store."""
        blob = self._served.blob(digest)
        if blob is None:
            return None
        with self._lock:
            new = self._seen.get(digest) is not blob
            self._seen[digest] = blob
            self._asked += blob.size * new
            trim = self._asked * _TRIM_SHARE > self._store.limit
            self._asked = 0 if trim else self._asked
            needed = {digest for image in self._pulls.values() for digest in image.blobs} if trim else set[str]()
        if new:
            blob.when_failed(partial(self._failed, digest))
        if trim:
            self._store.trim(needed)
        return blob

    @property
    def notes(self) -> list[str]:
        """What the user should know after the run: a line for each host with images that were not fed."""
        return [f"{host}: {text}" for host, text in self._notes.items()]

    def close(self) -> None:
        """Stop serving and downloading; the blobs stay in the store."""
        self.server.close()
        self._client.close()
        self._downloads.close()

    def _look_up(self, place: int, request: PullRequest, platform: Platform) -> FedImage:
        reference = request.reference
        documents = manifests_of(self._client, reference, reference.digest or reference.tag or "", platform)
        for document in documents:
            self._served.add(document, reference, place)
        blobs = frozenset(part.digest for part in descriptors_in(documents[-1]))
        config = read_image(map(descriptor_of, documents[:-1]), documents[-1]).config
        return FedImage(f"n{place}", documents[0].digest, config.digest, blobs)

    def _failed(self, digest: str) -> None:
        with self._lock:
            pulls = [cancel for cancel, image in self._pulls.items() if digest in image.blobs]
        for cancel in pulls:
            cancel.cancel("a layer cannot be downloaded")

    def _note(self, host: FleetHost, text: str) -> None:
        self._notes.setdefault(host.name, text)


@contextmanager
def open_feed(client: RegistryClient, settings: PrefetchSettings) -> Iterator[Feed]:
    """Open the store of blobs and serve from it until the end of the block; raises UsageError if that is impossible.

    Blobs stay in the store, within its limit, for later runs.
    """
    with ExitStack() as stack:
        try:
            stack.callback(directories.remove_if_empty, cache_home())
            store = BlobStore(cache_home() / "blobs", settings.cache_size)
            stack.callback(store.close)
            feed = stack.enter_context(closing(Feed(client, store, settings)))
        except OSError as error:
            raise UsageError(f"--feed: layers cannot be stored in {cache_home()}: {plain_error(error)}") from None
        yield feed
