"""Pull sessions: one engine, and the images to pull into it.

The command line makes one session, and so does the library, which is `pull_images`. A caller with several engines makes
a session for each.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from puller.blobs.loopback_names import remove_leftovers
from puller.cancellation import Cancellation, interruptible
from puller.engine import connect, locate
from puller.engine.disk import DiskShortage
from puller.engine.interface import Engine
from puller.engine.model import EngineInfo, LocalImages
from puller.errors import EngineError, FailureKind, ListError
from puller.events import Fetched, Observer, at_host, fan_out, ignore
from puller.failure import Failure
from puller.image.reference import Platform
from puller.imagelist import read
from puller.imagelist.requests import request_images
from puller.model import PullOutcome, PullRequest, Report, RunDetails, Status
from puller.pull.context import RunContext
from puller.pull.disk_check import DiskCheck, MakeRoom
from puller.pull.run import Run, check_platforms
from puller.pull.transfers import Transfers
from puller.pull.up_to_date import UpToDateCheck
from puller.registry.client import RegistryClient
from puller.registry.pools import SharedLimits
from puller.registry.resolver import Resolver
from puller.settings import BackendChoice, Policy, PrefetchMode, Settings
from puller.system.clock import monotonic
from puller.system.credentials import Keyring
from puller.system.threads import Threads

_log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""Seconds in which the engine should list its images; after that a pull goes on without the list."""
_TIDY = 5.0
"""Seconds in which what a killed run left in the engine is removed; the next run removes the rest."""


class Note(NamedTuple):
    """Something that the report does not contain, such as why nothing was prefetched; a detail needs --verbose."""

    text: str
    detail: bool


class PullSession(AbstractContextManager["PullSession"]):
    """Pulls images into one engine: checks images and disk, prefetches, pulls, verifies, retries, and reports.

    `pull` may be called again: each call lists the engine's images anew. A failure of the host (a full disk, an
    unreachable engine) cancels this session, and no other one.
    """

    def __init__(
        self,
        engine: Engine,
        registries: Resolver | None = None,
        settings: Settings | None = None,
        observer: Observer = ignore,
        *,
        host: str | None = None,
        cancel: Cancellation | None = None,
        make_room: MakeRoom | None = None,
        limits: SharedLimits | None = None,
    ) -> None:
        """Use an engine, which the caller closes, and a registry client; None makes a client for this session.

        Without a `RegistryClient`, which can fetch manifests, there is no disk check and no prefetching.
        `host` names the engine's host in events and outcomes, for callers with several. The session is cancelled with
        `cancel`. `make_room` is called to remove images when the disk is too small. `limits` are shared by sessions.
        """
        self._engine = engine
        self._settings = settings or Settings()
        self._owns_registries = registries is None
        self._registries = registries or RegistryClient.of(self._settings, lambda: engine.store.facts().insecure)
        self._client = self._registries if isinstance(self._registries, RegistryClient) else None
        self._host = host
        self._emit = fan_out(observer if host is None else lambda event: observer(at_host(event, host)))
        self._cancel = Cancellation(cancel)
        self._make_room, self._limits = make_room, limits
        self._background = Threads("engine", 3, 3)
        self._images: Future[LocalImages] | None = None
        self._listed_by = 0.0
        self.notes: list[Note] = []
        self.shortage: DiskShortage | None = None
        """Why the last call was refused: the images do not fit on the engine's disk."""

    def __exit__(self, *_: object) -> None:
        """Close the connections that the session opened; the engine stays open."""
        self._background.close()
        if self._owns_registries:
            self._registries.close()

    @property
    def images_before(self) -> "Future[LocalImages]":
        """The engine's images before the next pull, listed in the background from the first access on."""
        if self._images is None:
            self._images = self._background.submit("", self._engine.store.holdings)
            self._listed_by = monotonic() + _PATIENCE
        return self._images

    def pull(self, requests: Sequence[PullRequest], rejected: Sequence[PullOutcome] = ()) -> Report:
        """Pull every image and report on each, in list order; `rejected` outcomes come last.

        Raises ListError for a tag requested for several platforms, if the engine keeps one platform for each tag.
        """
        started, since, began = datetime.now(UTC), time.monotonic(), monotonic()  # began: without stopped time
        settings, store = self._settings, self._engine.store
        if settings.disk_check or settings.policy is not Policy.ALWAYS:  # cached by the store, and needed soon
            self._background.submit("", store.facts).add_done_callback(self._note_silence)
        images = partial(self._listed, self.images_before) if settings.policy is not Policy.ALWAYS else LocalImages
        check_platforms(requests, store)
        if self._owns_registries:
            self._registries.new_run()
        resolver, disk_check = self._registries.quick(), None
        listed = lambda: self._listed(self.images_before)  # noqa: E731 - most runs do not ask for them here
        if settings.disk_check and self._client:
            say = partial(self._note, detail=True)
            disk_check = DiskCheck(store, listed, self._client, say, self._make_room)
        context = RunContext(self._engine, resolver, settings, self._emit, self._cancel, began, listed, self._limits)
        with self._prefetching(requests, context.transfers) as puller, self._cancel.hook(resolver.close):
            context.engine = disk_check.watching(puller) if disk_check else puller
            outcomes = Run(requests, context, UpToDateCheck(context, images), len(rejected), disk_check).outcomes()
        if not self._cancel.requested:  # after the pulls, which use the layers of what a killed run left
            wait((self._background.submit("", remove_leftovers, store),), _TIDY)
        self._images, self.shortage = None, disk_check.shortage if disk_check else None
        if self._host is not None:
            outcomes = [outcome._replace(host=self._host) for outcome in outcomes]
        seconds, details = time.monotonic() - since, RunDetails(engine=self._engine.engine)
        other, kept, why = context.transfers.other, self._kept(requests), self._cancel.reason
        return Report(started, seconds, (*outcomes, *rejected), why, details, other_bytes=other, kept=kept)

    def pull_one(self, request: PullRequest) -> PullOutcome:
        """Pull one image. A failed pull is an outcome, not an exception."""
        return self.pull((request,)).outcomes[0]

    def _prefetching(self, requests: Sequence[PullRequest], transfers: Transfers) -> AbstractContextManager[Engine]:
        settings = self._settings
        if self._client is None or settings.prefetch.mode is PrefetchMode.NEVER or settings.policy is Policy.NEVER:
            return nullcontext(self._engine)
        from puller.blobs.prefetch_auto import prefetching  # noqa: PLC0415 - most runs do not prefetch

        say = partial(self._note, detail=settings.prefetch.mode is PrefetchMode.AUTO)
        tell = lambda layers: self._emit(Fetched(transfers.download(layers)))  # noqa: E731 - one expression
        return prefetching(self._engine, requests, settings, self._client, say, self._cancel, tell)

    def _kept(self, requests: Sequence[PullRequest]) -> int:
        """Return the bytes on the disk that are kept for the next run of these images: only if this one was stopped."""
        if not self._cancel.requested or self._settings.prefetch.mode is PrefetchMode.NEVER:
            return 0
        from puller.blobs.leftovers import kept_for  # noqa: PLC0415 - most runs do not prefetch

        return kept_for({each.reference.canonical for each in requests})

    def _listed(self, images: "Future[LocalImages]") -> LocalImages:
        """Return the engine's images, if it lists them soon after it was asked; raises EngineError."""
        try:
            return images.result(0.0 if self._cancel.requested else max(0.0, self._listed_by - monotonic()))
        except TimeoutError:
            if self._cancel.requested:
                raise EngineError("the engine did not list its images", kind=FailureKind.TIMEOUT) from None
            words = f"the engine did not list its images within {_PATIENCE:g}s"
            self._note(f"{words}: no image counts as up to date", detail=True)
            raise EngineError(words, kind=FailureKind.TIMEOUT) from None

    def _note_silence(self, facts: "Future[EngineInfo]") -> None:
        error = None if facts.cancelled() else facts.exception()
        if isinstance(error, EngineError) and error.kind is FailureKind.TIMEOUT:
            self._note(f"the engine did not describe itself: {error}", detail=True)

    def _note(self, text: str, *, detail: bool = False) -> None:
        if (note := Note(text, detail)) not in self.notes:
            _log.info("%s", text)
            self.notes.append(note)


def pull_nothing(requests: Sequence[PullRequest], why: Failure, rejected: Sequence[PullOutcome] = ()) -> Report:
    """Report a run that did not start: no engine answered, or the run was cancelled first."""
    outcomes = tuple(PullOutcome.of(request, Status.CANCELLED, failure=why) for request in requests)
    return Report(datetime.now(UTC), 0.0, (*outcomes, *rejected), why.message)


def pull_images(
    images: Iterable[str],
    *,
    settings: Settings | None = None,
    platform: Platform | None = None,
    backend: BackendChoice | str = BackendChoice.AUTO,
    docker_command: str = "docker",
    context: str | None = None,
    observer: Observer = ignore,
) -> Report:
    """Pull image references, such as `nginx:1.27`, and return a frozen `Report` with one outcome for each.

    A failed image is an outcome, not an exception. Raises ListError (for invalid references, all at once, and for tags
    requested for more platforms than the engine keeps), UsageError (for a context that does not exist) and
    EngineUnreachableError. All `settings` apply, including the disk check and prefetching. `observer` is called with
    events from many threads. A KeyboardInterrupt cancels the pulls in flight; `Report.stopped` then says so.
    """
    settings, choice = settings or Settings(), BackendChoice(backend)
    todo = request_images(read((), tuple(images)), platform=platform)
    if todo.bad:
        raise ListError([str(bad) for bad in todo.bad])
    cancel = Cancellation()
    address = locate(choice, docker_command=docker_command, context=context)
    keyring = Keyring()
    engine = connect(address, choice, docker_command=docker_command, connections=settings.jobs, keyring=keyring)
    with (
        closing(engine),
        RegistryClient.of(settings, lambda: engine.store.facts().insecure, keyring) as registries,
        PullSession(engine, registries, settings, observer, cancel=cancel) as session,
    ):
        return interruptible(lambda: session.pull(todo.requests), cancel)
