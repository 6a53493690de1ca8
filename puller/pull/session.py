"""The unit of puller: one engine, and the images that it is asked to have.

The command line makes one session, and so does the library. Whoever has many engines makes a session for each.
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
from puller.registry.pools import Lanes
from puller.registry.resolver import Resolver
from puller.settings import Policy, PrefetchMode, Settings

_log = logging.getLogger(__name__)


class Note(NamedTuple):
    """What a session found out that is in no report."""

    text: str
    detail: bool
    """Whether only those want to know it who ask for more."""


class PullSession:
    """Pulls images into one engine: looks, checks the disk, prefetches, pulls, verifies, retries, and reports.

    `pull` may be called again: each call looks at what the engine has then. A failure of the host (a full disk, an
    engine that has gone) cancels the session, and no other one.
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
        """Take an engine, which somebody else closes, and the registry client: None makes one for the session.

        A resolver that is no `RegistryClient` cannot fetch manifests: then there is no disk check and no prefetching.

        `host` names the engine's host in events and outcomes where there are several. A `cancel` cancels the session
        when it is cancelled itself. `make_room` is asked to remove images when the disk is too small.
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
        """Why the last call pulled nothing: the images would not have fitted on the engine's disk."""

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Let go of the connections that the session has made itself; the engine stays open."""
        self._background.shutdown(wait=False, cancel_futures=True)
        if self._owns_registries:
            self._registries.close()

    @property
    def images_before(self) -> "Future[LocalImages]":
        """What the engine has before the next pull: asked in the background as soon as somebody wants to know."""
        if self._images is None:
            self._images = self._background.submit(self._engine.store.holdings)
        return self._images

    def pull(self, requests: Sequence[PullRequest], rejected: Sequence[PullOutcome] = ()) -> Report:
        """Pull every image and report on each, in list order, whatever happens; `rejected` outcomes come last.

        Raises ListError for tags that are wanted for more platforms than this engine keeps of one.
        """
        started, began = datetime.now(UTC), monotonic()
        settings, store = self._settings, self._engine.store
        if settings.disk_check or settings.policy is not Policy.ALWAYS:
            self._background.submit(store.facts)  # which the store then knows, for all who ask it later
        images = self.images_before.result if settings.policy is not Policy.ALWAYS else LocalImages
        check_platforms(requests, store)
        if self._owns_registries:
            self._registries.new_run()
        resolver = self._registries.quick()
        disk_check = (
            DiskCheck(store, self._note_detail, self._client.quick(), self._make_room)
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
        """Pull one image, and say what came of it. Raises nothing for an image that cannot be had."""
        return self.pull((request,)).outcomes[0]

    def _context(self, engine: Engine, registries: Resolver, began: float) -> RunContext:
        settings = self._settings
        widths = {name: each.concurrency for name, each in settings.registries.items() if each.concurrency}
        lanes = Lanes(settings.jobs, settings.per_registry, widths=widths, health=registries.health)
        mirrors = Mirrors(settings.registries, registries, lanes)
        recovery = EngineRecovery(engine.alive, settings.engine_wait, self._tell_that_the_engine_has_gone)
        ends = None if settings.deadline is None else began + settings.deadline
        return RunContext(engine, settings, self._emit, self._cancel, lanes, recovery, mirrors, registries, ends, began)

    def _prefetching(self, requests: Sequence[PullRequest]) -> AbstractContextManager[Engine]:
        settings = self._settings
        unwanted = settings.prefetch.mode is PrefetchMode.NEVER or settings.policy is Policy.NEVER
        if unwanted or self._client is None:
            return nullcontext(self._engine)
        # Only those who prefetch wait for what it takes: a web server, and the cache of blobs.
        from puller.blobs.prefetch_session import prefetching  # noqa: PLC0415

        return prefetching(self._engine, requests, settings, self._client, self._note)

    def _tell_that_the_engine_has_gone(self) -> None:
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
    """Report a run that could not begin: no engine answered, or it was told to stop before one did."""
    outcomes = tuple(PullOutcome.of(request, Status.CANCELLED, failure=why) for request in requests)
    return Report(datetime.now(UTC), 0.0, (*outcomes, *rejected), why.message)


def check_platforms(requests: Iterable[PullRequest], store: ImageStore) -> None:
    """Raise ListError with a line for each tag that is wanted for more platforms than this engine keeps of one.

    The engine is asked about itself only when there is such a tag, and one that will not say is not contradicted.
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
        f"{group[0].reference.text} is wanted for {', '.join(platforms[:-1])} and {platforms[-1]}, and this engine "
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
