"""What `puller pull` remembers for `puller prune`. It may go wrong, and costs the pull nothing then."""

from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import click

from puller.events import Started
from puller.model import Status
from puller.text import clean, timestamp

if TYPE_CHECKING:
    from puller.backends.base import ImageStore
    from puller.events import Event
    from puller.holdings import Holdings
    from puller.model import Report


class Keeper:
    """Sees what the engine holds before the first pull of a run, and writes down what the run brought."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._store: ImageStore | None = None
        self._before: Holdings | None = None
        self._looked = False

    def watch(self, store: "ImageStore") -> "Keeper":
        """Say which engine it is about; the keeper is an observer of the run."""
        self._store = store
        return self

    def __call__(self, event: "Event") -> None:
        """Look once, before the first pull begins: a run that pulls nothing has no need of it."""
        if isinstance(event, Started):
            with self._lock:
                if not self._looked and self._store:
                    self._looked = True
                    self._before = self._store.holdings()

    def keep(self, report: "Report", *, verbose: int) -> None:
        """Write down what was brought and what was wanted, and never raise."""
        if self._store is None:
            return
        try:
            self._keep(report, self._store)
        except Exception as error:  # noqa: BLE001 - no pull fails because puller forgets it
            if verbose:
                click.echo(f"puller: not remembered for `puller prune`: {clean(str(error))}", err=True)

    def _keep(self, report: "Report", store: "ImageStore") -> None:
        from puller.pruning.brought import Brought, after_pulls  # noqa: PLC0415 - not for --help
        from puller.pruning.memory import Memory  # noqa: PLC0415

        identity = store.facts().identity
        if identity is None:
            return
        memory, after = Memory(identity), None
        if self._before is not None and report.counts[Status.PULLED]:
            after = store.holdings()
        elif not memory.path.exists():
            return
        now = timestamp(datetime.now(UTC))

        def with_this_run(known: tuple[Brought, ...]) -> tuple[Brought, ...]:
            return after_pulls(known, report.outcomes, now, self._before, after)

        memory.change(with_this_run)
