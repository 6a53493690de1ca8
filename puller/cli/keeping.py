"""What `puller pull` remembers for `puller prune`. It may go wrong, and costs the pull nothing then."""

from collections.abc import Callable
from datetime import UTC, datetime

import click

from puller.engine.interface import ImageStore
from puller.engine.model import LocalImages
from puller.model import Report, Status
from puller.prune.pull_record import PulledName, PullRecord, after_pulls
from puller.text import clean, timestamp


class Keeper:
    """Knows what the engine held before a run, and writes down what the run brought."""

    def __init__(self) -> None:
        self._watched: tuple[ImageStore, Callable[[], LocalImages]] | None = None

    def watch(self, store: ImageStore, before: Callable[[], LocalImages]) -> None:
        """Say which engine it is about, and what it had `before` its first pull."""
        self._watched = store, before

    def keep(self, report: Report, *, verbose: int) -> None:
        """Write down what was brought and what was wanted, and never raise."""
        if self._watched is None:
            return
        try:
            self._keep(report, *self._watched)
        except Exception as error:  # noqa: BLE001 - no pull fails because puller forgets it
            if verbose:
                click.echo(f"puller: not remembered for `puller prune`: {clean(str(error))}", err=True)

    def _keep(self, report: Report, store: ImageStore, before: Callable[[], LocalImages]) -> None:

        identity = store.facts().identity
        if identity is None:
            return
        memory = PullRecord(identity)
        holdings: tuple[LocalImages, LocalImages] | tuple[()] = ()
        if report.counts[Status.PULLED]:
            holdings = before(), store.holdings()
        elif not memory.path.exists():
            return
        now = timestamp(datetime.now(UTC))

        def with_this_run(known: tuple[PulledName, ...]) -> tuple[PulledName, ...]:
            return after_pulls(known, report.outcomes, now, *holdings)

        memory.update(with_this_run)
