"""Pull sessions: one engine, and the images to pull into it.

The command line makes one session, and so does the library. A caller with several engines makes a session for each.
"""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple, Self

from puller.cancellation import Cancellation
from puller.engine.disk import DiskShortage
from puller.engine.interface import Engine, ImageStore
from puller.engine.model import LocalImages
from puller.errors import EngineError, FailureKind, ListError
from puller.events import ENGINE, Observer, Paused, at_host, fan_out, ignore
from puller.failure import Failure, failure
from puller.image.reference import Platform
from puller.model import PullOutcome, PullRequest, Report, Status
from puller.plan.disk_check import DiskCheck, MakeRoom
from puller.pull.context import FailureBudget, RunContext
from puller.pull.engine_recovery import EngineRecovery
from puller.pull.mirrors import Mirrors
from puller.pull.run import Run
from puller.pull.up_to_date import UpToDateCheck
from puller.registry.client import RegistryClient
from puller.registry.pools import RegistryPools
from puller.registry.resolver import Resolver
from puller.settings import Policy, PrefetchMode, Settings

_log = logging.getLogger(__name__)


class Note(NamedTuple):
    """Something that the report does not contain, such as why nothing was prefetched."""

    text: str
    detail: bool
    """Whether it is shown only with --verbose."""


class PullSession:
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
    ) -> None:
        """Use an engine, which the caller closes, and a registry client; None makes a client for this session.

        Without a `RegistryClient`, which can fetch manifests, there is no disk check and no prefetching.
        `host` names the engine's host in events and outcomes, for callers with several. The session is cancelled with
        `cancel`. `make_room` is called to remove images when the disk is too small.
        """
        self._engine = engine
        self._settings = settings or Settings()
        self._owns_registries = registries is None
        self._registries = registries or RegistryClient.of(self._settings, lambda: engine.store.facts().insecure)
        self._client = self._registries if isinstance(self._registries, RegistryClient) else None
        self._host = host
        self._emit = fan_out(observer if host is None else lambda event: observer(at_host(event, host)))
        self._cancel = Cancellation(cancel)
        self._make_room = make_room
        self._background = ThreadPoolExecutor(2, thread_name_prefix="engine")
        self._images: Future[LocalImages] | None = None
        self.notes: list[Note] = []
        self.shortage: DiskShortage | None = None
        """Why the last call pulled nothing: the images do not fit on the engine's disk."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that the session opened; the engine stays open."""
        self._background.shutdown(wait=False, cancel_futures=True)
        if self._owns_registries:
            self._registries.close()

    @property
    def images_before(self) -> "Future[LocalImages]":
        """The engine's images before the next pull, listed in the background from the first access on."""
        if self._images is None:
            self._images = self._background.submit(self._engine.store.holdings)
        return self._images

    def pull(self, requests: Sequence[PullRequest], rejected: Sequence[PullOutcome] = ()) -> Report:
        """Pull every image and report on each, in list order; `rejected` outcomes come last.

        Raises ListError for a tag requested for several platforms, if the engine keeps one platform for each tag.
        """
        started, began = datetime.now(UTC), monotonic()
        settings, store = self._settings, self._engine.store
        if settings.disk_check or settings.policy is not Policy.ALWAYS:
            self._background.submit(store.facts)  # cached by the store, and needed soon
        images = self.images_before.result if settings.policy is not Policy.ALWAYS else LocalImages
        check_platforms(requests, store)
        if self._owns_registries:
            self._registries.new_run()
        resolver = self._registries.quick()
        disk_check = (
            DiskCheck(store, self._note_detail, self._client, self._make_room)
            if settings.disk_check and self._client
            else None
        )
        total = len(requests) + len(rejected)
        with self._prefetching(requests) as engine, self._cancel.hook(resolver.close):
            context = self._context(engine, resolver, began)
            check = UpToDateCheck(settings.policy, engine, images, context.mirrors, self._cancel, began)
            budget = FailureBudget(settings.max_fail, total, len(rejected), self._cancel)
            run = Run(requests, context, check, budget, disk_check)
            outcomes = run.outcomes()
        self._images, self.shortage = None, disk_check.shortage if disk_check else None
        if self._host is not None:
            outcomes = [replace(outcome, host=self._host) for outcome in outcomes]
        return Report(started, monotonic() - began, (*outcomes, *rejected), self._cancel.reason)

    def pull_one(self, request: PullRequest) -> PullOutcome:
        """Pull one image. A failed pull is an outcome, not an exception."""
        return self.pull((request,)).outcomes[0]

    def _context(self, engine: Engine, registries: Resolver, began: float) -> RunContext:
        settings = self._settings
        widths = {name: each.concurrency for name, each in settings.registries.items() if each.concurrency}
        pools = RegistryPools(settings.jobs, settings.per_registry, widths=widths, health=registries.health)
        mirrors = Mirrors(settings.registries, registries)
        recovery = EngineRecovery(engine.alive, settings.engine_wait, self._announce_outage)
        ends = None if settings.deadline is None else began + settings.deadline
        return RunContext(engine, settings, self._emit, self._cancel, pools, recovery, mirrors, registries, ends, began)

    def _prefetching(self, requests: Sequence[PullRequest]) -> AbstractContextManager[Engine]:
        settings = self._settings
        disabled = settings.prefetch.mode is PrefetchMode.NEVER or settings.policy is Policy.NEVER
        if disabled or self._client is None:
            return nullcontext(self._engine)
        # Prefetching alone needs a web server and the blob store, which take time to import.
        from puller.blobs.prefetch_session import prefetching  # noqa: PLC0415

        return prefetching(self._engine, requests, settings, self._client, self._note)

    def _announce_outage(self) -> None:
        why = failure(FailureKind.DAEMON_UNREACHABLE, "the engine does not answer")
        self._emit(Paused(ENGINE, why, self._settings.engine_wait))

    def _note(self, text: str) -> None:
        self._add_note(Note(text, detail=False))

    def _note_detail(self, text: str) -> None:
        self._add_note(Note(text, detail=True))

    def _add_note(self, note: Note) -> None:
        _log.info("%s", note.text)
        if note not in self.notes:
            self.notes.append(note)


def pull_nothing(requests: Sequence[PullRequest], why: Failure, rejected: Sequence[PullOutcome] = ()) -> Report:
    """Report a run that did not start: no engine answered, or the run was cancelled first."""
    outcomes = tuple(PullOutcome.of(request, Status.CANCELLED, failure=why) for request in requests)
    return Report(datetime.now(UTC), 0.0, (*outcomes, *rejected), why.message)


def check_platforms(requests: Iterable[PullRequest], store: ImageStore) -> None:
    """Raise ListError with a line for each tag requested for several platforms, if the engine keeps one for each tag.

    An engine that does not describe itself is taken to keep several.
    """
    several = {name: group for name, group in _by_name(requests).items() if len({one.platform for one in group}) > 1}
    if not several:
        return
    try:
        facts = store.facts()
    except EngineError:
        return
    if facts.keeps_platforms:
        return
    problems = [
        f"{group[0].reference.text} is requested for {', '.join(platforms[:-1])} and {platforms[-1]}, and this engine "
        "keeps one platform of a tag: leave one of them out, or use an engine with the containerd image store"
        for group in several.values()
        if len(platforms := _platforms(group, facts.platform)) > 1
    ]
    if problems:
        raise ListError(problems)


def _by_name(requests: Iterable[PullRequest]) -> dict[str, list[PullRequest]]:
    groups: dict[str, list[PullRequest]] = {}
    for request in requests:
        reference = request.reference
        name = f"{reference.name}:{reference.tag}" if reference.tag else f"{reference.name}@{reference.digest}"
        groups.setdefault(name, []).append(request)
    return groups


def _platforms(group: Iterable[PullRequest], own: Platform | None) -> list[str]:
    return list(dict.fromkeys(str(request.platform or own or "the engine's own platform") for request in group))
